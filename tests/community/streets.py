"""Made streets of homes for the tests of the community."""

from __future__ import annotations

import numpy as np

from ems.agents import (
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    HomeAgent,
    PVAgent,
)
from ems.agents.base import Agent
from ems.core.horizon import Horizon


def hours(n: int = 24, *, export_eur: float = 0.08, start: str = "2016-06-01T00:00") -> Horizon:
    """``n`` hours at prices that rise and fall."""
    return Horizon(
        start_utc=np.datetime64(start),
        step_h=1.0,
        import_eur_per_kwh=np.round(0.25 + 0.1 * np.sin(np.arange(n) / 3), 3),
        export_eur_per_kwh=np.full(n, export_eur),
    )


def three_homes() -> tuple[Horizon, tuple[HomeAgent, ...]]:
    """One hour at 0.30 and 0.08 €/kWh: A has 4 kWh too much, B and C need 3 each."""
    horizon = Horizon(
        start_utc=np.datetime64("2016-06-01T10:00"),
        step_h=1.0,
        import_eur_per_kwh=np.array([0.30]),
        export_eur_per_kwh=np.array([0.08]),
    )
    needs = {"a": -4.0, "b": 3.0, "c": 3.0}
    return horizon, tuple(
        HomeAgent(name=name, agents=(BaseLoadAgent(load_kw=np.array([need_kw])),))
        for name, need_kw in needs.items()
    )


def street(seed: int, n_homes: int, n_steps: int = 24, *, machines: bool = True) -> list[HomeAgent]:
    """Homes with sun, batteries and washing machines, drawn by ``seed``."""
    rng, t = np.random.default_rng(seed), np.arange(n_steps)
    homes = []
    for number in range(n_homes):
        agents: list[Agent] = [BaseLoadAgent(load_kw=rng.lognormal(-0.7, 0.5, n_steps))]
        if rng.random() < 0.6:
            shine = np.maximum(np.sin((t % 24 - 6) / 12 * np.pi), 0.0)
            agents.append(PVAgent(available_kw=shine * rng.uniform(0, 8)))
        if rng.random() < 0.5:
            agents.append(
                BatteryAgent(
                    capacity_kwh=8.0, initial_soc_kwh=2.0, max_charge_kw=4.0, max_discharge_kw=4.0
                )
            )
        if machines and rng.random() < 0.3:
            earliest = int(rng.integers(0, n_steps // 2))
            wash = Cycle(
                number=1,
                earliest=earliest,
                latest=n_steps - 4,
                profile_kw=(2.0, 0.5),
                metered_start=earliest,
            )
            agents.append(DiscretePhaseDevice(name="washing_machine", cycles=(wash,)))
        homes.append(HomeAgent(name=f"home_{number}", agents=tuple(agents)))
    return homes
