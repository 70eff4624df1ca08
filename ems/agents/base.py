"""What every agent is: an immutable value that can be planned, carried on, checked and billed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ems.agents import words
from ems.agents.priced import VISIBLE_KW, PricedPlan
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import TOLERANCE, Contribution, Kind, Participant, Plan
from ems.core.program import Program, Solution
from ems.core.solver import Solver
from ems.errors import InvalidSpec
from ems.types import Floats

SLACK_KWH = 1e-6
"""By how much a final or cumulative energy may be missed, so that a state handed over with the
solver's own tolerance can always be continued."""


@dataclass(frozen=True, kw_only=True)
class Agent(ABC):
    """One device, load or source on the building's bus.

    Positive net load draws from the bus, negative feeds it. ``kind`` says on which side of the
    energy account the agent stands; ``closes_balance`` marks what takes whatever is left,
    ``first_stage`` what is decided once before any scenario is known.

    In figures it is filled with ``colour`` (None: one of its own, by its name) and stands in the
    stack by its ``layer``, from what never moves (0) to what takes the rest. Where it is told what
    came of a plan, ``did`` and ``meant`` are its verbs for drawing, feeding and doing neither.
    """

    name: str
    kind: ClassVar[Kind]
    closes_balance: ClassVar[bool] = False
    first_stage: ClassVar[bool] = False
    colour: ClassVar[str | None] = None
    layer: ClassVar[int] = 2
    did: ClassVar[tuple[str, str, str]] = ("drew", "gave", "drew nothing")
    meant: ClassVar[tuple[str, str, str]] = ("to draw", "to give", "nothing")

    @abstractmethod
    def contribute(self, block: Block) -> Contribution:
        """Write this agent's variables and rules into ``block``; return what others may see."""

    @abstractmethod
    def after(self, plan: Plan, n_steps: int) -> Self:
        """The same agent ``n_steps`` later, having carried out ``plan`` until then."""

    @abstractmethod
    def unplanned(self, horizon: Horizon) -> Plan:
        """What this agent does when nobody plans: the people's own timing."""

    @abstractmethod
    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Yield one line for each rule that the numbers of ``plan`` break."""

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats) -> Plan:
        """What it does under the usual control rule, seeing the net load [kW] of all others."""
        return self.unplanned(horizon)

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """What it really does when told the set-points of a plan that was made on a belief.

        ``told``: the plan, from the same step on and at least as long as ``horizon``, and
        ``believed`` the agent it was made for; None where nobody believed in this agent.
        """
        return self.unplanned(horizon)

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """The believed agent over ``horizon``, in the state in which the real one stands.

        It promises no more than can still be reached from there.
        """
        return self

    @property
    def unfinished(self) -> Self | None:
        """What of it goes on where no plan knows of it any more, None for nothing."""
        return None

    @property
    def foreseen_kw(self) -> Floats | None:
        """The net load that only a forecast says [kW], None for what is planned."""
        return None

    def in_future(self, apart_kw: Floats) -> Self:
        """The same agent in a future in which ``foreseen_kw`` comes otherwise.

        ``apart_kw``: by how much more is drawn or generated [kW], shape ``(n_steps,)``.
        """
        return self

    def holding(self, value_eur_per_kwh_h: float) -> Self:
        """The same agent, counting it worth something to hold a kWh for an hour [€/kWh/h]."""
        return self

    def without_targets(self) -> Self:
        """The same agent without what must be reached by a time: a forecast may miss it."""
        return self

    def missed_kwh(self, plan: Plan) -> float:
        """The energy by which ``plan`` misses what must be reached by a time [kWh]."""
        return 0.0

    def curtailed(self, plan: Plan, surplus_kw: Floats) -> Plan:
        """The plan with up to ``surplus_kw`` [kW] less fed in, if this agent may throw it away."""
        return plan

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """What ``plan`` costs [€] beside the energy itself, recomputed from its numbers."""
        return {}

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """The most it may have to feed into the bus in each step, unable to hold it back [kW].

        Negative is a load that is there whatever is planned; ∞ for what may have to be got rid of.
        """
        return np.zeros(horizon.n_steps)

    def bus_worth_at_least(
        self, horizon: Horizon, must_feed_kw: Callable[[], Floats]
    ) -> Floats | None:
        """A lower bound on the value of a kWh on the bus [€/kWh], if this agent sets one.

        ``must_feed_kw()``: what all others together may have to feed in each step [kW].
        """
        return None

    def canonical(self, plan: Plan) -> Plan:
        """Choose among plans of equal cost the one to report; what it frees the grid takes."""
        return plan

    @property
    def title(self) -> str:
        """What its people call it."""
        return words.spoken(self.name)

    @property
    def flow_labels(self) -> tuple[str, str]:
        """What figures call what it feeds into the bus, and what it draws."""
        return f"{self.title} (negative)", self.title

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """What it does in step ``t`` of a plan and why, in sentences."""
        net_kw = float(priced.plans[self.name].net_load_kw[t])
        if abs(net_kw) > VISIBLE_KW:
            does = f"{'draws' if net_kw > 0 else 'gives'} {words.kw(abs(net_kw))}"
            yield f"The {self.title} {does}; a kWh is worth {priced.worth(t)}."

    @property
    def otherwise(self) -> str:
        """A sentence on what it does when something comes otherwise than forecast, if it does."""
        return ""

    def expected(self, t: int) -> bool:
        """Whether a plan counts on it in step ``t``."""
        return True

    def at_rest(self, held_kwh: float) -> str:
        """What it did in a step in which it neither drew nor fed, holding ``held_kwh`` [kWh]."""
        return self.did[2]

    @property
    def held_kwh(self) -> float | None:
        """Its ``initial_soc_kwh``, the charge before the first step [kWh]; None if it has none."""
        return getattr(self, "initial_soc_kwh", None)

    @property
    def fixed(self) -> bool:
        """Whether nothing is left to decide."""
        return False

    def stored_kwh(self, plan: Plan | None = None) -> float:
        """What it can still deliver to the bus at the end of ``plan``, or before it [kWh].

        Negative is energy it still needs from the bus; zero for what stores nothing.
        """
        return 0.0

    def full_cycles(self, plan: Plan, horizon: Horizon) -> float:
        """Equivalent full cycles of a stationary store, throughput / (2 · capacity)."""
        return 0.0

    def shifts_h(self, plan: Plan, horizon: Horizon) -> tuple[float, ...]:
        """How far each of the people's own starts was moved [h]."""
        return ()

    def optimize_day(
        self,
        horizon: Horizon,
        grid: Participant,
        announced_kw: Floats | float = 0.0,
        solver: Solver | None = None,
    ) -> Plan:
        """Plan this agent alone, knowing the tariff and the net load announced so far [kW].

        The program holds this agent, the announced net load as a fixed series and the grid; no
        other agent's model is in it. Raises ``Infeasible`` and ``SolveError`` as ``Program.solve``.
        """
        return self.plan_alone(horizon, grid, announced_kw, solver or Solver()).plans[self.name]

    def plan_alone(
        self, horizon: Horizon, grid: Participant, announced_kw: Floats | float, solver: Solver
    ) -> Solution:
        """``optimize_day`` with what the solver proved."""
        program = Program(horizon, announced_kw=announced_kw)
        program.add(self)
        program.add(grid)
        return program.solve(solver)


