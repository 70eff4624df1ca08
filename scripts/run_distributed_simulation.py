"""Run a grid agent, homes and batteries as processes that speak HTTP, and show what they do."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from command_line import (
    Count,
    Day,
    Switch,
    Words,
    command,
    group,
    option,
    options,
    parsed,
)
from console import SYNTHETIC, console, counted, number, run, say, show_table
from planning import Where
from runs import KeptRun, kept_run, open_database, start_tracking
from serve_agent import is_synthetic, ratings

from ems.economics.tariff import built_in_tariffs
from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ems.services.simulation import Fleet, Step

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = "services"
FIRST_PORT = 8000
PATIENCE_S = 120.0
"""How long all agents may take to start [s]."""
END_S = 5.0
"""How long a process may take to end before it is killed [s]."""
SCENARIO_AT = 2
"""The step at which a scenario begins."""
EPILOG = (
    "The clock is simulated. Every home knows its day (perfect foresight). Limits and their cost: "
    "docs/services.md."
)


@group("the simulation")
class What:
    """Which agents, which day, and what goes wrong."""

    homes: Words = option(
        "ID=BUILDING@TRANSFORMER with commas",
        (
            "home_1=residential3@transformer_A",
            "home_2=residential6@transformer_A",
            "home_3=residential5@transformer_B",
        ),
    )
    batteries: Words = option(
        "ID=BUILDING@TRANSFORMER with commas; the building gives place and prices",
        (
            "battery_agent_1=residential4@transformer_A",
            "battery_agent_2=residential4@transformer_B",
        ),
    )
    transformers: Words = option(
        "NAME=KW or NAME=KW/KW with commas: what each carries, there and back",
        ("transformer_A=12/30", "transformer_B=9/30"),
    )
    start: Day = option("the day", date(2016, 12, 26))
    hours: Count = option("how long", 24)
    tariff: str = option(f"{', '.join(built_in_tariffs())}, or a TOML file", "spot")
    scenario: Literal["normal", "overload", "surplus", "stuck_meter", "silent"] = option(
        "what goes wrong at the first home, two hours after the start", "normal"
    )
    coordinate: Switch = option("the grid agent keeps the ratings", "on")
    in_process: Switch = option("all agents in this process instead of one each", "off")


@command
class Options:
    """The command line of this script."""

    what: What = options(What)
    where: Where = options(Where)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A node to start."""

    agent_id: str
    role: Literal["home", "battery"]
    building: str
    transformer: str


def main() -> None:
    """Start the agents, let the hours pass, show and keep what happened, end the agents."""
    asked = parsed(Options, __doc__, EPILOG)
    wanted = [*nodes(asked.what.homes, "home"), *nodes(asked.what.batteries, "battery")]
    ratings(asked.what.transformers)
    out = console()
    start_tracking(asked.where)
    with open_database(asked.where.db, out):
        pass
    synthetic = is_synthetic(asked.where.db)
    if synthetic:
        out.print(SYNTHETIC, style="bold yellow")
    say(out, f"agents    a grid agent and {counted(len(wanted), 'node')}, clock simulated")
    with kept_run(
        EXPERIMENT,
        name=f"{len(wanted)} nodes {asked.what.scenario}",
        building="services",
        options=asked,
        parameters={
            "building": "services",
            "start": str(asked.what.start),
            "hours": asked.what.hours,
            "scenario": asked.what.scenario,
            "homes": list(asked.what.homes),
            "batteries": list(asked.what.batteries),
            "transformers": list(asked.what.transformers),
            "tariff": asked.what.tariff,
            "coordinate": asked.what.coordinate,
            "data": {"source": str(asked.where.db)},
        },
        synthetic=synthetic,
        out=out,
    ) as kept:
        folder = asked.where.results / "services" / kept.row.run_id[:8]
        if asked.what.in_process == "on":
            steps = asyncio.run(in_process(asked, wanted, folder, synthetic, out))
        else:
            with processes(asked, wanted, folder, out) as urls:
                steps = asyncio.run(simulated(asked, over_http(folder, urls), out))
        summary(kept, asked, steps)


