"""The report of a run: whole, self-contained, and honest about what its plans knew."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup, escape
from report.page.made import guessed, report, row, text_of, usual
from small_building import twin_database

from ems.errors import DataError
from ems.report.page import render, write_report
from ems.report.page.page import COLOURS, linked
from ems.report.page.template import PAGE
from ems.store.read import FeedProblem

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
sys.path.insert(0, str(ROOT / "scripts"))


@cache
def page(*args: str) -> str:
    """The report of two days of the twin, run as a person would."""
    with tempfile.TemporaryDirectory() as folder:
        where = ["--db", str(twin_database()), "--results", folder, "--n_days", "2"]
        where += ["--tracking_uri", f"sqlite:///{folder}/mlflow.db", "--figures", "off"]
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts/01_run.py"), *where, *args],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=folder,
        )
        assert (done.returncode, done.stderr) == (0, "")
        (file,) = Path(folder, "reports").glob("comparison_*.html")
        return file.read_text(encoding="utf-8")


def test_it_asks_nothing_of_anyone() -> None:
    check_quiet(page())


def test_it_says_what_was_asked_with_what_and_what_came_out() -> None:
    text = text_of(page())
    for part in (
        "The question",
        "The data and their quality",
        "assumed: near the German household mean of 2016",
        "rule-based",
        "One day explained",
        "python scripts/01_run.py",
    ):
        assert part in text, part
    assert re.search("synthetic", text, re.IGNORECASE)
    assert "upper bound" in text
    assert "What came of this plan" not in text


def test_on_forecasts_it_does_not_speak_of_an_upper_bound_of_its_own_plans() -> None:
    text = text_of(page("--foresight", "forecast", "--forecaster", "persistence"))
    assert "Plans are made from persistence forecasts" in text
    assert "upper bound" not in text
    assert "as midnight saw it" in text
    assert "What came of this plan" in text


def test_every_hour_of_the_explained_day_has_its_reason() -> None:
    hour = r'<div class="hour"><div><time[^>]*>(.*?)</time>(.*?)(?=<div class="hour">|</section>)'
    hours = re.findall(hour, page(), re.DOTALL)
    assert [clock for clock, _ in hours] == [f"{hour:02}:00" for hour in range(24)]
    for _, told in hours:
        assert "worth" in told
        assert told.count("<p>") >= 2


def test_no_password_reaches_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from planning import command_line

    address = "postgresql://me:secret@host/runs"
    monkeypatch.setattr(sys, "argv", ["scripts/01_run.py", "--tracking_uri", address])
    told = command_line()
    assert "secret" not in told
    assert "host/runs" in told


# --- the page as such --------------------------------------------------------------------------


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and which were left open."""

    EMPTY = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_quiet(html: str) -> None:
    """Nothing in the page makes a browser ask for more: only links to click have addresses."""
    tags = Tags(html)
    assert tags.open == []
    assert {"script", "link", "img", "iframe", "object", "embed", "base"}.isdisjoint(
        tag for tag, _ in tags.found
    )
    for tag, attributes in tags.found:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "srcset", "href", "xlink:href", "data", "action", "poster"):
                assert (tag, name) == ("a", "href"), (tag, name)
                assert value.startswith("https://"), value
            assert "url(" not in value
    assert not re.search(r"@import|url\(|@font-face", html)
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


EVIL = '<script>alert("1")</script>'