def as_steps(agent: Agent, field: str, horizon: Horizon) -> Floats:
    """The per-step series ``field`` of ``agent``; raises ``InvalidSpec`` for a wrong length."""
    values: Floats = getattr(agent, field)
    if values.shape != (horizon.n_steps,):
        raise InvalidSpec(
            f"{agent.name}: {field} has shape {values.shape}, the horizon has "
            f"{horizon.n_steps} steps; give one value a step"
        )
    return values


def frozen_series(agent: Agent, field: str, *, low: float = -np.inf, up: float = np.inf) -> None:
    """Store ``field`` as a read-only float array after checking ``low ≤ value ≤ up``."""
    values = np.array(getattr(agent, field), dtype=np.float64)
    if values.size and not (
        low <= values.min() > -np.inf and up >= values.max() < np.inf
    ):  # a NaN is neither
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= low) & (values <= up)))
        raise InvalidSpec(
            f"{agent.name}: {field}[{bad[0]}] is {values.reshape(-1)[bad[0]]}, allowed is a finite "
            f"number from {low:g} to {up:g}"
        )
    values.setflags(write=False)
    object.__setattr__(agent, field, values)


def same_shape(agent: Agent, field: str, model: str) -> None:
    """Raise ``InvalidSpec`` unless ``field``, where given, has the shape of ``model``."""
    values, expected = getattr(agent, field), getattr(agent, model).shape
    if values is not None and values.shape != expected:
        raise InvalidSpec(
            f"{agent.name}: {field} has shape {values.shape}, {model} has {expected}; give both "
            "one value a step"
        )


def check_range(
    agent: Agent, field: str, *, low: float = 0.0, up: float = np.inf, above: bool = False
) -> None:
    """Raise ``InvalidSpec`` unless ``low ≤ value ≤ up`` (``low < value`` with ``above``)."""
    value = getattr(agent, field)
    if not ((value > low if above else value >= low) and value <= up):
        sign = "<" if above else "<="
        raise InvalidSpec(
            f"{agent.name}: {field} is {value}, allowed is {low:g} {sign} {field} <= {up:g}"
        )


def breaks(
    name: str, what: str, values: Floats, low: Floats | float, up: Floats | float
) -> Iterator[str]:
    """Yield one line naming the step where ``values`` leave ``[low, up]`` the most, if any do."""
    excess = np.maximum(low - values, values - up)
    if excess.size and not excess.max() <= TOLERANCE:
        step = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        yield f"{name}: {what}[{step}] is {values[step]:.6g}, {excess[step]:.3g} outside its limits"


def differs(name: str, what: str, values: Floats, expected: Floats) -> Iterator[str]:
    """Yield one line when ``values`` are not ``expected``."""
    missed = np.abs(values - expected)
    if missed.size and not missed.max() <= TOLERANCE:
        yield from breaks(name, what, values, expected, expected)
