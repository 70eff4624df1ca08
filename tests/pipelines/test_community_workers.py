"""Many workers find the plans of a community that one process finds, whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
from community.streets import hours, street
from pipelines.test_parallel import children, workers_left

from ems.agents import GridAgent, HomeAgent
from ems.community.community import Community, CommunityPlan
from ems.community.decomposed import Ask, Chunk, Programs, optimize_decomposed
from ems.core.solver import Solver
from ems.errors import Infeasible, InvalidSpec, WorkerLost
from ems.pipelines.community_workers import asked_of

if TYPE_CHECKING:
    from distributed import LocalCluster

STEPS = 12
TESTS = Path(__file__).resolve().parents[1]
Asked = Callable[[Sequence[Chunk]], Ask]
Result = TypeVar("Result")


@pytest.fixture
def two() -> Iterator[LocalCluster]:
    """A cluster of two worker processes."""
    distributed = pytest.importorskip("distributed", reason="pip install -r requirements-dev.txt")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=100
    ) as workers:
        yield workers


def homes(seed: int = 1) -> list[HomeAgent]:
    """Two jobs of homes, some of them with machines."""
    return [*street(seed, 20, STEPS), *street(seed, 120, STEPS, machines=False)[20:]]


def planned(asked: Asked, seed: int = 1) -> CommunityPlan:
    return optimize_decomposed(Community(homes(seed), fee_eur_per_kwh=0.05), hours(STEPS), asked)


def here(seed: int = 1) -> CommunityPlan:
    with asked_of() as asked:
        return planned(asked, seed)


def same(one: CommunityPlan, other: CommunityPlan) -> None:
    """Every home is there once, in the same order, and equal to the bit."""
    assert one.price_eur_per_kwh is not None
    assert np.array_equal(one.price_eur_per_kwh, other.price_eur_per_kwh)
    assert (one.bound_eur, one.cost_eur, one.rounds) == (
        other.bound_eur,
        other.cost_eur,
        other.rounds,
    )
    assert list(one.plans) == list(other.plans)
    for name, plan in one.plans.items():
        for part, own in plan.parts.items():
            series = other.plans[name].parts[part].series
            assert all(np.array_equal(own.series[key], series[key]) for key in own.series)


def before_round(asked: Asked, number: int, act: Callable[[], None]) -> Asked:
    """``asked``, with something that happens before the homes are asked for the n-th time."""

    def watched(chunks: Sequence[Chunk]) -> Ask:
        ask, turns = asked(chunks), iter(range(1000))

        def turn(work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
            if next(turns) == number:
                act()
            return ask(work, jobs)

        return turn

    return watched


def test_two_processes_give_the_same_to_the_bit() -> None:
    """Also for another community that is asked of the same workers."""
    before = children()
    with asked_of(workers=2) as asked:
        for seed in (1, 2):
            same(here(seed), planned(asked, seed))
    assert workers_left(before) == set()


def test_a_cluster_gives_the_same_to_the_bit_though_a_worker_is_killed(two: LocalCluster) -> None:
    pytest.importorskip("distributed")
    from distributed import Client

    with Client(two.scheduler_address, set_as_default=False) as client:
        process = min(client.run(os.getpid).values())
    with asked_of(scheduler=two.scheduler_address) as asked:
        same(here(1), planned(asked, 1))
        killed = before_round(asked, 3, lambda: os.kill(process, signal.SIGKILL))
        same(here(2), planned(killed, 2))


def ends_its_first_worker(programs: Programs, number: int, folder: Path) -> int:
    """A job; number 3 ends the worker that does it first."""
    (folder / f"{number}-{os.getpid()}").touch()
    if number == 3 and len(list(folder.glob("3-*"))) == 1:
        time.sleep(0.5)  # the others are done meanwhile
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_the_jobs_of_a_killed_process_are_done_again_and_counted_once(tmp_path: Path) -> None:
    before = children()
    chunks = [
        Chunk(homes=(home,), horizon=hours(STEPS), worth_at_least=np.zeros(STEPS), solver=Solver())
        for home in street(1, 4, STEPS)
    ]
    with asked_of(workers=2) as asked:
        jobs = [(number, number, tmp_path) for number in range(4)]
        assert list(asked(chunks)(ends_its_first_worker, jobs)) == [0, 1, 2, 3]
    assert len(list(tmp_path.glob("3-*"))) == 2
    assert workers_left(before) == set()


def kill(programs: Programs) -> None:
    """A job that ends every worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_job_that_ends_every_process_is_said() -> None:
    nobody = Chunk(homes=(), horizon=hours(STEPS), worth_at_least=np.zeros(STEPS), solver=Solver())
    with asked_of(workers=2) as asked:
        ask = asked([nobody])
        with pytest.raises(WorkerLost, match="one of 2 worker processes was ended from outside"):
            list(ask(kill, [(0,)]))


def test_an_error_in_a_worker_names_the_home(two: LocalCluster) -> None:
    crowd = street(1, 120, STEPS, machines=False)
    crowd[7] = replace(crowd[7], meter=GridAgent(max_import_kw=0.01))
    community = Community(crowd)
    for far in ({"workers": 2}, {"scheduler": two.scheduler_address}):
        with (
            asked_of(**far) as asked,  # type: ignore[arg-type]
            pytest.raises(Infeasible, match=r"home_7\.meter"),
        ):
            optimize_decomposed(community, hours(STEPS), asked)


ENDLESS = """
import sys
sys.path.insert(0, sys.argv[1])
from community.streets import hours, street
from ems.community.community import Community
from ems.community.decomposed import optimize_decomposed
from ems.pipelines.community_workers import asked_of
from pipelines.test_parallel import workers_left
if __name__ == "__main__":
    community = Community(street(1, 200, machines=False))
    try:
        with asked_of(workers=2) as asked:
            while True:
                print(optimize_decomposed(community, hours(), asked).rounds, flush=True)
    except KeyboardInterrupt:
        print("left:", workers_left(set()))
"""


def test_ctrl_c_ends_the_workers(tmp_path: Path) -> None:
    file = tmp_path / "endless.py"
    file.write_text(ENDLESS)
    run = subprocess.Popen(
        [sys.executable, str(file), str(TESTS)],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert int(run.stdout.readline()) > 1
    assert len(workers_of(run.pid)) == 2
    run.send_signal(signal.SIGINT)
    told, said = run.communicate(timeout=60)
    assert (told.splitlines()[-1], said) == ("left: set()", "")


def workers_of(parent: int) -> list[int]:
    """The worker processes that another has started."""
    started = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(p) for p in started if b"popen_loky" in Path(f"/proc/{p}/cmdline").read_bytes()]


def test_no_workers_are_too_few() -> None:
    with pytest.raises(InvalidSpec, match="workers is 0, allowed is >= 1"), asked_of(workers=0):
        pass
