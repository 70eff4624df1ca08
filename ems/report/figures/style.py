"""The style of all figures: one colour per mode and quantity, safe for the colour-blind.

Colours are those of Okabe and Ito, "Color Universal Design" (2008),
https://jfly.uni-koeln.de/color/. Where colours meet in one panel, order, line style or hatch
distinguish them in grey as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import matplotlib as mpl

from ems.core.mode import LABELS, Mode
from ems.pipelines.spec import RULES
from ems.report.figures.paper import SCREEN, Paper

P = ParamSpec("P")
R = TypeVar("R")

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, DARK_GREY, GREY = "#262626", "#4D4D4D", "#7F7F7F"
LIGHT_GREY, FAINT_GREY = "#C8C8C8", "#EDEDED"
DOTTED, DASHED = (0, (1, 1.2)), (0, (4, 3))


@dataclass(frozen=True, kw_only=True)
class Line:
    """Style of a mode: label, colour, marker, line style and line width [pt]."""

    label: str
    colour: str
    marker: str
    dashes: Any = "solid"
    width_pt: float = 1.8


def _line(mode: Mode, colour: str, marker: str, **more: Any) -> Line:
    return Line(label=LABELS[mode], colour=colour, marker=marker, **more)


MODE_LINES: Mapping[Mode, Line] = {
    "as_metered": _line("as_metered", BLACK, "X", dashes=DOTTED, width_pt=1.6),
    "rule_based": _line("rule_based", GREY, "s", width_pt=1.2),
    "value_based": _line("value_based", VERMILLION, "P", width_pt=1.2),
    "decentralized": _line("decentralized", ORANGE, "v", width_pt=3.6),
    "centralized": _line("centralized", BLUE, "o"),
    "centralized_phases": _line("centralized_phases", GREEN, "D", dashes=DASHED),
    "perfect_foresight": _line("perfect_foresight", PURPLE, "*", dashes=(0, (1, 2.5))),
    "pv_unknown": _line("pv_unknown", YELLOW, "o"),
    "load_unknown": _line("load_unknown", LIGHT_GREY, "o"),
}

MODE_COLOURS: Mapping[Mode, str] = {
    **dict.fromkeys(RULES, GREY),
    "centralized_perfect": PURPLE,
    **{mode: line.colour for mode, line in MODE_LINES.items()},
}
"""The colour of each mode in figures and on the page; every rule has that of the best of them."""

FORESIGHT = "perfect foresight: upper bound"
SYNTHETIC = "SYNTHETIC DATA"

DEVICES = (PURPLE, BLUE, VERMILLION, ORANGE)
HATCHES = ("", "///", "...", "xxx")

SMALL = "small"
"""One size below the surrounding text, on any paper."""


def look(paper: Paper) -> dict[str, Any]:
    """Settings of matplotlib for figures on ``paper``."""
    background = "none" if paper.inline else "white"
    return {
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": paper.text_pt,
        "text.color": INK,
        "axes.titlesize": paper.text_pt,
        "axes.titlelocation": "left",
        "axes.titlepad": 6.0 * paper.scale,
        "axes.labelsize": paper.text_pt,
        "axes.labelcolor": INK,
        "axes.labelpad": 4.0 * paper.scale,
        "axes.axisbelow": True,
        "axes.edgecolor": INK,
        "axes.facecolor": background,
        "axes.grid": False,
        "axes.linewidth": 0.8 * paper.scale,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "lines.linewidth": 1.5 * paper.scale,
        "lines.markersize": 6.0 * paper.scale,
        "lines.solid_capstyle": "round",
        "patch.edgecolor": "white",
        "patch.force_edgecolor": True,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": paper.small_pt,
        "ytick.labelsize": paper.small_pt,
        "legend.fontsize": paper.small_pt,
        "legend.title_fontsize": paper.small_pt,
        "legend.frameon": False,
        "hatch.linewidth": 0.6,
        "figure.facecolor": background,
        "savefig.facecolor": background,
        "svg.fonttype": "none" if paper.inline else "path",
        "svg.hashsalt": "ems",
    }


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in this style without changing the caller's matplotlib settings.

    Sizes follow the argument ``paper``, by default a screen.
    """

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(look(cast(Paper, kwargs.get("paper", SCREEN)))):
            return draw(*args, **kwargs)

    return inside


def device_colours(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and hatch of each device, from its name alone unless two names collide.

    So a device keeps its colour whichever others are shown.
    """
    looks = [(colour, hatch) for hatch in HATCHES for colour in DEVICES]
    chosen: dict[str, tuple[str, str]] = {}
    for name in sorted(set(names)):
        # crc32, since hash() of a text differs from process to process.
        first = zlib.crc32(name.encode()) % len(DEVICES)
        ranked = [*looks[first:], *looks[:first]]
        chosen[name] = next((one for one in ranked if one not in chosen.values()), ranked[0])
    return chosen


def number(value: float, places: int) -> str:
    """A number with a true minus and no negative zero, thousands apart.

    >>> number(-0.001, 2), number(-1234.5, 1)
    ('0.00', '−1,234.5')
    """
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", "−")


def euros(amount_eur: float) -> str:
    """An amount to the cent, such as −1.50 €."""
    return f"{number(amount_eur, 2)} €"
