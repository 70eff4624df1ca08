"""A grid agent and its nodes in this process, as the tests of the services use them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from small_building import twin_database

from ems.economics.tariff_file import load_tariff
from ems.services.coordinator import Transformer
from ems.services.grid import Grid
from ems.services.links import Links
from ems.services.node import Node
from ems.services.security import GRID, OPERATOR, READER, Tokens
from ems.services.sites import NodeSpec, demonstration_assets, read_site, registration_of
from ems.services.state import NodeState, Role, begin
from ems.store.journal import Journal

TOKENS = Tokens({name: f"{name}-token" for name in (GRID, OPERATOR, READER, "home_1", "home_2")})


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-token"}


@cache
def fresh(role: Role, building: str = "residential4", n_days: int = 2) -> NodeState:
    """A node at its first midnight, planned once for all tests."""
    spec = NodeSpec(
        agent_id="node",
        role=role,
        transformer="transformer_A",
        tariff=load_tariff("spot"),
        assets=demonstration_assets(role),
        n_days=n_days,
    )
    return begin(read_site(spec, twin_database(), building))


def named(state: NodeState, name: str, transformer: str = "transformer_A") -> NodeState:
    return replace(state, site=replace(state.site, agent_id=name, transformer=transformer))


@dataclass
class Here:
    """A grid agent and nodes; nothing listens on a port."""

    folder: Path
    nodes: dict[str, Node]
    grid: Grid

    @property
    def apps(self) -> dict[str, FastAPI]:
        return {GRID: self.grid.app(), **{name: node.app() for name, node in self.nodes.items()}}


def node_of(folder: Path, state: NodeState) -> Node:
    return Node.of(state, TOKENS, Journal(folder / f"{state.site.agent_id}.duckdb"))


def grid_of(folder: Path, nodes: dict[str, Node], rating_kw: float) -> Grid:
    transformers = [
        Transformer(name=name, import_rating_kw=rating_kw, export_rating_kw=rating_kw)
        for name in ("transformer_A", "transformer_B")
    ]
    links = Links(
        token=TOKENS.of_agent[GRID], apps={name: node.app() for name, node in nodes.items()}
    )
    return Grid.of(transformers, links, TOKENS, Journal(folder / "grid.duckdb"), synthetic=True)


def registered(grid: Grid, nodes: dict[str, Node]) -> None:
    """As if every node had registered itself."""
    from ems.services.grid import Seen

    for name, node in nodes.items():
        grid.seen[name] = Seen(registration_of(node.state.site, f"http://{name}"))
