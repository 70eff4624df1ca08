"""What every home pays in every step, to the µ€, some hundred steps at a time.

A home pays m (λ + f) + (d − m) p_in − q λ − (s − q) p_out: it receives m of its deficit d from the
pool and supplies q of its surplus s. Prices are whole 10⁻⁹ €/kWh and energies whole Wh, so the sum
over homes is exactly what grid and fee take; it is rounded to µ€ once a step, and the homes' bills
are rounded to it by largest remainder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ems.community.keys import SharingKey, supplied_wh
from ems.community.money import MICRO, hand_out, nano_eur_per_kwh
from ems.community.rules import GridPrices
from ems.errors import InvalidSpec
from ems.types import Floats, Ints

CELLS = 1 << 18
"""Homes times steps that are settled at once: what fits near the processor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolSteps:
    """Some steps of the account, from ``first_step`` on; per home ``(n_steps, n_homes)``.

    ``received_wh``, ``supplied_wh``: from and to the pool; each step's sums are equal.
    ``bill_micro_eur``: what the home pays for its energy, below 0 what it is paid.
    ``invoice_micro_eur``, ``fee_micro_eur``: what the grid's supplier and the fee take of the
    community, shape ``(n_steps,)``. Bills of a step sum to invoice + fee exactly.
    """

    first_step: int
    received_wh: Ints
    supplied_wh: Ints
    bill_micro_eur: Ints
    invoice_micro_eur: Ints
    fee_micro_eur: Ints


def settle_pool(
    surplus_wh: Ints,
    deficit_wh: Ints,
    *,
    key: SharingKey,
    shared_eur_per_kwh: Floats,
    grid: GridPrices,
) -> Iterator[PoolSteps]:
    """Share and settle all steps, in pieces that follow on one another.

    ``surplus_wh``, ``deficit_wh``: shape ``(n_homes, n_steps)``; ``shared_eur_per_kwh``: λ from the
    rule, shape ``(n_steps,)``. Nothing is shared where it is not worthwhile. The result does not
    depend on the size of a piece. Raises ``InvalidSpec`` for shapes that differ, energy below 0,
    or a key for other homes.
    """
    n_homes, n_steps = deficit_wh.shape
    if surplus_wh.shape != deficit_wh.shape or grid.retail_eur_per_kwh.shape != (n_steps,):
        raise InvalidSpec(
            f"settle_pool: surplus of shape {surplus_wh.shape}, deficit {deficit_wh.shape} and "
            f"{len(grid.retail_eur_per_kwh)} prices; all must have the same steps and homes"
        )
    least = min(surplus_wh.min(initial=0), deficit_wh.min(initial=0))
    if least < 0:
        raise InvalidSpec(
            f"settle_pool: energy of {least} Wh, must be at least 0; give surplus and deficit apart"
        )
    key.check_homes(n_homes)
    prices = np.stack(
        [
            nano_eur_per_kwh(values)
            for values in (
                shared_eur_per_kwh,
                grid.fee_eur_per_kwh,
                grid.retail_eur_per_kwh,
                grid.feed_in_eur_per_kwh,
            )
        ]
    )
    return _pieces(surplus_wh, deficit_wh, key, prices, grid)


def _pieces(
    surplus_wh: Ints, deficit_wh: Ints, key: SharingKey, prices: Ints, grid: GridPrices
) -> Iterator[PoolSteps]:
    n_homes, n_steps = deficit_wh.shape
    length = max(1, CELLS // n_homes)
    for first in range(0, n_steps, length):
        piece = slice(first, first + length)
        surplus = np.ascontiguousarray(surplus_wh[:, piece].T)
        deficit = np.ascontiguousarray(deficit_wh[:, piece].T)
        offered = surplus * grid.worthwhile[piece, None]
        received = key.received_wh(offered, deficit)
        supplied = supplied_wh(offered, received.sum(axis=1))
        yield _settled(first, surplus, deficit, received, supplied, prices[:, piece, None])


def _settled(
    first: int, surplus: Ints, deficit: Ints, received: Ints, supplied: Ints, prices: Ints
) -> PoolSteps:
    shared, fee, retail, feed_in = prices
    from_grid = (deficit - received) * retail - (surplus - supplied) * feed_in
    exact = from_grid + received * (shared + fee) - supplied * shared
    floors = exact // MICRO
    invoice, total = (_micro(values.sum(axis=1)) for values in (from_grid, exact))
    rest = total - floors.sum(axis=1)
    return PoolSteps(
        first_step=first,
        received_wh=received,
        supplied_wh=supplied,
        bill_micro_eur=hand_out(floors, exact - floors * MICRO, rest),
        invoice_micro_eur=invoice,
        fee_micro_eur=total - invoice,
    )


def _micro(pico_eur: Ints) -> Ints:
    """10⁻¹² € in whole µ€, halves up."""
    return (pico_eur + MICRO // 2) // MICRO
