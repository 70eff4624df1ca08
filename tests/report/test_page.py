"""The report of a run: whole, self-contained, and honest about what its plans knew."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from small_building import twin_database

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
sys.path.insert(0, str(ROOT / "scripts"))


@cache
def page(*args: str) -> str:
    """The report of two days of the twin, run as a person would."""
    import tempfile

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


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_it_asks_nothing_of_anyone() -> None:
    html = page()
    for pattern in (r"<script", r"<link", r"@import", r"url\(", r"""src\s*=\s*["'](?!data:)"""):
        assert not re.search(pattern, html), pattern
    assert "prefers-color-scheme" in html


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
    assert "not what was carried out" not in text


def test_on_forecasts_it_does_not_speak_of_an_upper_bound_of_its_own_plans() -> None:
    text = text_of(page("--foresight", "forecast", "--forecaster", "persistence"))
    assert "Plans are made from persistence forecasts" in text
    assert "not what was carried out" in text


def test_every_hour_of_the_explained_day_has_its_reason() -> None:
    text = text_of(page())
    assert len(re.findall(r"\b([01]\d|2[0-3]):00\b", text)) >= 24


def test_no_password_reaches_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from planning import command_line

    address = "postgresql://me:secret@host/runs"
    monkeypatch.setattr(sys, "argv", ["scripts/01_run.py", "--tracking_uri", address])
    told = command_line()
    assert "secret" not in told
    assert "host/runs" in told


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to look at the page with")
def test_a_browser_shows_it_at_the_width_of_a_phone(tmp_path: Path) -> None:
    file, shot = tmp_path / "page.html", tmp_path / "page.png"
    file.write_text(page(), encoding="utf-8")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    subprocess.run(
        [str(CHROMIUM), *quiet, f"--screenshot={shot}", "--window-size=390,2000", file.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert shot.stat().st_size > 20_000
