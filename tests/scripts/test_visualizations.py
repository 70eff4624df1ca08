"""``create_comprehensive_visualizations.py`` and whatever a person may get wrong with it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import duckdb
import pytest
from called_script import SCRIPTS, Done, call, one_line
from matplotlib.figure import Figure
from PIL import Image
from report.stored.stored import Stored, stored

import create_comprehensive_visualizations as script  # isort: skip - lies in scripts

HOME, OTHER = "DE_KN_residential4", "DE_KN_residential1"
NAME = "create_comprehensive_visualizations.py"
SOME = ("--figures", "modes", "--sizes", "column", "--formats", "png")


class Place:
    """A folder with a copy of the stored results, from which one test draws."""

    def __init__(self, made: Stored, folder: Path) -> None:
        self.made = made
        self.results = folder / "res"
        self.results.mkdir()
        self.database = self.results / "ems_results.duckdb"
        shutil.copy(made.database, self.database)
        self.out = folder / "out"

    def id_of(self, name: str) -> str:
        return self.made.made[name].run_id

    def args(self, *args: str) -> list[str]:
        where = ["--results", str(self.results), "--out", str(self.out)]
        return [*where, "--tracking_uri", self.made.tracking_uri, *args]

    def call(self, *args: str) -> Done:
        """The last of two options counts."""
        return call(NAME, *self.args(*args))

    def change(self, sql: str, *values: object) -> None:
        with duckdb.connect(str(self.database)) as con:
            con.execute(sql, values)

    @property
    def files(self) -> list[str]:
        """Every file below the folder of figures."""
        return sorted(str(f.relative_to(self.out)) for f in self.out.rglob("*") if f.is_file())


@pytest.fixture(scope="module")
def made() -> Stored:
    return stored()


@pytest.fixture
def place(made: Stored, tmp_path: Path) -> Place:
    return Place(made, tmp_path)


# --- what works -----------------------------------------------------------------------------------


def test_the_list_shows_every_run_and_draws_nothing(place: Place) -> None:
    done = place.call("--list")
    assert (done.code, done.err) == (0, "")
    assert "5 runs" in done.out
    for name, pipeline, building in (
        ("home", "comparison", HOME),
        ("habits", "integrated", HOME),
        ("rates", "probability", HOME),
    ):
        row = rf"{place.id_of(name)[:8]} │ {pipeline} +│ {building} +│ .*FINISHED │ synthetic"
        assert re.search(row, done.out)
    assert not place.out.exists()


def test_every_figure_of_the_newest_runs_is_drawn(place: Place) -> None:
    done = place.call("--formats", "svg", "--sizes", "column")
    assert (done.code, done.err) == (0, "")
    assert "left out" not in done.out
    assert done.out.count("SYNTHETIC DATA") == 3
    a, b, c = (place.id_of(name)[:8] for name in ("forecast", "habits", "rates"))
    names = [
        *(f"{a}/{OTHER}_{what}" for what in ("error_cost", "heat_maps", "load_duration", "modes")),
        "all_runs/captured_share",
        "all_runs/savings_by_building",
        *(f"{b}/{HOME}_{what}" for what in ("frontier", "heat_maps", "load_duration")),
        *(f"{c}/{HOME}_dishwasher_{p}_habit" for p in ("learned", "uniform")),
        *(f"{c}/{HOME}_dishwasher_{p}_hyperparameters" for p in ("learned", "uniform")),
    ]
    drawn = [file for file in place.files if file.endswith(".svg")]
    habits = [file for file in drawn if file.startswith(b) and file.endswith("habit_column.svg")]
    assert habits
    assert sorted({*drawn} - {*habits}) == sorted(f"{name}_column.svg" for name in names)
    for file in drawn:
        ElementTree.parse(place.out / file)
        name = Path(file).name.removesuffix("_column.svg")
        captions = (place.out / file).parent / "captions.md"
        assert f"**{name}.** " in captions.read_text(encoding="utf-8")


def test_sizes_and_formats_as_asked(place: Place) -> None:
    run = place.id_of("home")
    args = (run[:10], "--figures", "duration", "--sizes", "slide,column,slide")
    done = place.call(*args, "--formats", "png,svg")
    assert (done.code, done.err) == (0, "")
    ends = ("column.png", "column.svg", "slide.png", "slide.svg")
    stems = [f"{run[:8]}/{HOME}_load_duration_{end}" for end in ends]
    assert place.files == [*stems, f"{run[:8]}/captions.md"]
    with Image.open(place.out / stems[2]) as image:
        assert image.size == (1920, 1080)


def test_captions_stand_in_the_file_of_their_folder_and_stay_there(place: Place) -> None:
    run = place.id_of("home")
    file = place.out / run[:8] / "captions.md"
    assert place.call(run, *SOME).code == 0
    first = file.read_text(encoding="utf-8")
    assert place.call(run, *SOME, "--figures", "duration").code == 0
    assert place.call(run, *SOME).code == 0
    both = file.read_text(encoding="utf-8")
    assert first.strip() in both
    paragraphs = both.strip().split("\n\n")
    assert [text.split(".** ")[0] for text in paragraphs] == [
        f"**{HOME}_load_duration",
        f"**{HOME}_modes",
    ]
    assert all(text.endswith("(CC-BY-4.0).") for text in paragraphs)
    assert "Synthetic twin, not measured." in both
    assert not file.read_text(encoding="utf-8").startswith(" ")


def test_the_default_place_lies_below_the_results(place: Place) -> None:
    run = place.id_of("home")
    where = ["--results", place.results, "--tracking_uri", place.made.tracking_uri]
    assert call(NAME, *where, run, *SOME).code == 0
    folder = place.results / "figures" / run[:8]
    assert {file.name for file in folder.iterdir()} == {"captions.md", f"{HOME}_modes_column.png"}


def test_a_mode_may_be_spelled_as_in_britain(place: Place) -> None:
    run = place.id_of("home")
    done = place.call(run, *SOME, "--figures", "maps", "--mode", "centralised_phases")
    assert (done.code, done.err) == (0, "")
    text = (place.out / run[:8] / "captions.md").read_text(encoding="utf-8")
    assert "centralized, phases" in text


def test_a_run_that_was_stopped_is_drawn_with_a_warning(place: Place) -> None:
    run = place.id_of("other")
    place.change("UPDATE run SET status = 'KILLED' WHERE run_id = ?", run)
    place.change("DELETE FROM day_result WHERE run_id = ? AND day > '2016-10-29'", run)
    done = place.call(run, *SOME)
    assert (done.code, done.err) == (0, "")
    assert f"warning {run[:8]} is KILLED: its figures show what was finished" in done.words
    assert "Sat 29 Oct 2016" in (place.out / run[:8] / "captions.md").read_text(encoding="utf-8")


def test_what_is_missing_is_said_and_the_rest_is_drawn(place: Place, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'none.db'}"
    done = place.call(place.id_of("habits"), *SOME, "--figures", "frontier,duration,captured")
    assert "left out captured_share: no run of Pipeline A on forecasts" in done.words
    done = place.call(
        place.id_of("habits"), *SOME, "--figures", "frontier,duration", "--tracking_uri", store
    )
    assert (done.code, done.err) == (0, "")
    assert f"left out frontier: no runs at {tmp_path / 'none.db'}; make some" in done.words
    assert f"{place.id_of('habits')[:8]}/{HOME}_load_duration_column.png" in place.files


@pytest.mark.parametrize("name", ["../../up [bold] 50 % ö", "é" * 150])
def test_a_building_may_have_any_name(place: Place, name: str) -> None:
    run = place.id_of("home")
    for table in ("day_result", "horizon_step", "plan_step"):
        place.change(f"UPDATE {table} SET building = ? WHERE run_id = ?", name, run)
    done = place.call(run, *SOME, "--figures", "modes,duration,maps,savings_by_building")
    assert (done.code, done.err) == (0, "")
    parts = [file.split("/") for file in place.files]
    assert {len(part) for part in parts} == {2}
    assert {part[0] for part in parts} == {run[:8], "all_runs"}
    assert len(parts) == 4 + 2
    assert sorted(p.name for p in place.out.parent.iterdir()) == ["out", "res"]
    assert name.split("/")[0] in (place.out / run[:8] / "captions.md").read_text(encoding="utf-8")


# --- what a person may get wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ("--figures", "nope"),
            "--figures: 'nope' is unknown; known: savings_by_building, captured, modes",
        ),
        (("--figures", "modes,"), "--figures: '' is unknown"),
        (("--sizes", "poster"), "--sizes: 'poster' is unknown; known: column, slide, screen"),
        (("--formats", "pdf"), "--formats: 'pdf' is unknown; known: png, svg"),
        (("--building", "nope"), f"'nope' is in none of the runs; they have {OTHER}, {HOME}"),
        (("zz",), "no run's id starts with 'zz' among the 5 kept; see them with --list"),
        (("",), "no run's id starts with '' among"),
        (("--results", "/no/such"), "/no/such/ems_results.duckdb: there are no results yet; run"),
        (("--out", " "), "--out: ' ' names no file or folder"),
        (("--tracking_uri", "ftp://x"), "tracking_uri is 'ftp://x', allowed are sqlite:"),
    ],
)
def test_bad_input_is_one_line(place: Place, args: tuple[str, ...], says: str) -> None:
    one_line(place.call(*args), says)
    assert not place.out.exists()


def test_a_beginning_of_several_ids_names_them(place: Place) -> None:
    for i, name in enumerate(("home", "other", "habits")):
        new = f"abc{i}" + place.id_of(name)[4:]
        place.change("UPDATE run SET run_id = ? WHERE run_id = ?", new, place.id_of(name))
    one_line(
        place.call("abc"), r"3 runs start with 'abc' \((abc\d..., ){2}abc\d..., …\); give more"
    )


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("rates", ("--figures", "modes"), "the pipeline probability makes no figure of modes"),
        ("home", ("--figures", "captured"), "make one with 01_run.py --foresight forecast"),
        ("home", ("--figures", "maps", "--mode", "nope"), "'nope' was not run; there are as_m"),
        ("habits", ("--figures", "modes"), "the pipeline integrated makes no figure of modes"),
    ],
)
def test_a_call_that_draws_nothing_says_why(
    place: Place, name: str, args: tuple[str, ...], says: str
) -> None:
    done = place.call(place.id_of(name), *args)
    one_line(done, "nothing could be drawn: see above what is missing, or choose other runs")
    assert re.search(says, done.words)
    assert not place.out.exists()


def test_results_of_no_run(place: Place) -> None:
    place.change("DELETE FROM run")
    one_line(place.call(), "none of 0 runs has come to its end")
    assert "0 runs" in place.call("--list").out


def test_results_of_an_older_schema(place: Place) -> None:
    place.change("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
    one_line(place.call("--list"), "results schema version is 1, expected 6; move the file away")


def test_results_that_are_none(place: Place) -> None:
    place.database.write_bytes(b"this is no database" * 500)
    one_line(place.call(), "ems_results.duckdb: the results database ")
    place.database.unlink()
    with duckdb.connect(str(place.database)) as con:
        con.execute("CREATE TABLE other (x INTEGER)")
    one_line(place.call(), "not a results database of ems; move it away or give other --results")


def test_results_that_are_cut(place: Place) -> None:
    place.database.write_bytes(place.database.read_bytes()[:40_000])
    one_line(place.call(), "ems_results.duckdb: the results database ")


def test_a_file_where_the_folder_of_figures_should_be(place: Place) -> None:
    place.out.write_text("in the way")
    one_line(place.call(place.id_of("home"), *SOME), "modes_column.png: .*cannot be written")
    assert place.out.read_text() == "in the way"


def test_a_place_where_nobody_may_write(place: Place) -> None:
    done = place.call(place.id_of("home"), *SOME, "--out", "/proc/nothing")
    one_line(done, "/proc/nothing/.*modes_column.png: the figure cannot be written")


def test_captions_that_cannot_be_written(place: Place) -> None:
    run = place.id_of("home")
    file = place.out / run[:8] / "captions.md"
    file.mkdir(parents=True)
    one_line(place.call(run, *SOME), "captions.md: the captions cannot be written .*move it away")
    assert place.files == [f"{run[:8]}/{HOME}_modes_column.png"]
    file.rmdir()
    file.write_bytes(b"\xff\xfe no text")
    one_line(place.call(run, *SOME), "captions.md: the captions cannot be written .*move it away")
    assert file.read_bytes() == b"\xff\xfe no text"


# --- Ctrl-C ---------------------------------------------------------------------------------------


def test_an_interrupted_figure_leaves_nothing_half_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = place.id_of("home")
    assert place.call(run, *SOME).code == 0
    before = {file: (place.out / file).read_bytes() for file in place.files}
    assert len(before) == 2
    savefig = Figure.savefig

    def cut(figure: Figure, file: Path, **kwargs: object) -> None:
        savefig(figure, file, **kwargs)
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", cut)
    done = place.call(run, *SOME, "--formats", "png,svg")
    assert done.code == 130
    assert done.err == "error: interrupted; what was finished is kept\n"
    assert {file: (place.out / file).read_bytes() for file in place.files} == before


def test_ctrl_c_keeps_whole_figures_with_their_captions(place: Place) -> None:
    command = [sys.executable, str(SCRIPTS / NAME), *place.args("--sizes", "column,slide,screen")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not list(place.out.rglob("*.svg")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=30)
    assert err == "error: interrupted; what was finished is kept\n"
    assert process.returncode == 130
    assert [file for file in place.files if ".tmp" in file] == []
    for file in place.files:
        if file.endswith(".svg"):
            ElementTree.parse(place.out / file)
        elif file.endswith(".png"):
            with Image.open(place.out / file) as image:
                image.load()


def test_the_names_it_takes_are_those_it_can_draw() -> None:
    from ems.report.figures.paper import PAPERS
    from ems.report.stored import KINDS

    assert tuple(KINDS) == script.KINDS
    assert set(script.SIZES) == set(PAPERS)
