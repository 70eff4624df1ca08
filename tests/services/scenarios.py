"""Scenarios as a person would run them, against real processes.

``python tests/services/scenarios.py``: each starts a grid agent and nodes on free ports, and prints
passed or FAILED. ``--kills N`` ends a random agent N times by SIGKILL in the last one (3 by
default). ``--db FILE``: the measurements.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
DAY = "2018-01-08"
PATIENCE_S = 60.0
NODES = (
    ("home_1", "home", "residential3", "transformer_A"),
    ("home_2", "home", "residential6", "transformer_A"),
    ("battery_1", "battery", "residential4", "transformer_A"),
)
RATING_KW = 12.0
TOLERANCE_KW = 1e-3


@dataclass
class World:
    """Running agents; each is started again under its name by ``start``."""

    db: Path
    folder: Path
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start an agent on its port."""
        call = ["--db", self.db, "--folder", self.folder, "--port", self.ports[name]]
        if name == "grid":
            call += ["--role", "grid", "--transformers", f"transformer_A={RATING_KW}"]
        else:
            _, role, building, transformer = next(node for node in NODES if node[0] == name)
            call += [
                "--role",
                role,
                "--id",
                name,
                "--building",
                building,
                "--start",
                DAY,
                "--n_days",
                3,
            ]
            call += ["--transformer", transformer, "--grid", self.url("grid")]
        with (self.folder / f"{name}.out").open("ab") as told:
            self.processes[name] = subprocess.Popen(
                [sys.executable, ROOT / "scripts" / "serve_agent.py", *map(str, call)],
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End an agent without warning."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def url(self, name: str) -> str:
        """Where an agent listens."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def token(self, who: str = "operator") -> str:
        """The token of somebody."""
        return str(json.loads((self.folder / "tokens.json").read_text())[who])

    def ask(
        self, name: str, method: str, path: str, body: Any = None, *, key: str = "", who: str = ""
    ) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {self.token(who or 'operator')}"}
        if key:
            headers["Idempotency-Key"] = key
        return httpx.request(
            method, self.url(name) + path, json=body, headers=headers, timeout=30, trust_env=False
        )

    def tell(self, name: str, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        """The reply to one request that must succeed."""
        reply = self.ask(name, method, path, body, key=key)
        assert reply.status_code == 200, f"{name} {path}: {reply.status_code} {reply.text}"
        return reply.json()

    def ready(self, *names: str) -> None:
        """Wait until agents are ready."""
        until = time.monotonic() + PATIENCE_S
        for name in names or tuple(self.ports):
            while True:
                try:
                    ok = httpx.get(self.url(name) + "/health/ready", trust_env=False).is_success
                except httpx.HTTPError:
                    ok = False
                if ok:
                    break
                told = (self.folder / f"{name}.out").read_text()
                assert time.monotonic() < until, f"{name} is not ready: {told}"
                time.sleep(0.1)

    def coordinate(self) -> Any:
        """The grid agent keeps the ratings."""
        return self.tell("grid", "POST", "/coordinate", {})

    def flow_kw(self) -> float:
        """What the transformer carries now."""
        return sum(float(self.tell(n[0], "GET", "/status")["net_load_kw"]) for n in NODES)

    def step(self, scenario: str = "normal") -> None:
        """An hour passes; the scenario is of home_1."""
        for name, *_ in NODES:
            body = {"scenario": scenario if name == "home_1" else "normal"}
            self.tell(name, "POST", "/simulate", body, key=str(uuid.uuid4()))

    def day(self, hours: int) -> None:
        """Hours pass under coordination, and the rating is kept in each."""
        for _ in range(hours):
            self.coordinate()
            assert abs(self.flow_kw()) <= RATING_KW + TOLERANCE_KW
            self.step()


@contextmanager
def world(db: Path) -> Iterator[World]:
    """All agents, ready; gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        names = ["grid", *(node[0] for node in NODES)]
        found = World(db=db, folder=Path(folder), ports=dict(zip(names, _free(4), strict=True)))
        try:
            for name in names:
                found.start(name)
            found.ready()
            yield found
        finally:
            for process in found.processes.values():
                process.kill()
                process.wait()


def _free(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


# --- the scenarios ------------------------------------------------------------------------------


def normal_night(here: World, kills: int) -> None:
    """Five hours of a normal day: the transformer would be over its rating, and is not."""
    assert here.tell("grid", "GET", "/status")["transformers"][0]["over_kw"] > 1.0
    here.day(5)


def wrong_token(here: World, kills: int) -> None:
    """No token is 401, another agent's 403, and nothing happens."""
    before = here.tell("home_1", "GET", "/status")
    assert httpx.get(here.url("home_1") + "/status", trust_env=False).status_code == 401
    assert here.ask("home_1", "POST", "/simulate", {}, who="home_2").status_code == 403
    assert here.tell("home_1", "GET", "/status") == before


def overload(here: World, kills: int) -> None:
    """People of home_1 use 5 kW more, which the law does not let anyone dim; the rating holds."""
    here.day(4)
    here.step("overload")
    assert float(here.tell("home_1", "GET", "/status")["net_load_kw"]) > 4.0
    here.day(3)


def silent_home(here: World, kills: int) -> None:
    """A home that does not answer counts with its fuse, and is planned again when it is back."""
    here.processes["home_1"].send_signal(signal.SIGSTOP)
    reply = here.ask("grid", "POST", "/coordinate", {"n_steps": 3})
    here.processes["home_1"].send_signal(signal.SIGCONT)
    # 24 kW of a fuse are more than the transformer carries: said, not hidden.
    assert reply.status_code == 409
    assert "transformer_A.rating" in reply.json()["shortfalls"]
    found = here.tell("grid", "GET", "/status")
    assert all(agent["heard"] for agent in found["agents"])


def restarted_grid(here: World, kills: int) -> None:
    """The grid agent dies, comes back, knows everybody, and asks for nothing twice."""
    here.coordinate()
    before = [here.tell(n[0], "GET", "/status")["curtailment_ids"] for n in NODES]
    here.kill("grid")
    here.start("grid")
    here.ready("grid")
    assert len(here.tell("grid", "GET", "/agents")) == len(NODES)
    assert here.coordinate()["decisions"] == []
    assert [here.tell(n[0], "GET", "/status")["curtailment_ids"] for n in NODES] == before


def two_grids(here: World, kills: int) -> None:
    """A second grid agent on the same journal refuses to start."""
    call = [sys.executable, ROOT / "scripts" / "serve_agent.py", "--role", "grid", "--port", "0"]
    done = subprocess.run(
        [*map(str, call), "--db", here.db, "--folder", here.folder],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "already running" in done.stderr


def killed(here: World, kills: int) -> None:
    """Agents end at random instants; no action is lost or done twice, and the rating is kept."""
    rng = random.Random(0)
    names, done = list(here.ports), 0
    expected = {n[0]: 0 for n in NODES}
    while done < kills:
        victim = rng.choice(names)
        others = [name for name in names if name not in ("grid", victim)]
        if victim == "grid":
            here.kill("grid")
            here.start("grid")
            here.ready("grid")
        else:
            key = str(uuid.uuid4())
            sender = subprocess.Popen(
                [sys.executable, "-c", _SEND, here.url(victim), here.token(), key],
                stdout=subprocess.PIPE,
            )
            time.sleep(rng.uniform(0.15, 0.45))
            here.kill(victim)
            sender.communicate()
            here.start(victim)
            here.ready(victim)
            # The client does not know whether it was done: it asks again with the same key.
            here.tell(victim, "POST", "/simulate", {"n_steps": 1}, key=key)
            expected[victim] += 1
            for name in others:
                here.tell(name, "POST", "/simulate", {}, key=str(uuid.uuid4()))
                expected[name] += 1
        for name, count in expected.items():
            assert here.tell(name, "GET", "/status")["sequence"] == count, name
        here.coordinate()
        flow_kw = here.flow_kw()
        assert abs(flow_kw) <= RATING_KW + TOLERANCE_KW, flow_kw
        done += 1
    ended = {name: here.tell(name, "GET", "/status") for name in expected}
    assert len({status["at_utc"] for status in ended.values()}) == 1


_SEND = """
import sys, httpx
url, token, key = sys.argv[1:]
try:
    httpx.post(url + "/simulate", json={"n_steps": 1}, trust_env=False,
               headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key})
except httpx.HTTPError:
    pass
"""
SCENARIOS: Sequence[Callable[[World, int], None]] = (
    normal_night,
    wrong_token,
    overload,
    silent_home,
    restarted_grid,
    two_grids,
    killed,
)


def main() -> int:
    """Run every scenario; 0 only if all passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--only", default="", help="a scenario's name")
    asked = parser.parse_args()
    failed = 0
    for scenario in SCENARIOS:
        if asked.only not in ("", scenario.__name__):
            continue
        started = time.monotonic()
        try:
            with world(asked.db) as here:
                scenario(here, asked.kills)
            result = "passed"
        except AssertionError as error:
            result, failed = f"FAILED: {error}", failed + 1
        told = (scenario.__doc__ or "").strip()
        print(f"{scenario.__name__:16} {result} ({time.monotonic() - started:.1f} s): {told}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
