"""What holds for every figure on every paper."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from report.figures.every import ODD, USUAL
from report.figures.made import REAL, TWIN, all_text, clashes

from ems.report.figures.page import save
from ems.report.figures.paper import COLUMN, PAGE, PAPERS, SCREEN, SLIDE, Paper

EVERY = {**USUAL, **ODD}
ALL_PAPERS = {**PAPERS, "page": PAGE}
WHERE = [(name, paper) for name in USUAL for paper in ALL_PAPERS]
WHERE += [(name, paper) for name in ODD for paper in ("screen", "column")]
each_paper = pytest.mark.parametrize("paper", ALL_PAPERS.values(), ids=ALL_PAPERS)


@pytest.mark.parametrize(("name", "on"), WHERE, ids=[f"{name} on {on}" for name, on in WHERE])
def test_nothing_overlaps_leaves_the_page_is_too_small_or_lacks_a_unit(name: str, on: str) -> None:
    paper = ALL_PAPERS[on]
    figure = EVERY[name](origin=TWIN, paper=paper)
    found = clashes(figure)
    if "frontier" in name:  # its legend stands in the line of a panel's title
        found = [clash for clash in found if "legend" not in clash]
    assert found == []
    least_pt = min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text())
    assert least_pt >= (5.0 if paper is COLUMN else 6.5)
    text = all_text(figure)
    assert "SYNTHETIC DATA" in text
    labels = [label for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel())]
    assert any("[" in label for label in labels) or "[" in text or "skill" in labels
    whole = figure.get_label()
    assert "Synthetic twin, not measured" in whole
    assert whole.endswith(f"Data: {TWIN.source}.")


@each_paper
@pytest.mark.parametrize("name", ["planned day", "cost", "captured by one", "habit", "energies"])
def test_texts_stand_in_the_figure_or_in_its_caption(name: str, paper: Paper) -> None:
    figure = USUAL[name](origin=REAL, paper=paper)
    said, shown = str(figure.get_label()), " ".join(all_text(figure).split())
    assert "ynthetic" not in said
    assert "SYNTHETIC" not in shown
    assert (REAL.source in shown) == (not paper.captioned)
    title = said.partition(". ")[0].split(" · ")[0]
    assert paper.captioned or title in shown


@pytest.mark.parametrize(
    ("name", "paper"), [("habit", COLUMN), ("maps", SLIDE), ("planned day", PAGE), ("cost", SCREEN)]
)
def test_the_same_figure_is_the_same_file_with_its_caption_and_small(
    name: str, paper: Paper, tmp_path: Path
) -> None:
    for kind in ("png", "svg"):
        figures = [USUAL[name](origin=TWIN, paper=paper) for _ in range(2)]
        with mpl.rc_context({"font.size": 33.0, "font.family": "serif", "axes.grid": True}):
            figures.append(USUAL[name](origin=TWIN, paper=paper))
            settings = dict(mpl.rcParams)
            paths = [save(f, tmp_path / f"{i}.{kind}", paper) for i, f in enumerate(figures)]
            assert dict(mpl.rcParams) == settings
        assert len({path.read_bytes() for path in paths}) == 1
        assert paths[0].stat().st_size < 1_000_000
    said = figures[0].get_label()
    root = ElementTree.parse(paths[0]).getroot()
    (kept,) = root.iter("{http://purl.org/dc/elements/1.1/}description")
    assert kept.text == said
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not key.endswith("href") or value.startswith(("#", "data:image/png;base64,"))
            assert "url(http" not in value
    with Image.open(tmp_path / "0.png") as image:
        image.load()
        assert image.text["Description"] == said  # type: ignore[attr-defined]
        assert image.info["dpi"] == pytest.approx((paper.dpi, paper.dpi), abs=0.02)
        size_in = figures[0].get_size_inches()
        assert image.size == tuple(int(side * paper.dpi) for side in size_in)


def test_places_in_a_saved_figure_are_fixed_to_a_millionth_of_it(tmp_path: Path) -> None:
    figure = USUAL["habit"](origin=TWIN, paper=SCREEN)
    save(figure, tmp_path / "habit.svg")
    boxes = [ax.get_position(original=True).get_points() for ax in figure.axes]
    assert np.allclose(1e6 * np.array(boxes), np.rint(1e6 * np.array(boxes)), rtol=0.0, atol=1e-6)


def test_papers_have_their_size_and_letters() -> None:
    assert COLUMN.width_in == pytest.approx(85.0 / 25.4)
    slide = USUAL["savings by building"](origin=REAL, paper=SLIDE)
    assert tuple(slide.dpi * slide.get_size_inches()) == (1920.0, 1080.0)
    for paper in ALL_PAPERS.values():
        (ax,) = USUAL["duration"](origin=REAL, paper=paper).axes
        assert ax.xaxis.label.get_fontsize() == paper.text_pt
        assert {tick.get_fontsize() for tick in ax.get_xticklabels()} == {paper.small_pt}
        assert ax.patches[0].get_linewidth() == pytest.approx(1.6 * paper.text_pt / 9.5)
    low, high = (
        EVERY[name](origin=REAL, paper=COLUMN).get_figheight()
        for name in ("buildings: one", "savings by building")
    )
    assert low < high


def test_a_figure_of_the_page_is_text_on_the_background_of_the_page(tmp_path: Path) -> None:
    path = save(USUAL["cost"](origin=REAL, paper=PAGE), tmp_path / "a.svg", PAGE)
    svg = path.read_text(encoding="utf-8")
    assert "cost so far [€]</text>" in svg
    assert "#ffffff" not in svg
