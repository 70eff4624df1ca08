"""Nodes made from the buildings of a database: a home as metered, or a battery of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from ems.agents.ev import EVSpec
from ems.economics.tariff import Tariff
from ems.errors import InvalidSpec
from ems.pipelines.comparison import choose_window
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import ComparisonSpec
from ems.services.coordinator import floor_kw
from ems.services.models import Registration
from ems.services.state import NodeSite, Role
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history

HOME_FUSE_KW = 24.0
"""Three phases of 35 A (assumed) [kW]."""


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """What a node is made from.

    ``fuse_kw``, ``floor_kw``: None for what its role has.
    """

    agent_id: str
    role: Role
    transformer: str
    tariff: Tariff
    assets: Assets
    start: date | None = None
    n_days: int = 1
    lookahead_h: float = 24.0
    fuse_kw: float | None = None
    floor_kw: float | None = None
    failsafe_kw: float | None = None


def made_site(spec: NodeSpec, history: MeterData) -> NodeSite:
    """The node; raises ``InvalidSpec`` and ``DataError`` as the pipelines do."""
    assets, fuse_kw, floor = spec.assets, HOME_FUSE_KW, floor_kw(1)
    if spec.role == "battery":
        history, assets = _empty(history), replace(assets, ev=None, appliances=False)
        fuse_kw = assets.battery.max_charge_kw if assets.battery is not None else 0.0
        floor = 0.0  # a store of its own that nobody's comfort depends on
    building = Building(history, spec.tariff, assets)
    compared = ComparisonSpec(
        tariff=spec.tariff,
        assets=building.assets,
        modes=("centralized",),
        lookahead_h=spec.lookahead_h,
    )
    window = choose_window(building, spec.start, spec.n_days)
    values = perfect_plan(building, compared, window).values
    return NodeSite(
        agent_id=spec.agent_id,
        role=spec.role,
        transformer=spec.transformer,
        building=building,
        spec=compared,
        window=window,
        values=values,
        floor_kw=floor if spec.floor_kw is None else spec.floor_kw,
        fuse_kw=fuse_kw if spec.fuse_kw is None else spec.fuse_kw,
        failsafe_kw=spec.failsafe_kw,
    )


def demonstration_assets(role: Role, *, car: bool = True) -> Assets:
    """A battery; a home also has a car, assumed where none is metered, and PV may be curtailed."""
    return Assets(
        ev=EVSpec(assumed=True) if role == "home" and car else None,
        curtailable_pv=True,
    )


def _empty(history: MeterData) -> MeterData:
    """The place, clock and prices of a building, with nothing behind its meters."""
    feeds = tuple(feed for feed in history.feeds if feed.role in ("import", "export"))
    nothing = np.zeros(len(history.ts_utc))
    return replace(
        history,
        feeds=feeds,
        energy_kwh={feed.name: nothing for feed in feeds},
        load_kwh=nothing,
        pv_kwh=nothing,
    )


def read_site(spec: NodeSpec, db: Path, building: str) -> NodeSite:
    """The node of a building in a database. Raises ``DataError`` and ``InvalidSpec``."""
    con = get_con(db)
    try:
        known = list_buildings(con)
        named = [name for name in known if name == building or name.endswith(f"_{building}")]
        if len(named) != 1:
            raise InvalidSpec(f"building is {building!r}, allowed are {', '.join(known)}")
        history = read_history(con, named[0])
    finally:
        con.close()
    return made_site(spec, history)


def registration_of(site: NodeSite, url: str | None) -> Registration:
    """What the grid is told of a node: its worst case is its fuse, either way."""
    return Registration(
        role=site.role,
        transformer=site.transformer,
        url=url,
        max_import_kw=site.fuse_kw,
        max_export_kw=site.fuse_kw,
    )
