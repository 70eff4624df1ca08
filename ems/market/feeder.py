"""Voltages along a radial feeder: linear DistFlow, and the exact sweep that audits it.

Linear (losses left out): v_i² = v_up² − 2 (r P + x Q), P and Q what flows into the branch (Baran
and Wu, IEEE Trans. Power Delivery 4(1), 1989, doi:10.1109/61.19265). Exact: currents are summed
from the ends to the root and voltages computed back, until both agree. Balanced three-phase, steady
state, all in pu; the figures say nothing of single phases, tap changers or protection.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ems.checked import Entry, check, read_toml
from ems.errors import InvalidSpec, SolveError
from ems.types import Floats, Ints

Complexes = NDArray[np.complex128]
BARAN_WU_33 = Path(__file__).parent / "feeders" / "baran_wu_33.toml"
"""The feeder of 33 buses that everybody compares on."""
TOLERANCE_PU = 1e-12
MOST_SWEEPS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Feeder:
    """A radial feeder; all arrays have shape ``(n_buses,)`` without the root, in pu.

    ``upstream``: place of the bus before each bus, −1 the root; earlier in the arrays than the bus
    itself. ``r_pu``, ``x_pu``: of the branch that leads to it. ``base_kva``, ``base_kv``: what 1 pu
    is. Raises ``InvalidSpec``.
    """

    name: str
    upstream: Ints
    r_pu: Floats
    x_pu: Floats
    base_kva: float
    base_kv: float
    root_pu: float = 1.0

    def __post_init__(self) -> None:
        n = len(self.upstream)
        if not self.r_pu.shape == self.x_pu.shape == self.upstream.shape == (n,):
            raise InvalidSpec(
                f"Feeder {self.name}: upstream, r_pu and x_pu have shapes {self.upstream.shape}, "
                f"{self.r_pu.shape} and {self.x_pu.shape}, must be the same"
            )
        late = np.flatnonzero((self.upstream < -1) | (self.upstream >= np.arange(n)))
        if len(late):
            raise InvalidSpec(
                f"Feeder {self.name}: upstream of bus {late[0]} is {self.upstream[late[0]]}, must "
                "be -1 or a bus before it; list the buses from the root outwards"
            )
        if n and not min(self.r_pu.min(), self.x_pu.min()) >= 0.0:
            raise InvalidSpec(f"Feeder {self.name}: r_pu and x_pu must be at least 0")

    @cached_property
    def below(self) -> Floats:
        """1 where bus j (column) is fed through branch i (row), shape ``(n_buses, n_buses)``."""
        n = len(self.upstream)
        fed = np.eye(n)
        for bus in reversed(range(n)):
            if self.upstream[bus] >= 0:
                fed[self.upstream[bus]] += fed[bus]
        return fed


def linear_voltages(feeder: Feeder, p_pu: Floats, q_pu: Floats) -> Floats:
    """Voltages [pu] of loads, shape ``(…, n_buses)``: one linear step, no losses.

    Raises ``SolveError`` where the load is so high that no voltage is left.
    """
    _check_loads(feeder, p_pu, q_pu)
    drops = feeder.r_pu * (p_pu @ feeder.below.T) + feeder.x_pu * (q_pu @ feeder.below.T)
    squares = feeder.root_pu**2 - 2.0 * drops @ feeder.below
    if (squares <= 0.0).any():
        raise SolveError(
            f"feeder {feeder.name}: the load leaves no voltage at bus "
            f"{int(np.argwhere(squares <= 0.0)[0][-1])}; it is beyond what the feeder can carry"
        )
    return np.sqrt(squares)


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerFlow:
    """Exact voltages [pu], ``(…, n_buses)``, and the losses of each branch in kW."""

    voltage_pu: Floats
    loss_kw: Floats


def power_flow(feeder: Feeder, p_pu: Floats, q_pu: Floats) -> PowerFlow:
    """Backward/forward sweep for loads of shape ``(…, n_buses)``.

    Raises ``SolveError`` if it does not settle, as beyond the most the feeder can carry.
    """
    _check_loads(feeder, p_pu, q_pu)
    impedance = feeder.r_pu + 1j * feeder.x_pu
    below: Complexes = feeder.below.astype(np.complex128)
    load: Complexes = (p_pu + 1j * q_pu).astype(np.complex128)
    voltage: Complexes = np.full(load.shape, feeder.root_pu, dtype=np.complex128)
    for _ in range(MOST_SWEEPS):
        current = np.conj(load / voltage) @ below.T
        new = feeder.root_pu - (impedance * current) @ below
        moved = np.abs(new - voltage).max(initial=0.0)
        if not moved < 1.0:  # not a number, too
            break
        voltage = new
        if moved < TOLERANCE_PU:
            loss_kw: Floats = feeder.r_pu * np.abs(current) ** 2 * feeder.base_kva
            return PowerFlow(voltage_pu=np.abs(voltage), loss_kw=loss_kw)
    raise SolveError(
        f"feeder {feeder.name}: the sweep does not settle; the load of {p_pu.sum(-1).max():.3g} pu "
        "is beyond what the feeder can carry"
    )


def _check_loads(feeder: Feeder, p_pu: Floats, q_pu: Floats) -> None:
    n = len(feeder.upstream)
    if p_pu.shape != q_pu.shape or p_pu.shape[-1:] != (n,):
        raise InvalidSpec(
            f"feeder {feeder.name}: loads of shape {p_pu.shape} and {q_pu.shape}, must both be "
            f"(…, {n})"
        )
    if not (np.isfinite(p_pu).all() and np.isfinite(q_pu).all()):
        raise InvalidSpec(f"feeder {feeder.name}: a load is not finite")


class BranchEntry(Entry):
    """One branch of a feeder file, and the load at its end."""

    EXPECTED: ClassVar[str] = "{ from, to, r_ohm, x_ohm, p_kw, q_kvar }"
    from_bus: int = Field(ge=1, description="a bus number from 1, the root")
    to_bus: int = Field(ge=2, description="a bus number from 2")
    r_ohm: float = Field(ge=0, description="a resistance of at least 0")
    x_ohm: float = Field(ge=0, description="a reactance of at least 0")
    p_kw: float = Field(description="the load at to_bus")
    q_kvar: float = Field(description="the reactive load at to_bus")


class FeederEntry(Entry):
    """A feeder file."""

    name: str = Field(min_length=1, description="a name")
    source: str = Field(min_length=1, description="where the figures are from")
    base_kv: float = Field(gt=0, description="line voltage above 0")
    base_kva: float = Field(gt=0, description="power above 0")
    branch: list[BranchEntry] = Field(min_length=1, description="a list of branches")


def read_feeder(path: Path) -> tuple[Feeder, Floats, Floats]:
    """A feeder and the loads P and Q [pu] of its file. Raises ``InvalidSpec``."""
    entry = check(FeederEntry, read_toml(path, "feeder", InvalidSpec), str(path), InvalidSpec)
    ohm = entry.base_kv**2 * 1000.0 / entry.base_kva
    place = {1: -1, **{branch.to_bus: i for i, branch in enumerate(entry.branch)}}
    unknown = [branch.from_bus for branch in entry.branch if branch.from_bus not in place]
    if unknown or len(place) <= len(entry.branch):
        raise InvalidSpec(
            f"{path}: "
            + (f"bus {unknown[0]} has no branch" if unknown else "a bus has two branches to it")
            + "; a radial feeder has one to each bus but the root, 1"
        )
    rows = np.array([(b.r_ohm, b.x_ohm, b.p_kw, b.q_kvar) for b in entry.branch])
    r_pu, x_pu = (rows[:, :2] / ohm).T
    p_pu, q_pu = (rows[:, 2:] / entry.base_kva).T
    feeder = Feeder(
        name=entry.name,
        upstream=np.array([place[branch.from_bus] for branch in entry.branch], dtype=np.int64),
        r_pu=r_pu,
        x_pu=x_pu,
        base_kva=entry.base_kva,
        base_kv=entry.base_kv,
    )
    return feeder, p_pu, q_pu