def test_what_a_user_can_name_cannot_break_out() -> None:
    run = usual()
    evil_building = f"{EVIL}&home"
    window = replace(run.window, building=evil_building, skipped={date(2016, 6, 9): EVIL})
    summaries = [replace(summary, building=evil_building) for summary in run.summaries]
    tariff = replace(
        run.spec.tariff,
        name=EVIL,
        description=EVIL,
        figures=tuple(replace(figure, source=EVIL) for figure in run.spec.tariff.figures),
    )
    problem = FeedProblem(feed=EVIL, rule=EVIL, days=1, steps=1)
    html = render(
        report(
            run,
            command=f"python scripts/01_run.py --db {EVIL}",
            run_id=EVIL,
            spec=replace(run.spec, tariff=tariff),
            chosen=[(run.building, window)],
            known=[replace(row(evil_building, problem))],
            summaries=summaries,
            captured=[],
            example=replace(run.example, building=evil_building),
        )
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 10
    check_quiet(html)


def test_an_address_or_a_doi_becomes_a_link_and_nothing_else_does() -> None:
    assert linked("see 10.25832/household_data/2020-04-15.") == Markup(
        'see <a href="https://doi.org/10.25832/household_data/2020-04-15" rel="noreferrer">'
        "10.25832/household_data/2020-04-15</a>."
    )
    assert linked("at https://example.org/a?b=1&c=2, x") == Markup(
        'at <a href="https://example.org/a?b=1&amp;c=2" rel="noreferrer">'
        "https://example.org/a?b=1&amp;c=2</a>, x"
    )
    assert linked('javascript:alert(1) <b> "q" 3.10/2') == Markup(
        "javascript:alert(1) &lt;b&gt; &#34;q&#34; 3.10/2"
    )
    assert "<a" not in linked('"https:')
    assert linked("<b> 10.1000/x") == Markup(
        '&lt;b&gt; <a href="https://doi.org/10.1000/x" rel="noreferrer">10.1000/x</a>'
    )
    check_quiet(render(report(usual(), run_id='https://a.b/"onclick="x')))


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    made, target = report(usual()), tmp_path / "deep" / "page.html"
    assert write_report(made, target) == target
    assert target.read_text(encoding="utf-8") == render(made)
    assert [file.name for file in target.parent.iterdir()] == ["page.html"]
    target.unlink()
    target.mkdir()
    with pytest.raises(DataError, match=r"page\.html: the report cannot be written"):
        write_report(made, target)
    assert [file.name for file in target.parent.iterdir()] == ["page.html"]


def luminance(colour: str) -> float:
    """Relative luminance of sRGB (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_texts_and_figures_stand_out_in_light_and_dark(scheme: int) -> None:
    """4.5 for texts and 3 for what is drawn, as WCAG 2.2 asks (1.4.3 and 1.4.11)."""
    colours = dict(
        re.findall(r"--([\w-]+): (#\w{6})", re.findall(r":root \{(.*?)\}", PAGE, re.S)[scheme])
    )
    for text in ("text", "soft", "link", "warn"):
        assert contrast(colours[text], colours["page"]) >= 4.5, text
    assert contrast(colours["warn"], colours["warn-card"]) >= 4.5
    assert contrast(colours["text"], colours["card"]) >= 4.5
    for name in COLOURS:
        assert contrast(colours[name], colours["page"]) >= 3.0, name


def test_every_colour_of_a_figure_is_a_colour_of_the_page() -> None:
    html = render(report(usual())) + render(report(guessed()))
    used = set(re.findall(r'class="(?:fill|line|key|dash) (\w+)"', html))
    assert used - {"halo"} <= set(COLOURS)
    assert {"sun", "battery", "car", "worth", "plan"} <= used


WIDE = """<!doctype html><body style="margin:0"><iframe id="f" width="{width}" height="900"
style="border:0" srcdoc="{page}"></iframe><script>
document.getElementById("f").onload = function () {{
  var inside = this.contentDocument, root = inside.scrollingElement;
  inside.querySelectorAll("details").forEach(function (d) {{ d.open = true; }});
  var boxes = inside.querySelectorAll(".wide"), scrolled = 0;
  boxes.forEach(function (b) {{ if (b.scrollWidth > b.clientWidth) scrolled += 1; }});
  document.title = root.scrollWidth + " " + this.contentWindow.innerWidth + " " + scrolled;
}};</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to look at the page with")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_no_wider_than_the_screen(tmp_path: Path, width: int) -> None:
    """What is wide scrolls inside its own box."""
    file = tmp_path / "page.html"
    file.write_text(WIDE.format(width=width, page=escape(page())), encoding="utf-8")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    seen = subprocess.run(
        [str(CHROMIUM), *quiet, "--virtual-time-budget=5000", "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    title = re.search(r"<title>(\d+) (\d+) (\d+)</title>", seen)
    assert title, seen[:200]
    needed, given, scrolled = map(int, title.groups())
    assert given == width
    assert needed <= given
    assert (scrolled > 0) == (width == 390)
