"""What holds for every figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from report.figures.made import (
    LONG_NAME,
    REAL,
    TWIN,
    all_text,
    days_of,
    horizon,
    portfolio_row,
    record,
    results,
    schedule,
    summaries,
)
from report.figures.on_papers import PAPER_FIGURES, Draw, crowded

from ems.report.figures import (
    Origin,
    cumulative_cost,
    energies_by_building,
    mode_overview,
    planned_day,
    save,
    savings_by_day,
)
from ems.report.figures.paper import COLUMN, PAPERS, SCREEN, Paper

BUILDINGS = [f"DE_KN_residential{i}" for i in range(1, 8)]
MACHINES = [f"machine_of_the_workshop_{i}" for i in range(1, 21)]


def _day(of: object = None, **kwargs: object) -> Callable[[Origin], Figure]:
    made = record(schedule(of or horizon(), **kwargs))  # type: ignore[arg-type]
    return lambda origin: planned_day(made, tariff="dynamic", origin=origin)


def _days(n_days: int, building: str = BUILDINGS[0], **kwargs: object) -> list[object]:
    made = results(n_days, building=building, **kwargs)  # type: ignore[arg-type]
    return [
        lambda origin: savings_by_day(made, tariff="dynamic", origin=origin),
        lambda origin: cumulative_cost(made, tariff="dynamic", origin=origin),
    ]


FIGURES = {
    "a day": _day(),
    "a 23-hour day": _day(horizon("2016-03-27")),
    "a 25-hour day": _day(horizon("2016-10-30")),
    "a day in quarter hours": _day(horizon(step_h=0.25)),
    "three days": _day(horizon(n_days=3)),
    "ten days": _day(horizon(n_days=10)),
    "no PV": _day(pv=False),
    "no battery": _day(batteries=0),
    "no store, no device": _day(batteries=0, cars=0, devices=()),
    "only base load": _day(pv=False, batteries=0, cars=0, devices=()),
    "two batteries, three cars": _day(batteries=2, cars=3),
    "curtailed PV": _day(curtailed=True),
    "twenty machines": _day(devices=MACHINES),
    "the baseline": _day(mode="as_metered"),
    "overview of one": lambda o: mode_overview(
        summaries(BUILDINGS[:1]), days=days_of(BUILDINGS[:1]), tariff="tou", origin=o
    ),
    "overview of seven": lambda o: mode_overview(
        summaries(BUILDINGS), days=days_of(BUILDINGS), tariff="tou", origin=o
    ),
    "overview, long": lambda o: mode_overview(
        summaries([LONG_NAME, BUILDINGS[0]]),
        days=days_of([LONG_NAME, BUILDINGS[0]]),
        tariff="a-tariff-of-my-own.toml",
        origin=o,
    ),
    "energies": lambda o: energies_by_building(
        [portfolio_row(name, load_kwh=3000 * 2.3**i) for i, name in enumerate(BUILDINGS)], origin=o
    ),
    "energies of one": lambda o: energies_by_building(
        [portfolio_row(BUILDINGS[0], pv_kwh=0.0)], origin=o
    ),
    "energies of nothing": lambda o: energies_by_building(
        [portfolio_row(BUILDINGS[0], load_kwh=0.0, pv_kwh=0.0, n_problems=0)], origin=o
    ),
    "energies of all sizes": lambda o: energies_by_building(
        [
            portfolio_row("a", load_kwh=20.0, n_problems=5),
            portfolio_row("b", load_kwh=9e6, n_problems=5),
        ],
        origin=o,
    ),
}
for name, figures in {
    "1 day": _days(1),
    "7 days": _days(7),
    "14 days with holes": _days(14, without=(3, 4, 9)),
    "31 days": _days(31),
    "40 days with holes": _days(40, without=(8, 20, 21)),
    "400 days": _days(400),
    "7 days, long name": _days(7, building=LONG_NAME),
}.items():
    FIGURES[f"savings of {name}"], FIGURES[f"cost of {name}"] = figures  # type: ignore[assignment]

every_figure = pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)


@every_figure
def test_no_text_overlaps_another_leaves_the_page_or_covers_data(
    draw: Callable[[Origin], Figure],
) -> None:
    assert crowded(draw(TWIN)) == []


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
@pytest.mark.parametrize("draw", PAPER_FIGURES.values(), ids=PAPER_FIGURES)
def test_nothing_is_crowded_or_too_small_to_read_on_any_paper(draw: Draw, paper: Paper) -> None:
    figure = draw(origin=TWIN, paper=paper)
    assert crowded(figure) == []
    least_pt = min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text())
    assert least_pt >= (5.0 if paper is COLUMN else 7.0)
    words = [word for ax in figure.axes for word in (ax.get_xlabel(), ax.get_ylabel())]
    assert any("[" in word for word in words) or "[kW" in all_text(figure)


@pytest.mark.parametrize("name", ["a day", "savings of 7 days", "cost of 31 days", "energies"])
def test_synthetic_data_are_marked_and_only_those(name: str) -> None:
    assert "SYNTHETIC DATA" in all_text(FIGURES[name](TWIN))
    assert "SYNTHETIC" not in all_text(FIGURES[name](REAL))


@pytest.mark.parametrize("name", ["a day", "savings of 40 days with holes", "overview of seven"])
def test_a_figure_says_its_tariff_its_source_and_that_it_is_an_upper_bound(name: str) -> None:
    text = all_text(FIGURES[name](REAL))
    assert "perfect foresight: upper bound" in text
    assert "tariff " in text
    assert "CC BY 4.0" in text


@every_figure
def test_every_axis_with_numbers_has_a_unit(draw: Callable[[Origin], Figure]) -> None:
    figure = draw(TWIN)
    bottom = figure.axes[-1].get_xlabel()
    assert "[" in bottom or bottom == "local day"
    labels = [ax.get_ylabel() or ax.get_xlabel() for ax in figure.axes]
    assert any("[" in label for label in labels) or "[€/day]" in all_text(figure)


def test_drawing_leaves_no_figure_open_and_no_setting_changed(tmp_path: Path) -> None:
    with mpl.rc_context({"font.size": 33.0, "hatch.linewidth": 7.0, "axes.grid": True}):
        before = dict(mpl.rcParams)
        save(FIGURES["a day"](TWIN), tmp_path / "day.png")
        assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_a_notebook_with_settings_of_its_own_gets_the_same_file(tmp_path: Path) -> None:
    files = [save(FIGURES["a day"](TWIN), tmp_path / "a.png")]
    with mpl.rc_context({"font.size": 33.0, "font.family": "serif", "savefig.dpi": 20}):
        files.append(save(FIGURES["a day"](TWIN), tmp_path / "b.png"))
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", ["a day", "savings of 1 day", "energies"])
def test_the_file_has_the_size_of_the_page_in_pixels(name: str, tmp_path: Path) -> None:
    figure = FIGURES[name](TWIN)
    path = save(figure, tmp_path / "new" / "figure.png")
    height, width, _ = plt.imread(path).shape
    assert (width, height) == (
        SCREEN.width_in * SCREEN.dpi,
        int(figure.get_figheight() * SCREEN.dpi),
    )
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]
