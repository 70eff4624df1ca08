"""Comparison of modes: cost, savings and captured share, a row per building or mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ems.core.mode import LABELS, Mode
from ems.errors import InvalidSpec
from ems.pipelines.captured import Captured
from ems.pipelines.comparison import ModeSummary
from ems.pipelines.spec import BASELINES, PLANNED
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import legend_of_all, mode_keys, panels, rows, say
from ems.report.figures.style import BLACK, DARK_GREY, FORESIGHT, MODE_LINES, SMALL, euros, styled

_SPREAD, _APART = 0.6, 0.15
"""Spread of the modes within a row, and of a mode's two savings around its line, in rows."""


def _spread(place: int, n_places: int) -> float:
    """Position of one of several within its row, in [−0.5, 0.5]."""
    return _SPREAD * ((place + 0.5) / n_places - 0.5)


def _dot(ax: Any, x: float, y: float, mode: Mode, **more: Any) -> None:
    line = MODE_LINES[mode]
    ax.plot([x], [y], marker=line.marker, color=line.colour, linestyle="none", **more)


@styled
def mode_overview(
    summaries: Sequence[ModeSummary],
    *,
    days: Mapping[str, Sequence[date]],
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """A marker for each mode: cost [€], savings [€] and self-sufficiency [%].

    ``days``: the sorted days of each building. Buildings differ by orders of magnitude, so each has
    its own euro axes. Savings are filled against as metered and open against the best rule. With
    one building the rows name the modes, otherwise a legend. Raises ``InvalidSpec`` without
    summaries.
    """
    if not summaries:
        raise InvalidSpec("figure: no summaries, give at least one")
    of_building: dict[str, list[ModeSummary]] = {}
    for summary in summaries:
        of_building.setdefault(summary.building, []).append(summary)
    names, one = list(of_building), len(of_building) == 1
    spans = {days_in_words(days[name]) for name in names}
    what = [names[0] if one else f"{len(names)} buildings", *(spans if len(spans) == 1 else ())]
    note = (
        "cost: the bill with the stores put back as they were · savings: the cost saved · "
        f"tariff {tariff} · {foresight}"
    )
    heights = [0.45 + (0.24 if one else 0.14) * len(modes) for modes in of_building.values()]
    title = f"{' · '.join(what)} · cost, savings, self-sufficiency by mode"
    n_stacked = len(_LABELS) if paper.narrow else 1
    body = new_page(n_stacked * sum(heights) + 1.2, title, note, origin, paper)
    ratios = [height for height in heights for _ in range(n_stacked)]
    grid = body.subplots(len(ratios), 3 // n_stacked, squeeze=False, height_ratios=ratios)
    table = grid.reshape(len(names), len(_LABELS))
    for axes, (name, modes) in zip(table, of_building.items(), strict=True):
        _building(axes, modes, paper, named=one)
        if not one:
            told = name if len(spans) == 1 else f"{name}\n{days_in_words(days[name])}"
            beside = {"rotation": 0, "ha": "right", "va": "center", "size": SMALL}
            axes[0].set_ylabel(paper.beside(told), **beside)
    for axes in table if paper.narrow else table[-1:]:
        for ax, label in zip(axes, _LABELS, strict=True):
            ax.set_xlabel(label)
    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": DARK_GREY}
    keys = [
        Line2D([], [], markerfacecolor=face, label=f"savings against {LABELS[baseline]}", **dot)
        for baseline, face in zip(BASELINES, (DARK_GREY, "none"), strict=True)
    ]
    shown = [] if one else mode_keys(summary.mode for summary in summaries)
    legend_of_all(body, [*shown, *keys], paper)
    return body.figure


_LABELS = ("cost [€]", "savings [€]", "self-sufficiency [%]")


def _building(axes: Any, modes: Sequence[ModeSummary], paper: Paper, *, named: bool) -> None:
    cost, saved, own = axes
    for place, summary in enumerate(modes):
        mode = summary.mode
        _dot(cost, summary.kpis.cost_eur, place, mode, gid=mode, clip_on=False)
        for baseline, saving in summary.against.items():
            above = baseline == BASELINES[0]
            look = {} if above else {"markerfacecolor": "none"}
            row = place + (-_APART if above else _APART)
            _dot(saved, saving.savings_eur, row, mode, gid=f"{mode}/{baseline}", **look)
        share = summary.kpis.self_sufficiency
        if share is not None:
            _dot(own, 100.0 * share, place, mode, gid=mode, clip_on=False)
        else:
            say(own, place, "no generation")
    saved.axvline(0.0, color=BLACK, linewidth=0.8, zorder=1.5)
    own.set_xlim(0.0, 100.0)
    for ax in axes:
        rows(ax, [LABELS[summary.mode] for summary in modes], paper)
        if not named or (ax is not cost and not paper.narrow):
            ax.set_yticklabels([])
        if ax is not own:
            ax.locator_params(axis="x", nbins=5)


@styled
def savings_by_building(
    groups: Mapping[str, Sequence[ModeSummary]],
    *,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """Savings [% of what the baseline paid for import] of each mode, a panel per baseline.

    ``groups``: modes by building. Buildings differ by orders of magnitude in euros, so the euros of
    the best planned mode (not of the bound) are written next to it. There is no percentage where
    the baseline bought almost nothing. Raises ``InvalidSpec`` without groups.
    """
    if not groups:
        raise InvalidSpec("figure: no buildings, give at least one")
    body_in = paper.row_in(0.45, groups) * len(groups) + 1.3
    body = new_page(body_in * (2 if paper.narrow else 1), title, note, origin, paper)
    axes = panels(body, 2, paper, sharey=True)
    for ax, baseline in zip(axes, BASELINES, strict=True):
        rows(ax, list(groups), paper)
        for row, modes in enumerate(groups.values()):
            _savings(ax, row, modes, baseline)
        ax.axvline(0.0, color=BLACK, linewidth=0.8 * paper.scale, zorder=1.5)
        ax.set_title(f"against {LABELS[baseline]}")
        ax.set_xlabel("savings [% of paid for import]")
    shown = (summary.mode for group in groups.values() for summary in group)
    legend_of_all(body, mode_keys(shown), paper)
    return body.figure


def _savings(ax: Any, row: int, modes: Sequence[ModeSummary], baseline: Mode) -> None:
    known = {s.mode: s.against[baseline] for s in modes if baseline in s.against}
    drawn = {m: s.savings_pct for m, s in known.items() if s.savings_pct is not None}
    for i, (mode, pct) in enumerate(drawn.items()):
        _dot(ax, pct, row + _spread(i, len(drawn)), mode, gid=f"{mode}/{baseline}")
    if drawn:
        planned = [mode for mode in drawn if mode in PLANNED] or list(drawn)
        best_eur = max(known[mode].savings_eur for mode in planned)
        say(ax, row, euros(best_eur), across=1.01)
    else:
        say(ax, row, "the baseline buys next to nothing")


@styled
def captured_shares(
    shares: Sequence[tuple[str, Captured]],
    *,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """The captured share [%] of each mode with its interval, a panel per baseline.

    ``shares``: name of a group of modes (a building, a run) and a share. 0 % is the baseline, 100 %
    the plan under perfect foresight. One group has a row per mode with its euros, several groups a
    row each. A mode without a share shows the reason; one without an interval has no line. Raises
    ``InvalidSpec`` without shares.
    """
    if not shares:
        raise InvalidSpec("figure: no captured share, run with --foresight forecast")
    groups = list(dict.fromkeys(group for group, _ in shares))
    modes = list(dict.fromkeys(share.mode for _, share in shares))
    one = len(groups) == 1
    names = [LABELS[mode] for mode in modes] if one else groups
    body_in = paper.row_in(0.42, names) * len(names) + 1.4
    body = new_page(body_in * (2 if paper.narrow else 1), title, note, origin, paper)
    axes = panels(body, 2, paper, sharex=True, sharey=True)
    for ax, baseline in zip(axes, BASELINES, strict=True):
        rows(ax, names, paper)
        for edge in (0.0, 100.0):
            ax.axvline(edge, color=BLACK, linewidth=0.8 * paper.scale, zorder=1.5)
        for group, share in shares:
            place = modes.index(share.mode)
            row = place if one else groups.index(group) + _spread(place, len(modes))
            if share.baseline == baseline:
                _captured(ax, row, share, told=one)
        ax.locator_params(axis="x", nbins=5 if paper.narrow else 7)
        ax.set_title(f"against {LABELS[baseline]}")
        ax.set_xlabel("captured of the possible [%]")
    if not one:
        legend_of_all(body, mode_keys(modes), paper)
    return body.figure


def _captured(ax: Any, row: float, share: Captured, *, told: bool) -> None:
    if share.share is None:
        say(ax, row, "nothing to capture")
        return
    if share.low is not None and share.high is not None:
        ends = [100.0 * share.low, 100.0 * share.high]
        ax.plot(ends, [row, row], color=MODE_LINES[share.mode].colour)
    _dot(ax, 100.0 * share.share, row, share.mode, gid=f"{share.mode}/{share.baseline}")
    if told:
        saved = euros(share.saved_eur).removesuffix(" €")
        say(ax, row, f"{saved} of\n{euros(share.possible_eur)}", across=1.01)
