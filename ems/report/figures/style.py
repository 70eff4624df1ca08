"""How every figure looks: one colour for each mode and quantity, safe for the colour-blind.

Colours are those of Okabe and Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/.
Where colours meet in one panel, order, line style or hatch tells them apart in grey as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import matplotlib as mpl
import seaborn as sns
from matplotlib.text import Annotation

from ems.core.mode import Mode
from ems.report.figures.paper import SCREEN, Paper

P = ParamSpec("P")
R = TypeVar("R")

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
DARK_GREY, GREY, LIGHT_GREY, FAINT_GREY = "#4D4D4D", "#7F7F7F", "#C8C8C8", "#EDEDED"


@dataclass(frozen=True, kw_only=True)
class Line:
    """How a mode is drawn: colour, line style, line width [pt], marker and its name in words."""

    label: str
    colour: str
    dashes: Any
    width_pt: float
    marker: str


MODE_LINES: Mapping[Mode, Line] = {
    "as_metered": Line(
        label="as metered", colour=BLACK, dashes=(0, (1, 1.2)), width_pt=1.6, marker="X"
    ),
    "rule_based": Line(label="rule-based", colour=GREY, dashes="solid", width_pt=1.2, marker="s"),
    "decentralized": Line(
        label="decentralized", colour=ORANGE, dashes="solid", width_pt=3.6, marker="v"
    ),
    "centralized": Line(label="centralized", colour=BLUE, dashes="solid", width_pt=1.8, marker="o"),
    "centralized_phases": Line(
        label="centralized, phases", colour=GREEN, dashes=(0, (4, 3)), width_pt=1.8, marker="D"
    ),
    "perfect_foresight": Line(
        label="all days at once", colour=PURPLE, dashes=(0, (1, 2.5)), width_pt=1.8, marker="*"
    ),
}

FORESIGHT = "perfect foresight: upper bound"
SYNTHETIC = "SYNTHETIC DATA"

PV, IMPORT, EXPORT, BASE_LOAD = YELLOW, GREY, "#FFFFFF", LIGHT_GREY
BATTERY, VEHICLE = GREEN, SKY
DEVICES = (PURPLE, BLUE, VERMILLION, ORANGE)
HATCHES = ("", "///", "...", "xxx")

SMALL = "small"
"""Letters a size below those of the text around them, whatever the paper."""


_FACES = ("figure.facecolor", "savefig.facecolor", "axes.facecolor")


def look(paper: Paper) -> dict[str, Any]:
    """The settings of matplotlib for figures on ``paper``."""
    return {
        **sns.axes_style("ticks"),
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": paper.text_pt,
        "axes.titlesize": paper.text_pt,
        "axes.titlelocation": "left",
        "axes.titlepad": 6.0 * paper.scale,
        "axes.labelsize": paper.text_pt,
        "axes.labelpad": 4.0 * paper.scale,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8 * paper.scale,
        "axes.unicode_minus": True,
        "lines.linewidth": 1.5 * paper.scale,
        "lines.markersize": 6.0 * paper.scale,
        "xtick.labelsize": paper.small_pt,
        "ytick.labelsize": paper.small_pt,
        "legend.fontsize": paper.small_pt,
        "legend.title_fontsize": paper.small_pt,
        "legend.frameon": False,
        "hatch.linewidth": 0.6,
        **dict.fromkeys(_FACES, "none" if paper.inline else "white"),
        "svg.fonttype": "none" if paper.inline else "path",
        "svg.hashsalt": "ems",
    }


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in this style and leave the caller's own matplotlib settings alone.

    Letters and lines are those of the argument ``paper``, of a screen without it.
    """

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        paper = kwargs.get("paper", SCREEN)
        with mpl.rc_context(look(cast(Paper, paper))):
            return draw(*args, **kwargs)

    return inside


def device_colours(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and hatch of each device, from its name alone unless two names collide.

    So a device keeps its colour from day to day, whichever others run beside it.
    """
    looks = [(colour, hatch) for hatch in HATCHES for colour in DEVICES]
    chosen: dict[str, tuple[str, str]] = {}
    for name in sorted(set(names)):
        first = zlib.crc32(name.encode()) % len(DEVICES)
        ranked = [*looks[first:], *looks[:first]]
        free = [look for look in ranked if look not in chosen.values()]
        chosen[name] = free[0] if free else ranked[0]
    return chosen


def words(name: str) -> str:
    """A feed's or agent's name as a person reads it.

    >>> words("washing_machine"), words("pv_roof")
    ('washing machine', 'PV roof')
    """
    capitals = {"pv": "PV", "ev": "EV"}
    return " ".join(capitals.get(word, word) for word in name.split("_"))


def euros(amount_eur: float) -> str:
    """An amount to the cent, with a true minus and no negative zero.

    >>> euros(-1.5), euros(-0.001)
    ('−1.50 €', '0.00 €')
    """
    return f"{round(amount_eur, 2) + 0.0:,.2f} €".replace("-", "−")


def keep_inside(ax: Any, edge: float) -> None:
    """Let notes at points near an edge of the panel run away from it.

    ``edge``: how near, as a share of the panel's width.
    """
    low, high = ax.get_xlim()
    for note in (text for text in ax.texts if isinstance(text, Annotation)):
        across = (note.xy[0] - low) / (high - low)
        note.set_horizontalalignment(
            "left" if across < edge else "right" if across > 1.0 - edge else "center"
        )


def beside(ax: Any, **more: Any) -> None:
    """The legend of ``ax`` at its right, outside the data."""
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, alignment="left", **more
    )
