"""How often the building draws how much: load duration curves at the grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLACK, SMALL, Line, beside, styled
from ems.types import Floats


@styled
def load_duration(
    curves: Sequence[tuple[Line, Floats]],
    *,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """The mean power at the grid [kW] of every step, the largest first, a curve for each mode.

    Above zero the building imports, below it exports; over 20 % of the time stands what it drew
    or more in a fifth of its steps. All steps are equally long. Raises ``InvalidSpec`` without
    a curve, or for an empty one.
    """
    if not curves or any(len(power_kw) == 0 for _, power_kw in curves):
        raise InvalidSpec("figure: no power at the grid, give at least one curve with steps")
    figure = new_page(4.4, title, note, origin, paper)
    ax = figure.subplots()
    for drawn, power_kw in curves:
        ax.stairs(
            np.sort(power_kw)[::-1],
            np.linspace(0.0, 100.0, len(power_kw) + 1),
            baseline=None,
            color=drawn.colour,
            linestyle=drawn.dashes,
            linewidth=drawn.width_pt * paper.scale,
            label=f"{drawn.label}: up to {power_kw.max():.1f} kW",
            gid=drawn.label,
        )
    ax.axhline(0.0, color=BLACK, linewidth=0.8 * paper.scale)
    ax.set_xlim(0.0, 100.0)
    ax.set_xlabel("share of the time [%]")
    ax.set_ylabel("mean power of a step [kW]\n← exports | imports →")
    if paper.narrow:
        figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL, columnspacing=1.0)
    else:
        beside(ax)
    return figure
