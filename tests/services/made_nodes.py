"""Two small homes and a battery behind one transformer, on a made day of cheap hours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
from small_building import at, local_index, made

from ems.economics.tariff_file import load_tariff
from ems.services.coordinator import Transformer
from ems.services.fleet import fleet_of
from ems.services.simulation import Fleet
from ems.services.sites import NodeSpec, demonstration_assets, made_site
from ems.services.state import NodeSite
from ems.site.meters import MeterData

DAY = date(2016, 6, 1)
N_DAYS = 2
RATING_KW = 11.0


@cache
def history(name: str) -> MeterData:
    """Three days with two cheap hours at night and sun at noon."""
    index = local_index(DAY, 3)
    price = np.where(np.isin(index.hour, (2, 3)), -20.0, 40.0) + np.arange(len(index)) * 0.01
    sun_kw = np.clip(3.0 - np.abs(index.hour - 12.0), 0.0, None)
    base_kw = {"home_1": 0.4, "home_2": 0.6}.get(name, 0.4)
    machine = {"dishwasher": at(index, ("2016-06-01 19:00", 1, 1.5), ("2016-06-02 19:00", 1, 1.5))}
    house = made(
        index,
        machine if name == "home_2" else None,
        base_kw=base_kw,
        pv_kwh=np.asarray(sun_kw) if name == "home_1" else None,
        price_eur_per_mwh=np.asarray(price),
    )
    return replace(house, building=name)


@cache
def site(name: str, n_days: int = N_DAYS) -> NodeSite:
    """The node of that name."""
    role = "battery" if name.startswith("battery") else "home"
    return made_site(
        NodeSpec(
            agent_id=name,
            role=role,
            transformer="transformer_A",
            tariff=load_tariff("spot"),
            assets=demonstration_assets(role, car=False),
            n_days=n_days,
            fuse_kw=8.0,
            floor_kw=0.0 if role == "battery" else 2.0,
            failsafe_kw=None,
        ),
        history(name),
    )


NAMES = ("home_1", "home_2", "battery_1")


@contextmanager
def small_fleet(folder: Path, rating_kw: float = RATING_KW) -> Iterator[Fleet]:
    """The three nodes and a grid agent in this process."""
    transformer = Transformer(
        name="transformer_A", import_rating_kw=rating_kw, export_rating_kw=30.0
    )
    with fleet_of([site(name) for name in NAMES], folder, [transformer], synthetic=True) as fleet:
        yield fleet
