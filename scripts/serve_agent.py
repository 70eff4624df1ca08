"""Serve one agent over HTTP: a home, a battery, or the grid agent that coordinates them."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from command_line import (
    DEFAULT_DB,
    DEFAULT_RESULTS,
    Count,
    Day,
    Folder,
    NotNegative,
    PathName,
    Switch,
    Whole,
    Words,
    command,
    group,
    option,
    options,
    parsed,
)
from console import SYNTHETIC, console, run, say
from planning import CONFIG_HELP
from runs import open_database

from ems.economics.tariff import built_in_tariffs
from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from ems.services.coordinator import Transformer
    from ems.services.hosting import Tls
    from ems.services.sites import NodeSpec

EPILOG = (
    "The clock is simulated: this plans and tests, it controls no device. Tokens are made at the "
    "first start, in a file only you can read. What is served: /docs of the agent, "
    "docs/services.md."
)


@group("the agent")
class Who:
    """Which agent is served."""

    role: Literal["grid", "home", "battery"] = option("what it is", "home")
    id: str = option("its name [default: grid, home_1 or battery_1]", "")
    building: str = option("whose meters a home has, and whose prices a battery", "residential3")
    transformer: str = option("which one a home or battery is behind", "transformer_A")
    transformers: Words = option(
        "of the grid agent, NAME=KW or NAME=KW/KW with commas: what each carries, there and back",
        ("transformer_A=12/30", "transformer_B=9/30"),
    )
    tariff: str = option(f"{', '.join(built_in_tariffs())}, or a TOML file", "spot")
    start: Day | None = option("first day [default: the first that can be planned]", None)
    n_days: Count = option("days", 1)
    car: Switch = option("a home has a car, assumed where none is metered", "on")
    failsafe_kw: NotNegative | None = option(
        "limit when the grid is silent for too long [kW] [default: none]", None
    )


@group("where it is")
class Place:
    """Where it listens and keeps its files."""

    config: PathName | None = option(CONFIG_HELP, None)
    host: str = option("address; others than this machine need TLS", "127.0.0.1")
    port: Whole = option("0 takes a free one", 8000)
    grid: str | None = option("address of the grid agent, to register there", None)
    allow_host: Words = option("hosts that nodes may register", ("127.0.0.1", "localhost"))
    db: PathName = option("measurements", DEFAULT_DB)
    folder: Folder = option("for journal, log and tokens", DEFAULT_RESULTS / "services")
    certificate: PathName | None = option("of this server, for TLS", None)
    key: PathName | None = option("of the certificate", None)
    client_ca: PathName | None = option("clients must show a certificate of this authority", None)


@command
class Options:
    """The command line of this script."""

    who: Who = options(Who)
    place: Place = options(Place)


def main() -> None:
    """Make the agent as its journal left it, and serve it until interrupted."""
    asked = parsed(Options, __doc__, EPILOG)
    name, tls = agent_id(asked.who), tls_of(asked.place)
    if asked.who.role == "grid":
        ratings(asked.who.transformers)
    out = console()
    with open_database(asked.place.db, out):
        pass  # made if it is missing, and said in one line if it cannot be read
    from ems.services.hosting import Registrar, listening, serve
    from ems.services.links import Links
    from ems.services.models import Registration
    from ems.services.security import tokens_of
    from ems.store.journal import Journal

    who, place = asked.who, asked.place
    sock = listening(place.host, place.port, tls)
    url = f"{'http' if tls is None else 'https'}://{place.host}:{sock.getsockname()[1]}"
    tokens = tokens_of(place.folder / "tokens.json", [name])
    links = Links(token=tokens.of_agent[name], allowed_hosts=place.allow_host)
    log_file = place.folder / f"{name}.jsonl"
    with Journal(place.folder / f"{name}.duckdb") as journal:
        if who.role == "grid":
            from ems.services.grid import Grid
            from ems.services.planner import planner_from

            synthetic = is_synthetic(place.db)
            grid = Grid.of(
                ratings(who.transformers),
                links,
                tokens,
                journal,
                synthetic=synthetic,
                llm=planner_from(os.environ),
                log_file=log_file,
            )
            app = grid.app()
            nobody = Registration(role="home", transformer="-", max_import_kw=0, max_export_kw=0)
            registrar = Registrar(name, None, nobody, links)
        else:
            from ems.services.node import Node
            from ems.services.sites import read_site, registration_of
            from ems.services.state import begin

            site = read_site(node_spec(who), place.db, who.building)
            synthetic = site.building.history.synthetic
            registrar = Registrar(name, place.grid, registration_of(site, url), links)
            node = Node.of(
                begin(site), tokens, journal, log_file=log_file, waits_for=registrar.waits_for
            )
            app = node.app()
        if synthetic:
            out.print(SYNTHETIC, style="bold yellow")
        say(out, f"{name:9} listens at {url} (simulated clock), API at {url}/docs")
        say(out, f"tokens    {place.folder / 'tokens.json'}: operator for you, reader to look")
        asyncio.run(serve(app, sock, tls, lambda: asyncio.create_task(registrar.run())))


def agent_id(who: Who) -> str:
    """The agent's name. Raises ``InvalidSpec`` for one that is no name."""
    name = who.id or ("grid" if who.role == "grid" else f"{who.role}_1")
    if not re.fullmatch("[a-z][a-z0-9_]{0,31}", name) or (name == "grid") != (who.role == "grid"):
        raise InvalidSpec(
            f"id is {name!r}, allowed are small letters, digits and _, and grid for the grid alone"
        )
    return name


def ratings(words: Sequence[str]) -> tuple[Transformer, ...]:
    """The transformers of ``NAME=KW``. Raises ``InvalidSpec``."""
    from ems.services.coordinator import Transformer

    found = []
    for word in words:
        name, _, kw = word.partition("=")
        there, _, back = kw.partition("/")
        try:
            import_kw, export_kw = float(there), float(back or there)
        except ValueError as error:
            raise InvalidSpec(f"transformers: {word!r} is not NAME=KW or NAME=KW/KW") from error
        found.append(Transformer(name=name, import_rating_kw=import_kw, export_rating_kw=export_kw))
    return tuple(found)


def node_spec(who: Who) -> NodeSpec:
    """What the node is made from."""
    from ems.economics.tariff_file import load_tariff
    from ems.services.sites import NodeSpec, demonstration_assets

    role: Literal["home", "battery"] = "battery" if who.role == "battery" else "home"
    return NodeSpec(
        agent_id=agent_id(who),
        role=role,
        transformer=who.transformer,
        tariff=load_tariff(who.tariff),
        assets=demonstration_assets(role, car=who.car == "on"),
        start=who.start,
        n_days=who.n_days,
        failsafe_kw=who.failsafe_kw,
    )


def tls_of(place: Place) -> Tls | None:
    """Certificate and key, both or none."""
    if (place.certificate is None) != (place.key is None):
        raise InvalidSpec("--certificate and --key belong together: give both or none")
    from ems.services.hosting import Tls

    if place.certificate is None or place.key is None:
        return None
    return Tls(certificate=place.certificate, key=place.key, ca=place.client_ca)


def is_synthetic(db: Path) -> bool:
    """Whether the measurements are made up."""
    from ems.store.connection import get_con, read_meta

    con = get_con(db)
    try:
        return read_meta(con).get("synthetic") == "true"
    finally:
        con.close()


if __name__ == "__main__":
    run(main)
