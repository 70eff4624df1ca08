"""Captured shares read back from the figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from report.figures.made import TWIN, all_text

from ems.errors import InvalidSpec
from ems.pipelines.captured import Captured
from ems.pipelines.comparison import BASELINES, PLANNED
from ems.report.figures.captured import captured_shares
from ems.report.figures.paper import COLUMN

TEXTS = {"title": "Share captured", "note": "tariff tou", "origin": TWIN}


def rows_of(group: str, seed: int = 1) -> list[tuple[str, Captured]]:
    rng = np.random.default_rng(seed)
    made = []
    for mode in PLANNED:
        for baseline in BASELINES:
            share = float(rng.uniform(-0.5, 0.9))
            row = Captured(
                building="home",
                mode=mode,
                baseline=baseline,
                saved_eur=10.0 * share,
                possible_eur=10.0,
                share=share,
                low=share - 0.05,
                high=share + 0.1,
            )
            made.append((group, row))
    return made


def draw(rows: list[tuple[str, Captured]], **where: object) -> Figure:
    return captured_shares(rows, **TEXTS, **where)  # type: ignore[arg-type]


def dots(figure: Figure) -> list[tuple[str, float, float]]:
    """Mode/baseline, captured [%] and place of every marker."""
    return [
        (line.get_gid(), float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for ax in figure.axes
        for line in ax.lines
        if "/" in str(line.get_gid())
    ]


def spans(figure: Figure) -> set[tuple[float, float]]:
    """Both ends of every interval [%]."""
    return {
        (round(float(line.get_xdata()[0]), 6), round(float(line.get_xdata()[1]), 6))
        for ax in figure.axes
        for line in ax.lines
        if line.get_gid() is None and len(set(line.get_ydata())) == 1
    }


@pytest.mark.parametrize("where", [{}, {"paper": COLUMN}], ids=["screen", "column"])
def test_every_marker_stands_at_its_share_within_its_interval(where: dict[str, object]) -> None:
    rows = rows_of("home")
    figure = draw(rows, **where)
    shown = {gid: x for gid, x, _ in dots(figure)}
    assert shown == {f"{s.mode}/{s.baseline}": 100.0 * (s.share or 0.0) for _, s in rows}
    ends = {(round(100.0 * (s.low or 0.0), 6), round(100.0 * (s.high or 0.0), 6)) for _, s in rows}
    assert spans(figure) == ends
    panels = [ax.get_title(loc="left") for ax in figure.axes]
    assert panels == ["against as metered", "against rule-based"]


def test_one_group_names_its_modes_and_says_its_euros() -> None:
    rows = rows_of("home")
    figure = draw(rows)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["decentralized", "centralized", "centralized, phases"]
    places = {gid.split("/")[0]: y for gid, _, y in dots(figure)}
    assert places == {"decentralized": 0.0, "centralized": 1.0, "centralized_phases": 2.0}
    for _, share in rows:
        said = f"{share.saved_eur:.2f} of {share.possible_eur:.2f} €".replace("-", "−")
        assert said in all_text(figure)


def test_a_loss_of_less_than_a_cent_is_no_negative_zero() -> None:
    rows = [("home", replace(share, saved_eur=-0.001)) for _, share in rows_of("home")]
    text = all_text(draw(rows))
    assert "0.00 of 10.00 €" in text
    assert "−0.00" not in text


def test_groups_stand_in_rows_of_their_own_with_their_names() -> None:
    figure = draw([*rows_of("home\nrun 1"), *rows_of("farm", 2)])
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["home\nrun 1", "farm"]
    expected = {"home": rows_of("home"), "farm": rows_of("farm", 2)}
    for row, name in enumerate(("home", "farm")):
        within = {gid: x for gid, x, y in dots(figure) if abs(y - row) < 0.5}
        assert within == {
            f"{s.mode}/{s.baseline}": 100.0 * (s.share or 0.0) for _, s in expected[name]
        }
    assert " of 10.00 €" not in all_text(figure)
    keys = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert keys == ["decentralized", "centralized", "centralized, phases"]


def test_a_row_without_a_share_says_so_and_has_no_marker() -> None:
    rows = rows_of("home")
    nothing = replace(rows[0][1], share=None, low=None, high=None)
    figure = draw([("home", nothing), *rows[1:]])
    assert all_text(figure).count("nothing to capture") == 1
    assert f"{nothing.mode}/{nothing.baseline}" not in {gid for gid, _, _ in dots(figure)}


def test_too_few_days_for_an_interval_still_show_the_share() -> None:
    rows = [("home", replace(share, low=None, high=None)) for _, share in rows_of("home")]
    figure = draw(rows)
    assert len(dots(figure)) == len(rows)
    assert spans(figure) == set()
    assert "nothing to capture" not in all_text(figure)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="no captured share, run with --foresight forecast"):
        draw([])
