"""The page as such: whole, self-contained, readable, and safe from what users may name."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from markupsafe import escape
from report.page.made import BARE, SPEC, done, guessed, house, report, row, usual
from report.page.parsed import Page
from report.page.test_contents import comfort, search, searched

from ems.errors import DataError
from ems.report.page import Report, render, write_report
from ems.report.page.page import linked
from ems.store.read import FeedProblem

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FORBIDDEN = {"script", "link", "img", "image", "iframe", "object", "embed", "base", "style"}
"""``style``: of a picture, which would be one of the whole page."""


@pytest.mark.parametrize(
    "made",
    [
        lambda: report(usual()),
        lambda: report(guessed()),
        lambda: report(done(house(sunny=False), replace(SPEC, assets=BARE), n_days=1)),
        comfort,
        lambda: search(searched()),
    ],
    ids=["perfect", "forecast", "bare", "comfort", "search"],
)
def test_a_page_is_whole_and_asks_nothing_of_anyone(made: Callable[[], Report]) -> None:
    html = render(made())
    check_quiet(html)
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html


def check_quiet(html: str) -> None:
    """Only links to click have addresses, ids are there once and where they are used."""
    body = Page.of(html).part.find("body")
    assert body is not None
    ids, used = Counter[str](), set[str]()
    for element in body.iter():
        assert element.tag not in FORBIDDEN
        for name, value in element.attrib.items():
            assert not name.startswith("on"), (element.tag, name)
            if name == "id":
                ids[value] += 1
            used |= set(re.findall(r"url\((.*?)\)", value))
            if re.search("href|src|data$|action|poster", name) and element.tag == "a":
                assert value.startswith("https://"), value
            elif re.search("href|src|data$|action|poster", name):
                used.add(value)
    assert all(ref.startswith("#") for ref in used)
    assert set(ids.values()) <= {1}
    assert {ref.removeprefix("#") for ref in used} <= set(ids)
    assert not re.search(r"@import|@font-face|url\([^#]", html)


EVIL = '<script>alert("1")</script>'


def test_what_a_user_can_name_cannot_break_out() -> None:
    run, home = usual(), f"{EVIL}&home"
    window = replace(run.window, building=home, skipped={date(2016, 6, 9): EVIL})
    tariff = replace(
        run.spec.tariff,
        name=EVIL,
        description=EVIL,
        figures=tuple(replace(figure, source=EVIL) for figure in run.spec.tariff.figures),
    )
    made = report(
        run,
        command=f"python scripts/01_run.py --db {EVIL}",
        run_id=EVIL,
        spec=replace(run.spec, tariff=tariff),
        chosen=[(run.building, window)],
        known=[row(home, FeedProblem(feed=EVIL, rule=EVIL, days=1, steps=1))],
        summaries=[replace(summary, building=home) for summary in run.summaries],
        captured=[],
        example=replace(run.planned[0], building=home),
    )
    html = render(made)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 10
    check_quiet(html)
    assert f"{home}: saved against as metered" in Page.of(html).pictures


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see 10.25832/a/2020.", "see {https://doi.org/10.25832/a/2020|10.25832/a/2020}."),
        ("at https://a.b/?c&d, x", "at {https://a.b/?c&amp;d|https://a.b/?c&amp;d}, x"),
        ('javascript:x <b> 3.10/2 "https:', "javascript:x &lt;b&gt; 3.10/2 &#34;https:"),
        ('https://a.b/"onclick="x', "{https://a.b/|https://a.b/}&#34;onclick=&#34;x"),
    ],
)
def test_an_address_or_a_doi_becomes_a_link_and_nothing_else_does(text: str, shown: str) -> None:
    anchor = r'<a href="\1" rel="noreferrer">\2</a>'
    assert linked(text) == re.sub(r"\{(.*?)\|(.*?)\}", anchor, shown)


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    made, target = search(searched()), tmp_path / "deep" / "page.html"
    assert write_report(made, target).read_text(encoding="utf-8") == render(search(searched()))
    target.unlink()
    target.mkdir()
    with pytest.raises(DataError, match=r"page\.html: the report cannot be written"):
        write_report(made, target)
    assert [file.name for file in target.parent.iterdir()] == ["page.html"]


def contrast(one: str, other: str) -> float:
    """Of two colours of sRGB (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_stand_out(scheme: int) -> None:
    """By 4.5, as WCAG 2.2 asks (1.4.3)."""
    found = re.findall(r":root \{(.*?)\}", render(search(searched())), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", found))
    for text in ("text", "soft", "link", "warn"):
        assert contrast(colours[text], colours["page"]) >= 4.5, text
    assert contrast(colours["warn"], colours["warn-card"]) >= 4.5
    assert contrast(colours["text"], colours["card"]) >= 4.5


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
    file, html = tmp_path / "page.html", render(report(usual()))
    file.write_text(WIDE.format(width=width, page=escape(html)), encoding="utf-8")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    seen = subprocess.run(
        [str(CHROMIUM), *quiet, "--virtual-time-budget=5000", "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    needed, given, scrolled = map(int, re.findall(r"<title>(\d+) (\d+) (\d+)</title>", seen)[0])
    assert needed <= given == width
    assert (scrolled > 0) == (width == 390)
