"""Streets for the tests of the community: the three homes of the design, and drawn ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from ems.community.keys import Dynamic, SharingKey
from ems.community.pool import PoolSteps, settle_pool
from ems.community.rules import GridPrices, PoolRule

RETAIL, FEED_IN = 0.30, 0.08


@dataclass(frozen=True, kw_only=True, eq=False)
class Street:
    """Surplus and deficit in whole Wh, shape ``(n_homes, n_steps)``, and the prices."""

    surplus_wh: np.ndarray
    deficit_wh: np.ndarray
    grid: GridPrices

    @property
    def surplus_kwh(self) -> np.ndarray:
        return self.surplus_wh / 1000.0

    @property
    def deficit_kwh(self) -> np.ndarray:
        return self.deficit_wh / 1000.0

    @property
    def alone_eur(self) -> np.ndarray:
        """What each home pays alone."""
        bought = self.deficit_kwh @ self.grid.retail_eur_per_kwh
        return bought - self.surplus_kwh @ self.grid.feed_in_eur_per_kwh

    def settled(self, rule: PoolRule, key: SharingKey | None = None) -> list[PoolSteps]:
        shared = rule.shared_eur_per_kwh(self.surplus_kwh, self.deficit_kwh, self.grid)
        return list(
            settle_pool(
                self.surplus_wh,
                self.deficit_wh,
                key=key or Dynamic(),
                shared_eur_per_kwh=shared,
                grid=self.grid,
            )
        )

    def gains_eur(self, rule: PoolRule, key: SharingKey | None = None) -> np.ndarray:
        bills = sum(steps.bill_micro_eur.sum(axis=0) for steps in self.settled(rule, key))
        return self.alone_eur - bills / 1e6


def street(
    surplus_kwh: list[float], deficit_kwh: list[float], fee: float = 0.0, feed_in: float = FEED_IN
) -> Street:
    """One step."""
    return Street(
        surplus_wh=np.rint(np.array(surplus_kwh)[:, None] * 1000).astype(np.int64),
        deficit_wh=np.rint(np.array(deficit_kwh)[:, None] * 1000).astype(np.int64),
        grid=GridPrices(
            retail_eur_per_kwh=np.array([RETAIL]),
            feed_in_eur_per_kwh=np.array([feed_in]),
            fee_eur_per_kwh=np.array([fee]),
        ),
    )


def three_homes(fee: float = 0.0) -> Street:
    """A has 4 kWh over, B and C need 3 kWh each."""
    return street([4, 0, 0], [0, 3, 3], fee)


@st.composite
def streets(draw: st.DrawFn) -> Street:
    """Two to six homes, one to five steps; also with fees that make the pool worthless."""
    n_homes, n_steps = draw(st.integers(2, 6)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    most = draw(st.sampled_from([3, 40, 5000]))
    energy = rng.integers(0, most, (2, n_homes, n_steps))
    has_both = rng.random((n_homes, n_steps))  # most have either surplus or deficit
    energy[0][has_both < 0.45] = 0
    energy[1][has_both > 0.55] = 0
    retail = np.round(rng.uniform(0.1, 0.5, n_steps), draw(st.integers(2, 6)))
    return Street(
        surplus_wh=energy[0],
        deficit_wh=energy[1],
        grid=GridPrices(
            retail_eur_per_kwh=retail,
            feed_in_eur_per_kwh=np.round(retail * rng.uniform(0, 1, n_steps), 4),
            fee_eur_per_kwh=np.full(n_steps, draw(st.sampled_from([0.0, 0.0512345, 0.2]))),
        ),
    )
