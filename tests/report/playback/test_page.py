"""The playback as a page: quiet, whole, and usable by keys in a real browser of any width."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report.figures.made import TWIN
from report.figures.made_community import pieces, result, spec
from report.page.test_page import contrast
from report.playback.browser import CHROMIUM, Tab, opened
from report.playback.test_data import POINTS, made

from ems.errors import DataError
from ems.report.playback import render_playback, write_playback

EVIL = '</script><script>alert("1")</script><!--'
browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to look at the page with")


def embedded(html: str) -> Any:
    """The data in a page."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(found[0])


def test_the_page_has_its_data_and_asks_nothing_of_anyone() -> None:
    html = render_playback(made())
    assert embedded(html) == made()
    assert "default-src 'none'" in html
    assert 'name="viewport"' in html
    assert not re.search(r"(src|href|action)\s*=|@import|@font-face|url\(|fetch\(|XMLHttp", html)
    assert "SYNTHETIC DATA" in html
    assert "SYNTHETIC DATA" not in render_playback({**made(), "synthetic": False})


def test_what_a_user_can_name_cannot_break_out() -> None:
    evil = {
        **made(),
        "title": EVIL,
        "homes": [EVIL] * 5,
        "source": EVIL,
        "said": [EVIL],
        "cut": [EVIL],
    }
    html = render_playback(evil)
    assert html.count("<script") == html.count("</script>") == 2
    assert "<!--" not in html
    assert embedded(html)["homes"][0] == EVIL


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_and_lines_stand_out(scheme: int) -> None:
    """Texts by 4.5, lines and bars by 3, as WCAG 2.2 asks (1.4.3, 1.4.11)."""
    found = re.findall(r":root \{(.*?)\}", render_playback(made()), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", found))
    for text in ("text", "soft", "link", "warn"):
        assert contrast(colours[text], colours["page"]) >= 4.5, text
        assert text == "warn" or contrast(colours[text], colours["card"]) >= 4.5, text
    for line in ("shared", "bought", "sold"):
        assert contrast(colours[line], colours["page"]) >= 3.0, line
        assert contrast(colours[line], colours["card"]) >= 3.0, line


def write(file: Path) -> Path:
    return write_playback(pieces(), result(), spec(), file, origin=TWIN, points=POINTS)


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = write(tmp_path / "deep" / "play.html")
    assert file.read_text(encoding="utf-8") == render_playback(made())
    file.unlink()
    file.mkdir()
    with pytest.raises(DataError, match=r"play\.html: the report cannot be written"):
        write(file)
    assert [one.name for one in file.parent.iterdir()] == ["play.html"]


# --- in a browser -------------------------------------------------------------------------------

TABS = ("tab-play", "tab-compare", "tab-homes")
FOCUS = "document.activeElement.id || document.activeElement.getAttribute('aria-label')"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write(tmp_path / "play.html")


@pytest.fixture
def tab(page: Path) -> Iterator[Tab]:
    with opened(page) as tab:
        yield tab
        assert tab.heard == []


def text(tab: Tab, name: str) -> str:
    return str(tab.look(f"document.getElementById('{name}').textContent")).replace("\u00a0", " ")


def step(tab: Tab) -> int:
    return int(tab.look("document.getElementById('step').value"))


@browser
@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False)])
def test_it_is_no_wider_than_the_screen_and_its_console_is_silent(
    page: Path, width: int, dark: bool
) -> None:
    with opened(page, width=width, dark=dark) as tab:
        for name in TABS:
            tab.look(f"document.getElementById('{name}').click()")
            assert tab.look("document.documentElement.scrollWidth") <= width
            open_ = tab.look("[...document.querySelectorAll('[role=tabpanel]')].map(p => p.hidden)")
            assert open_.count(False) == 1
        back = tab.look("getComputedStyle(document.body).backgroundColor")
        assert back == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
        assert tab.heard == []
        assert {address.partition(":")[0] for address in tab.asked_for} == {"file"}
        assert len(tab.asked_for) == 1


@browser
def test_keys_step_by_hours_and_days_and_play(tab: Tab) -> None:
    told = made()
    tab.press("ArrowRight", 3)
    assert step(tab) == 3
    assert text(tab, "when") == told["clock"][3]
    tab.press("ArrowLeft")
    assert step(tab) == 2
    tab.press("PageDown", 2)
    assert step(tab) == 48
    tab.press("PageUp")
    assert step(tab) == 24
    tab.press("End")
    tab.press("ArrowRight")
    assert step(tab) == 71
    tab.press("Home")
    tab.press("ArrowLeft")
    assert step(tab) == 0
    tab.look("document.getElementById('speed').value = '70'")
    tab.press(" ")
    assert text(tab, "go") == "Pause"
    ends = time.monotonic() + 30.0
    while step(tab) < 3 and time.monotonic() < ends:
        time.sleep(0.05)
    tab.press(" ")
    assert text(tab, "go") == "Play"
    stopped = step(tab)
    assert stopped >= 3
    time.sleep(0.3)
    assert step(tab) == stopped


