"""Agents as services: 200 nodes coordinated, /status under load, memory over a week of cycles.

``python benchmarks/services.py FILE`` with a database of measurements. Says the machine's cores; a
figure is of one run.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ems.agents.offer import Offer
from ems.economics.tariff_file import load_tariff
from ems.services.coordinator import Feeder, Transformer, in_fixed_order, least_limits
from ems.services.fleet import fleet_of
from ems.services.hosting import listening
from ems.services.security import OPERATOR, tokens_of
from ems.services.sites import NodeSpec, demonstration_assets, read_site
from ems.services.state import NodeSite, begin, simulate

N_NODES = 200
N_REQUESTS = 3000
AT_ONCE = 16
PER_S = 500
WEEK_CYCLES = 2016
START = date(2018, 1, 8)


def node(db: Path, role: str, building: str, n_days: int = 1) -> NodeSite:
    """A node of the demonstration."""
    kind = "battery" if role == "battery" else "home"
    return read_site(
        NodeSpec(
            agent_id="node",
            role=kind,
            transformer="transformer_A",
            tariff=load_tariff("spot"),
            assets=demonstration_assets(kind),
            start=START,
            n_days=n_days,
        ),
        db,
        building,
    )


async def coordination(sites: list[NodeSite], folder: Path, rating_kw: float) -> None:
    """One round over all nodes, in process."""
    transformer = Transformer(
        name="transformer_A", import_rating_kw=rating_kw, export_rating_kw=1e5
    )
    with fleet_of(sites, folder, [transformer], synthetic=True) as fleet:
        links = replace(fleet.links, timeout_s=600.0)
        fleet = replace(fleet, links=links)
        started = time.perf_counter()
        found = await fleet.tell("grid", "POST", "/coordinate", {"n_steps": 24})
        took = time.perf_counter() - started
        print(
            f"coordinate {len(sites)} nodes, rating {rating_kw:g} kW: {took:.2f} s, "
            f"{len(found['decisions'])} limits, {found['rounds']} rounds, kept {found['kept']}, "
            f"{found['objective_eur']:.4f} € (bound {found['bound_eur']:.4f}, fixed order "
            f"{found['fixed_order_eur']})"
        )


def program(n_nodes: int) -> None:
    """The coordinator's program alone, and what a fixed order costs beside it."""
    rng = np.random.default_rng(0)
    shares = np.linspace(1, 0.3, 6)[:, None]
    offers = tuple(
        Offer(
            name=f"n{i}",
            levels_kw=shares * rng.uniform(1, 8, 24),
            costs_eur=np.linspace(0, 1, 6) ** 2 * rng.uniform(0.01, 1.0),
            convex=bool(rng.uniform() < 0.9),
        )
        for i in range(n_nodes)
    )
    full = sum(offer.levels_kw[0] for offer in offers).max()
    item = Feeder(
        transformer=Transformer(name="A", import_rating_kw=0.8 * float(full), export_rating_kw=1e6),
        offers=offers,
        known_kw=(np.zeros(24), np.zeros(24)),
    )
    started = time.perf_counter()
    plan = least_limits(np.datetime64("2018-01-08T00:00"), 1.0, [item])
    took = time.perf_counter() - started
    levels = in_fixed_order([item], [offer.name for offer in offers])
    ordered = sum(float(o.costs_eur[levels[o.name]]) for o in offers)
    print(
        f"program    {n_nodes} nodes × 6 levels × 24 steps: {took:.2f} s, "
        f"{plan.objective_eur:.3f} € proven {plan.bound_eur:.3f} €; a fixed order {ordered:.3f} €"
    )


async def load(db: Path, folder: Path) -> None:
    """Requests for /status of one node, which is a process of its own."""
    script = str(ROOT / "scripts" / "serve_agent.py")
    port = listening("127.0.0.1", 0, None)
    url = f"http://127.0.0.1:{port.getsockname()[1]}"
    call = ["--role", "home", "--start", str(START), "--db", str(db), "--folder", str(folder)]
    port.close()
    server = subprocess.Popen([sys.executable, script, *call, "--port", url.rpartition(":")[2]])
    took_s: list[float] = []
    try:
        await ready(url)
        tokens = tokens_of(folder / "tokens.json", [])
        head = {"Authorization": f"Bearer {tokens.of_agent[OPERATOR]}"}
        async with httpx.AsyncClient(base_url=url, headers=head, trust_env=False) as client:

            async def paced(first_s: float) -> None:
                await asyncio.sleep(max(0.0, first_s - time.perf_counter()))
                started = time.perf_counter()
                reply = await client.get("/status")
                took_s.append(time.perf_counter() - started)
                assert reply.status_code == 200

            await asyncio.gather(*(paced(0.0) for _ in range(AT_ONCE)))
            took_s.clear()
            began = time.perf_counter()
            await asyncio.gather(*(paced(began + i / PER_S) for i in range(N_REQUESTS)))
            total = time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()
    p50, p99 = 1000 * np.quantile(took_s, (0.5, 0.99))
    print(
        f"status     {PER_S} requests/s asked, {len(took_s) / total:.0f} answered, "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )


async def ready(url: str) -> None:
    """Wait until a node is ready."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        while True:
            try:
                if (await client.get("/health/ready")).status_code == 200:
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


def memory(site: NodeSite) -> None:
    """As many cycles as a week of five minutes has, each day again from its first morning."""
    state, steps = begin(site), 24 * len(site.window.days)
    for _ in range(2):
        simulate(state, steps)
    tracemalloc.start()
    before, cycles = tracemalloc.get_traced_memory()[0], 0
    started = time.perf_counter()
    while cycles < WEEK_CYCLES:
        simulate(state, steps)
        cycles += steps
    grown = (tracemalloc.get_traced_memory()[0] - before) / 1024
    tracemalloc.stop()
    print(
        f"memory     {cycles} cycles in {time.perf_counter() - started:.1f} s, {grown:.0f} KiB more"
    )


def main() -> None:
    """All figures."""
    db = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "ems_data.duckdb"
    print(f"{os.cpu_count()} cores")
    for count in (200, 1000):
        program(count)
    home, battery = node(db, "home", "residential3"), node(db, "battery", "residential4")
    sites = [replace(home if i % 2 else battery, agent_id=f"node_{i:03}") for i in range(N_NODES)]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(coordination(sites, Path(folder) / "free", 1e5))
        asyncio.run(coordination(sites, Path(folder) / "full", 900.0))
        asyncio.run(load(db, Path(folder) / "load"))
    memory(node(db, "home", "residential3", 7))


if __name__ == "__main__":
    main()
