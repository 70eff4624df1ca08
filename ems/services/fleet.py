"""A grid agent and its nodes in one process, reached as over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ems.services.coordinator import Transformer
from ems.services.grid import Grid
from ems.services.links import Links
from ems.services.models import Registration
from ems.services.node import Node
from ems.services.planner import LlmPlanner
from ems.services.security import GRID, OPERATOR, tokens_of
from ems.services.simulation import Fleet
from ems.services.sites import NodeSpec, read_site, registration_of
from ems.services.state import NodeSite, begin
from ems.store.journal import Event, Journal


@contextmanager
def fleet_in_process(
    nodes: Sequence[tuple[NodeSpec, str]],
    db: Path,
    folder: Path,
    transformers: Sequence[Transformer],
    synthetic: bool,
) -> Iterator[Fleet]:
    """Every node and the grid agent, registered; ``nodes``: each with its building's name."""
    sites = [read_site(spec, db, building) for spec, building in nodes]
    with fleet_of(sites, folder, transformers, synthetic=synthetic) as fleet:
        yield fleet


@contextmanager
def fleet_of(
    sites: Sequence[NodeSite],
    folder: Path,
    transformers: Sequence[Transformer],
    *,
    synthetic: bool,
    llm: LlmPlanner | None = None,
) -> Iterator[Fleet]:
    """The nodes of ``sites`` and a grid agent that knows them, each its journal in ``folder``.

    ``llm``: a language model that may be asked for proposals.
    """
    names = [site.agent_id for site in sites]
    tokens = tokens_of(folder / "tokens.json", names)
    urls = {name: f"http://{name.replace('_', '-')}.invalid" for name in (GRID, *names)}
    with ExitStack() as stack:
        apps = {}
        for site in sites:
            journal = stack.enter_context(Journal(folder / f"{site.agent_id}.duckdb"))
            node = Node.of(begin(site), tokens, journal)
            apps[site.agent_id] = node.app()
        journal = stack.enter_context(Journal(folder / f"{GRID}.duckdb"))
        known = {event.key for event in journal.events() if event.kind == "register"}
        for site in sites:
            if site.agent_id not in known:
                journal.append(_registered(site, urls[site.agent_id]))
        to_nodes = Links(token=tokens.of_agent[GRID], allowed_hosts=("*.invalid",), apps=apps)
        grid = Grid.of(transformers, to_nodes, tokens, journal, synthetic=synthetic, llm=llm)
        links = Links(token=tokens.of_agent[OPERATOR], apps={**apps, GRID: grid.app()})
        yield Fleet(urls=urls, links=links)


def _registered(site: NodeSite, url: str) -> Event:
    registration: Registration = registration_of(site, url)
    return Event(
        kind="register",
        key=site.agent_id,
        request=registration.model_dump(mode="json"),
        reply={},
    )