def nodes(words: Sequence[str], role: Literal["home", "battery"]) -> Iterator[Wanted]:
    """The nodes of ``ID=BUILDING@TRANSFORMER``. Raises ``InvalidSpec``."""
    for word in words:
        name, _, rest = word.partition("=")
        building, _, transformer = rest.partition("@")
        if not (name and building and transformer):
            raise InvalidSpec(f"{word!r} is not ID=BUILDING@TRANSFORMER")
        yield Wanted(agent_id=name, role=role, building=building, transformer=transformer)


# --- starting and ending ------------------------------------------------------------------------


@contextmanager
def processes(
    asked: Options, wanted: Sequence[Wanted], folder: Path, out: Console
) -> Iterator[Mapping[str, str]]:
    """A process for every agent, by name its address; all are gone at the end, come what may."""
    ports = free_ports(1 + len(wanted))
    grid_url = f"http://127.0.0.1:{ports[0]}"
    common = ["--db", str(asked.where.db), "--folder", str(folder)]
    grid = ["--role", "grid", "--transformers", ",".join(asked.what.transformers)]
    calls = [("grid", [*grid, *common, "--port", str(ports[0])])]
    for item, port in zip(wanted, ports[1:], strict=True):
        own = ["--role", item.role, "--id", item.agent_id, "--building", item.building]
        own += ["--transformer", item.transformer, "--tariff", asked.what.tariff]
        own += ["--start", str(asked.what.start), "--n_days", str(days(asked.what.hours))]
        calls.append((item.agent_id, [*own, *common, "--port", str(port), "--grid", grid_url]))
    folder.mkdir(parents=True, exist_ok=True)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, call in calls:
            with (folder / f"{name}.out").open("wb") as told:
                # In a session of its own: Ctrl-C is for this process, which ends the others.
                script = str(ROOT / "scripts" / "serve_agent.py")
                started.append(
                    subprocess.Popen(
                        [sys.executable, script, *call],
                        stdin=subprocess.DEVNULL,
                        stdout=told,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        say(out, f"ports     {ports[0]} (grid) to {ports[-1]}, log and tokens in {folder}")
        yield {name: f"http://127.0.0.1:{port}" for (name, _), port in zip(calls, ports)}  # noqa: B905
    finally:
        ended(started)


def ended(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask every process to end, and kill what does not."""
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that are free, from 8000 on where they are."""
    found: list[int] = []
    port = FIRST_PORT
    while len(found) < count and port < FIRST_PORT + 1000:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                pass  # taken: the next one
        port += 1
    if len(found) < count:
        raise InvalidSpec(f"no {count} free ports from {FIRST_PORT} on; end what uses them")
    return found


def days(hours: int) -> int:
    """Days that hold so many hours."""
    return -(-hours // 24)


def over_http(folder: Path, urls: Mapping[str, str]) -> Fleet:
    """The agents behind their addresses."""
    from ems.services.links import Links
    from ems.services.security import OPERATOR, tokens_of
    from ems.services.simulation import Fleet

    tokens = tokens_of(folder / "tokens.json", [name for name in urls if name != "grid"])
    return Fleet(urls=urls, links=Links(token=tokens.of_agent[OPERATOR], timeout_s=60.0))


async def in_process(
    asked: Options, wanted: Sequence[Wanted], folder: Path, synthetic: bool, out: Console
) -> list[Step]:
    """All agents in this process, reached by ASGI, and what they do."""
    from ems.economics.tariff_file import load_tariff
    from ems.services.fleet import fleet_in_process
    from ems.services.sites import NodeSpec, demonstration_assets

    tariff = load_tariff(asked.what.tariff)
    specs = [
        (
            NodeSpec(
                agent_id=item.agent_id,
                role=item.role,
                transformer=item.transformer,
                tariff=tariff,
                assets=demonstration_assets(item.role),
                start=asked.what.start,
                n_days=days(asked.what.hours),
            ),
            item.building,
        )
        for item in wanted
    ]
    transformers = ratings(asked.what.transformers)
    with fleet_in_process(specs, asked.where.db, folder, transformers, synthetic) as fleet:
        return await simulated(asked, fleet, out)


# --- what happens -------------------------------------------------------------------------------


async def simulated(asked: Options, fleet: Fleet, out: Console) -> list[Step]:
    """Wait for all agents, then let the hours pass under a live table."""
    from rich.live import Live

    await fleet.ready(PATIENCE_S)
    say(out, "ready     all agents answer and are registered")
    first = fleet.nodes[0]
    wrong = {SCENARIO_AT: {first: asked.what.scenario}}
    steps: list[Step] = []
    try:
        with Live(console=out, auto_refresh=False, transient=True) as live:
            async for step in fleet.steps(
                asked.what.hours, wrong, coordinated=asked.what.coordinate == "on"
            ):
                steps.append(step)
                live.update(table_of(step, ratings(asked.what.transformers)), refresh=True)
    finally:
        await fleet.links.close()
    return steps


def table_of(step: Step, transformers: Any) -> Table:
    """The transformers, nodes, anomalies and actions of a step."""
    from rich.table import Table

    when = next(iter(step.nodes.values())).at_utc
    table = Table(title=f"{when:%Y-%m-%d %H:%M} UTC, simulated")
    for column in ("agent", "kW", "limit kW", "stored kWh", "told"):
        table.add_column(column)
    for item in transformers:
        flow_kw = step.flow_kw(item.name)
        table.add_row(item.name, f"{flow_kw:.2f}", f"{item.import_rating_kw:g}", "", "")
    for name, node in step.nodes.items():
        told = node.anomaly.reason if node.anomaly else "; ".join(node.reasons)
        limit = "" if node.limit_kw is None else f"{node.limit_kw:.2f}"
        table.add_row(name, f"{node.net_load_kw:.2f}", limit, f"{node.stored_kwh:.1f}", told)
    return table


def summary(kept: KeptRun, asked: Options, steps: Sequence[Step]) -> None:
    """What was carried, limited and paid; printed and tracked."""
    out = kept.out
    rows, step_h = [], next(iter(steps[0].nodes.values())).step_h
    for item in ratings(asked.what.transformers):
        flows_kw = [step.flow_kw(item.name) for step in steps]
        wished_kw = [
            max(status.expected_kw)
            for step in steps[:1]
            if step.coordination
            for status in step.coordination.transformers
            if status.name == item.name
        ]
        over = sum(
            max(0.0, kw - item.import_rating_kw, -kw - item.export_rating_kw) * step_h
            for kw in flows_kw
        )
        wished = number(wished_kw[0], 2) if wished_kw else "–"
        rows.append(
            (item.name, number(item.import_rating_kw, 1), wished, number(max(flows_kw), 2),
             number(min(flows_kw), 2), number(over, 3))
        )  # fmt: skip
        kept.tracked.summary(
            "services",
            item.name,
            {"peak_kw": max(flows_kw), "least_kw": min(flows_kw), "over_kwh": over},
        )
    heads = ["transformer", "rating kW", "wished kW", "peak kW", "least kW", "over kWh"]
    show_table(out, "what was carried", heads, rows)
    rows = []
    for name, last in steps[-1].nodes.items():
        drawn_kwh = [max(0.0, step.nodes[name].net_load_kw) * step_h for step in steps]
        fed_kwh = [max(0.0, -step.nodes[name].net_load_kw) * step_h for step in steps]
        limited = sum(step.nodes[name].limit_kw is not None for step in steps)
        rows.append(
            (name, last.transformer, number(sum(drawn_kwh), 2), number(sum(fed_kwh), 2),
             str(limited), number(last.cost_of_limits_eur, 4))
        )  # fmt: skip
        kept.tracked.summary(
            "services",
            name,
            {
                "import_kwh": sum(drawn_kwh),
                "export_kwh": sum(fed_kwh),
                "steps_limited": float(limited),
                "cost_of_limits_eur": last.cost_of_limits_eur,
            },
        )
    heads = ["agent", "behind", "import kWh", "export kWh", "steps limited", "limits cost €"]
    show_table(out, "what the nodes did", heads, rows)
    problems = [step.problem for step in steps if step.problem]
    decisions = [d for step in steps if step.coordination for d in step.coordination.decisions]
    refused = [d for d in decisions if d.status not in ("ACCEPTED", "DRY_RUN")]
    say(out, f"actions   {counted(len(decisions), 'limit')}, {len(refused)} not accepted")
    for text in dict.fromkeys([*problems, *(f"{d.agent_id}: {d.reason}" for d in refused)]):
        say(out, f"          {text}", style="yellow")
    silent = {name for step in steps if step.coordination for name in step.coordination.unreachable}
    if silent:
        say(out, f"silent    {', '.join(sorted(silent))}: counted with the worst case")


if __name__ == "__main__":
    run(main)
