"""Many workers give what one gives, and none is left behind."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from small_building import histories, twin_database

from ems.core.solver import Solver
from ems.economics.tariff_file import load_tariff
from ems.errors import InvalidSpec, SolveError
from ems.pipelines.comparison import DayRecord, Window, choose_window
from ems.pipelines.parallel import in_parallel, run_windows
from ems.pipelines.spec import ComparisonSpec
from ems.site.building import Building

SPEC = ComparisonSpec(tariff=load_tariff("dynamic"))


@pytest.fixture(scope="module")
def buildings() -> list[Building]:
    found = histories(twin_database())
    names = ("DE_KN_residential1", "DE_KN_residential4")
    return [Building(found[name], SPEC.tariff, SPEC.assets) for name in names]


def windows(buildings: list[Building], n_days: int = 6) -> list[Window]:
    return [choose_window(building, date(2016, 10, 27), n_days) for building in buildings]


def run(buildings: list[Building], workers: int) -> list[list[DayRecord]]:
    return list(run_windows(buildings, SPEC, windows(buildings), workers))


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(stat.parent.name))
    return found


def workers_left(before: set[int]) -> set[int]:
    """Workers that live a moment after the end; loky's resource tracker may stay."""
    deadline = time.monotonic() + 5.0
    while (left := {p for p in children() - before if b"popen_loky" in _command(p)}) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    return left


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_two_workers_give_the_same_to_the_bit(buildings: list[Building]) -> None:
    before = children()
    one, two = run(buildings, 1), run(buildings, 2)
    assert [len(records) for records in one] == [6] * len(SPEC.all_modes) * 2
    for alone, shared in zip(one, two, strict=True):
        for a, b in zip(alone, shared, strict=True):
            assert (a.building, a.day, a.mode) == (b.building, b.day, b.mode)
            assert set(a.schedule.plans) == set(b.schedule.plans)
            for name, plan in a.schedule.plans.items():
                other = b.schedule.plans[name]
                assert np.array_equal(plan.net_load_kw, other.net_load_kw)
                assert all(np.array_equal(plan.series[k], other.series[k]) for k in plan.series)
            assert a.kpis.cost_eur == b.kpis.cost_eur
            assert np.array_equal(a.kpis.gap_eur, b.kpis.gap_eur, equal_nan=True)
    assert workers_left(before) == set()


def test_who_stops_early_leaves_no_worker(buildings: list[Building]) -> None:
    before = children()
    results = run_windows(buildings, SPEC, windows(buildings), 2)
    first = next(results)
    assert first[0].building == "DE_KN_residential1"
    results.close()  # joblib's warning would fail this test
    assert workers_left(before) == set()


def test_an_error_in_a_worker_comes_home_as_it_is(buildings: list[Building]) -> None:
    before = children()
    hurried = ComparisonSpec(tariff=SPEC.tariff, solver=Solver(time_limit_s=1e-4))
    with pytest.raises(SolveError, match=r"2016-10-27 .*: solver HiGHS: stopped"):
        list(run_windows(buildings, hurried, windows(buildings, 2), 2))
    assert workers_left(before) == set()


def double(value: int) -> int:
    return 2 * value


def test_another_thread_may_ask_for_workers() -> None:
    """Only the main thread may touch signal handlers."""
    found: list[int] = []
    jobs = [(i,) for i in range(5)]
    thread = threading.Thread(target=lambda: found.extend(in_parallel(double, jobs, 2)))
    thread.start()
    thread.join()
    assert found == [0, 2, 4, 6, 8]


def test_no_workers_are_too_few(buildings: list[Building]) -> None:
    with pytest.raises(InvalidSpec, match="workers is 0, allowed is >= 1"):
        list(run_windows(buildings, SPEC, [], workers=0))
    assert list(run_windows(buildings, SPEC, [], workers=1)) == []


def test_without_dask_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    monkeypatch.delitem(sys.modules, "ems.pipelines.dask", raising=False)
    with pytest.raises(InvalidSpec, match=r"dask is not installed: pip install -r requirements-d"):
        list(in_parallel(double, [(1,)], 1, scheduler="tcp://127.0.0.1:1"))
