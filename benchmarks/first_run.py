"""Where the time of a first and of a second ``python scripts/01_run.py`` goes.

    python benchmarks/first_run.py [options of scripts/01_run.py]

In a fresh clone of the last commit the script is run twice: first without a database, figures or
an experiment store, then with them. A thread looks every few milliseconds at what the script is
doing and books the time on the room of ``ems`` it is in; whoever imports is booked on imports.
MLflow has a process of its own: ``tracking`` is how long the script waits for it. Seconds of wall
clock; ``CPU`` counts both processes.
"""

from __future__ import annotations

import json
import resource
import runpy
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread, main_thread
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
EVERY_S = 0.01

PHASES = (
    ("imports", ("importlib._bootstrap",)),
    ("twin", ("ems/twin/", "ems/store/build", "ems/store/ingest/")),
    ("page", ("ems/report/page/",)),
    ("figures", ("ems/report/",)),
    ("tracking", ("ems/tracking/",)),
    ("planning", ("ems/pipelines/", "ems/control/", "ems/core/", "ems/agents/", "ems/economics/")),
    ("reading", ("ems/store/", "ems/site/", "ems/forecast/")),
    ("script", ("",)),
)
"""A phase and the parts of file names by which it is known; the first that fits counts."""


def phase_of(frame: FrameType | None) -> str:
    """The phase that a stack of calls belongs to."""
    files = []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return next(name for name, parts in PHASES if any(p in f for p in parts for f in files))


class Watched:
    """Standard output that notes when the first word and the first table were written."""

    def __init__(self) -> None:
        self.out, self.started, self.seen = sys.stdout, time.perf_counter(), {}

    def write(self, text: str) -> int:
        """Pass the text on to nobody, and note when it came."""
        now = time.perf_counter() - self.started
        self.seen.setdefault("first word", now)
        if "cost €" in text:
            self.seen.setdefault("table", now)
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.out, name)


def watch(script: Path, report: Path) -> None:
    """Run the script in this process and write what was seen."""
    samples: Counter[str] = Counter()
    done = Event()

    def look() -> None:
        last = time.perf_counter()
        while not done.wait(EVERY_S):
            now = time.perf_counter()
            samples[phase_of(sys._current_frames().get(main_thread().ident))] += now - last
            last = now

    sys.path[0] = str(script.parent)
    sys.argv = [str(script), *sys.argv[4:]]
    sys.stdout = watched = Watched()
    Thread(target=look, daemon=True).start()
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        code = end.code
    done.set()
    watched.seen["end"] = time.perf_counter() - watched.started
    own = resource.getrusage(resource.RUSAGE_SELF)
    found = {"code": code, "seconds": samples, "seen": watched.seen}
    report.write_text(json.dumps(found | {"cpu_s": own.ru_utime + own.ru_stime}))


def run(clone: Path, report: Path) -> dict:
    """One run of the script in the clone."""
    command = [sys.executable, __file__, "--watch", str(clone / "scripts" / "01_run.py")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, str(report), *sys.argv[1:]], cwd=clone, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(report.read_text())
    if found["code"]:
        sys.exit(f"the script ended with {found['code']}")
    all_cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found | {"all_cpu_s": all_cpu_s}


def main() -> None:
    """Run twice and show both side by side."""
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "ems"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        first, second = (run(clone, Path(folder) / "report.json") for _ in range(2))
    print(f"{'seconds':24} {'first run':>10} {'second':>10}")
    for name, _ in PHASES:
        cells = [run["seconds"].get(name, 0.0) for run in (first, second)]
        print(f"{name:24} {cells[0]:10.1f} {cells[1]:10.1f}")
    for name in ("first word", "table", "end"):
        label = f"until the {name}"
        print(f"{label:24} {first['seen'].get(name, 0):10.1f} {second['seen'].get(name, 0):10.1f}")
    print(f"{'CPU of the script':24} {first['cpu_s']:10.1f} {second['cpu_s']:10.1f}")
    print(f"{'CPU with MLflow':24} {first['all_cpu_s']:10.1f} {second['all_cpu_s']:10.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        watch(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