@browser
def test_tab_reaches_everything_in_order_and_shows_where_it_is(tab: Tab) -> None:
    reached = []
    for _ in range(6):
        tab.press("Tab")
        reached.append(tab.look(FOCUS))
        outline = tab.look("getComputedStyle(document.activeElement).outline")
        assert "solid 3px" in outline
    assert reached == ["tab-play", "go", "step", "speed", "home", "Wallets"]
    tab.look("document.getElementById('tab-play').focus()")
    tab.press("ArrowRight", 2)
    assert tab.look(FOCUS) == "tab-homes"
    assert tab.look("document.getElementById('homes').hidden") is False
    places = tab.look("[...document.querySelectorAll('[role=tab]')].map(t => t.tabIndex)")
    assert places == [-1, -1, 0]
    assert step(tab) == 0
    tab.press("ArrowRight")
    assert tab.look(FOCUS) == "tab-play"
    tab.press("Tab", 2)
    tab.press("ArrowRight")
    assert (tab.look(FOCUS), step(tab)) == ("step", 1)


@browser
def test_a_button_under_the_focus_is_pressed_once_by_space(tab: Tab) -> None:
    tab.look("document.getElementById('go').focus()")
    tab.press(" ")
    assert text(tab, "go") == "Pause"
    tab.press(" ")
    assert text(tab, "go") == "Play"


@browser
def test_every_control_has_a_name_and_the_step_is_told_in_words(tab: Tab) -> None:
    tab.press("ArrowRight", 9)
    told = text(tab, "told")
    assert told.startswith(f"{made()['clock'][9]}: ")
    spoken = tab.look("document.getElementById('step').getAttribute('aria-valuetext')")
    assert spoken.replace("\u00a0", " ") == told
    tree = tab.call("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node
        for node in tree
        if node.get("role", {}).get("value") in ("button", "slider", "combobox", "tab", "image")
    ]
    assert len(controls) >= 9
    assert [node for node in controls if not node.get("name", {}).get("value")] == []


@browser
def test_what_is_shown_is_what_the_result_says(tab: Tab) -> None:
    told = made()
    t = next(i for i, price in enumerate(told["prices_mct"]["shared"]) if price is not None)
    tab.press("ArrowRight", t)
    shared_kw = sum(row[t] for row in told["energy_wh"]["received"]) / 1000.0
    assert text(tab, "now-shared") == f"{shared_kw:.2f} kW"
    price = told["prices_mct"]["shared"][t] / 1000.0
    assert f"earned by the seller {price:.1f} ct/kWh" in text(tab, "prices")
    lines = tab.look(
        "[...document.querySelectorAll('#ring g.flow')].filter("
        "g => g.style.visibility === 'visible').length"
    )
    flows = told["energy_wh"]
    assert lines == sum(
        (flows["received"][i][t] > 0)
        + (flows["supplied"][i][t] > 0)
        + (flows["import"][i][t] > flows["received"][i][t])
        + (flows["export"][i][t] > flows["supplied"][i][t])
        for i in range(5)
    )
    tab.press("End")
    wallets = rows(tab, "#wallets")
    homes = told["households"]
    assert [row[-1] for row in wallets] == [f"{signed(home['bill_eur'])} €" for home in homes]
    cells = rows(tab, "#households tbody")
    for home, row in zip(result().homes, cells, strict=True):
        assert row[0] == home.name
        amounts = (home.here_eur, home.alone_eur, home.gain_eur)
        assert row[5:8] == [signed(eur) for eur in amounts]
    cards = text(tab, "cards")
    for mode in result().modes:
        assert f"{signed(mode.cost_eur)} €" in cards
        assert f"{mode.shared_kwh:.1f} kWh" in cards
    rule_eur = result().cost_eur("rule_alone")
    saved = [rule_eur - mode.cost_eur for mode in result().modes if mode.mode != "rule_alone"]
    shown = rows(tab, "#cards figure:nth-child(2) tbody")
    cents = [round(100 * float(row[-1][:-2].replace("−", "-"))) for row in shown]
    assert cents == pytest.approx([100 * eur for eur in saved], abs=1.01)
    for words in ("Savings", "Ranking by gain", "Wallets", "Shared volume", "0.412", "a loser"):
        assert words in cards


def rows(tab: Tab, where: str) -> list[list[str]]:
    """The cells of a table, with plain spaces."""
    cells = "r => [...r.cells].map(c => c.textContent)"
    found = tab.look(f"[...document.querySelectorAll('{where} tr')].map({cells})")
    return [[cell.replace("\u00a0", " ") for cell in row] for row in found]


def signed(eur: float) -> str:
    return f"{round(eur, 2) + 0.0:,.2f}".replace("-", "−")


@browser
def test_a_home_is_chosen_in_the_ring_or_the_list(tab: Tab) -> None:
    tab.look("document.querySelectorAll('#ring .home')[3].dispatchEvent(new Event('click'))")
    assert tab.look("document.getElementById('home').value") == "3"
    assert text(tab, "detail").startswith("home_3: demand ")
    assert tab.look("document.querySelectorAll('#wallets .picked').length") == 1


@browser
def test_whoever_wants_no_motion_gets_none(page: Path) -> None:
    moves = "getComputedStyle(document.querySelector('#ring path.flow')).transitionDuration"
    with opened(page, still=True) as tab:
        assert tab.look(moves) == "0s"
    with opened(page) as tab:
        assert tab.look(moves) == "0.15s"


@browser
def test_a_name_full_of_markup_is_only_text(tmp_path: Path) -> None:
    file = tmp_path / "evil.html"
    evil = {**made(), "homes": [EVIL] * 5}
    file.write_text(render_playback(evil), encoding="utf-8")
    with opened(file) as tab:
        assert tab.look("document.querySelectorAll('#wallets th')[0].textContent").endswith(EVIL)
        assert tab.look("document.querySelectorAll('script').length") == 2
        assert tab.heard == []
