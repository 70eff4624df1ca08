"""Figures on the column of a paper, on a slide and on a screen: sizes, letters, captions, files."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from report.figures.made import REAL, TWIN, all_text
from report.figures.on_papers import PAPER_FIGURES

from ems.report.figures.page import save
from ems.report.figures.paper import COLUMN, PAPERS, SCREEN, SLIDE, Paper

SOME = ("duration of 1 day", "maps of 5 days", "captured by one", "buildings: seven")
each_paper = pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
two_papers = pytest.mark.parametrize("paper", [COLUMN, SLIDE], ids=["column", "slide"])


@pytest.mark.parametrize("name", SOME)
def test_a_column_is_85_mm_wide_to_the_dot(name: str, tmp_path: Path) -> None:
    figure = PAPER_FIGURES[name](origin=REAL, paper=COLUMN)
    path = save(figure, tmp_path / "figure.png", COLUMN)
    with Image.open(path) as image:
        assert image.width == int(85.0 / 25.4 * 600)
        assert image.info["dpi"] == pytest.approx((600, 600), abs=0.01)
    root = ElementTree.parse(save(figure, tmp_path / "figure.svg", COLUMN)).getroot()
    assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(72 * 85.0 / 25.4)


@pytest.mark.parametrize("name", SOME)
def test_a_slide_has_the_dots_of_a_screen_of_16_to_9(name: str, tmp_path: Path) -> None:
    figure = PAPER_FIGURES[name](origin=REAL, paper=SLIDE)
    path = save(figure, tmp_path / "figure.png", SLIDE)
    with Image.open(path) as image:
        assert image.size == (1920, 1080)


def letters_pt(texts: Iterable[Text]) -> set[float]:
    return {round(text.get_fontsize(), 2) for text in texts if text.get_text().strip()}


def test_letters_and_lines_are_those_of_the_paper() -> None:
    figures = {
        name: PAPER_FIGURES["duration of 1 day"](origin=REAL, paper=paper)
        for name, paper in PAPERS.items()
    }
    for name, paper in PAPERS.items():
        (ax,) = figures[name].axes
        assert letters_pt([ax.xaxis.label, ax.yaxis.label]) == {paper.text_pt}
        assert letters_pt([*ax.get_xticklabels(), *ax.get_yticklabels()]) == {paper.small_pt}
    widths = {name: figure.axes[0].patches[0].get_linewidth() for name, figure in figures.items()}
    assert widths["column"] / widths["screen"] == pytest.approx(7.0 / 9.5)
    assert widths["slide"] / widths["screen"] == pytest.approx(13.0 / 9.5)


@pytest.mark.parametrize("name", [*SOME, "maps, long name", "habit of 4 days", "frontier of 3"])
def test_a_column_has_its_texts_in_its_caption_and_not_in_itself(name: str) -> None:
    draw = PAPER_FIGURES[name]
    column, slide = (draw(origin=REAL, paper=paper) for paper in (COLUMN, SLIDE))
    assert {text.get_text() for text in column.texts} <= {"local hour [h]"}
    whole = " ".join(text.get_text() for text in slide.texts)
    said = column.get_label()
    assert said == slide.get_label()
    assert said.endswith(f". Data: {REAL.source}.")
    title, *_ = said.split(". ")
    assert whole.startswith(title[:20])
    assert REAL.source in whole


@each_paper
@pytest.mark.parametrize("name", SOME)
def test_the_mark_of_synthetic_data_stands_in_the_figure(name: str, paper: Paper) -> None:
    made_up = PAPER_FIGURES[name](origin=TWIN, paper=paper)
    assert "SYNTHETIC DATA" in all_text(made_up)
    assert "Synthetic twin, not measured." in made_up.get_label()
    measured = PAPER_FIGURES[name](origin=REAL, paper=paper)
    assert "SYNTHETIC" not in all_text(measured)
    assert "ynthetic" not in measured.get_label()


def png_texts(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        image.load()
        return dict(image.text)  # type: ignore[attr-defined]


@each_paper
def test_both_files_carry_the_caption(paper: Paper, tmp_path: Path) -> None:
    figure = PAPER_FIGURES["duration, long name"](origin=TWIN, paper=paper)
    said = figure.get_label()
    assert png_texts(save(figure, tmp_path / "a.png", paper))["Description"] == said
    root = ElementTree.parse(save(figure, tmp_path / "a.svg", paper)).getroot()
    (kept,) = root.iter("{http://purl.org/dc/elements/1.1/}description")
    assert kept.text == said


@two_papers
@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("name", ["maps of 5 days", "habit of 4 days"])
def test_the_same_figure_is_the_same_file_to_the_bit(
    name: str, kind: str, paper: Paper, tmp_path: Path
) -> None:
    files = []
    for i in range(3):
        figure = PAPER_FIGURES[name](origin=TWIN, paper=paper)
        files.append(save(figure, tmp_path / f"{i}.{kind}", paper).read_bytes())
    assert files[1:] == files[:1] * 2


@pytest.mark.parametrize(
    ("name", "paper"),
    [
        ("maps of 450 days", COLUMN),
        ("habit of 450 days", COLUMN),
        ("duration of 450 days", SLIDE),
    ],
)
def test_an_svg_is_whole_alone_and_small(name: str, paper: Paper, tmp_path: Path) -> None:
    path = save(PAPER_FIGURES[name](origin=TWIN, paper=paper), tmp_path / "a.svg", paper)
    assert path.stat().st_size < 1_000_000
    for element in ElementTree.parse(path).iter():
        for key, value in element.attrib.items():
            if key.endswith("href"):
                assert value.startswith(("#", "data:image/png;base64,"))
            assert "url(http" not in value


def test_a_body_gets_what_a_slide_leaves_it_and_grows_on_a_column() -> None:
    low, high = (
        {
            paper.name: PAPER_FIGURES[name](origin=REAL, paper=paper).get_figheight()
            for paper in (SCREEN, COLUMN, SLIDE)
        }
        for name in ("buildings: one", "buildings: seven")
    )
    assert low["slide"] == high["slide"] == 7.5
    assert low["column"] < high["column"]
    assert low["screen"] < high["screen"]


def test_no_figure_is_left_open() -> None:
    assert plt.get_fignums() == []


def test_the_dots_an_inch_stand_in_the_png_itself(tmp_path: Path) -> None:
    figure = PAPER_FIGURES["duration of 1 day"](origin=REAL, paper=SLIDE)
    raw = save(figure, tmp_path / "a.png", SLIDE).read_bytes()
    place = raw.index(b"pHYs") + 4
    per_metre, _, unit = struct.unpack(">IIB", raw[place : place + 9])
    assert (per_metre, unit) == (round(144 / 0.0254), 1)


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
@pytest.mark.parametrize(
    "name",
    ["captured by one", "captured far below nothing", "frontier of 8", "frontier of cents"],
)
def test_what_is_said_at_a_point_stays_within_its_panel(name: str, paper: Paper) -> None:
    figure = PAPER_FIGURES[name](origin=REAL, paper=paper)
    figure.draw_without_rendering()
    notes = [(ax.bbox, text) for ax in figure.axes for text in ax.texts if text.get_text()]
    assert notes
    for panel, note in notes:
        box = note.get_window_extent()
        assert panel.x0 - 2 <= box.x0 < box.x1 <= panel.x1 + 2, note.get_text()


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
@pytest.mark.parametrize("name", ["frontier of cents", "frontier of 8", "frontier of 8, near"])
def test_names_of_a_frontier_cover_neither_points_nor_its_line(name: str, paper: Paper) -> None:
    figure = PAPER_FIGURES[name](origin=REAL, paper=paper)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    lines = [line for line in ax.lines if line.get_gid() != "knee"]
    notes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert len(notes) == sum(len(line.get_xdata()) for line in lines)
    assert {text.xy for text in ax.texts} == {
        place for line in lines for place in zip(*line.get_data(), strict=True)
    }
    for line in lines:
        ends = ax.transData.transform(np.column_stack(line.get_data()))
        places = [a + t * (b - a) for a, b in pairwise(ends) for t in np.linspace(0, 1, 99)]
        assert not any(box.contains(*place) for box in notes for place in [*ends, *places])
