"""The base class of agents: immutable values that are planned, executed, audited and billed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ems.agents import words
from ems.agents.priced import VISIBLE_KW, PricedPlan
from ems.agents.rule import RuleSignal
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import TOLERANCE, Contribution, Kind, Participant, Plan
from ems.core.program import Program, Solution
from ems.core.solver import Solver
from ems.errors import InvalidSpec
from ems.types import Floats

SLACK_KWH = 1e-6
"""Slack on final and cumulative energies [kWh], so that a state handed on with the solver's
tolerance can always be continued."""


@dataclass(frozen=True, kw_only=True)
class Agent(ABC):
    """One device, load or source on the building's bus.

    Positive net load draws from the bus, negative feeds it. ``kind``: side of the energy balance;
    ``closes_balance``: absorbs what is left on the bus; ``first_stage``: decides once, before any
    scenario is known.

    For figures: ``colour`` (None: chosen by name) and ``layer``, the position in the stack from
    inflexible (0) to balancing. ``did`` and ``meant`` are the verbs for drawing, feeding and doing
    neither, in reports on what came of a plan.
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
        """The same agent ``n_steps`` later, after following ``plan`` until then."""

    @abstractmethod
    def unplanned(self, horizon: Horizon) -> Plan:
        """Its behaviour without planning, at the people's own times."""

    @abstractmethod
    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Yield one line for each rule that ``plan`` breaks."""

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats, signal: RuleSignal) -> Plan:
        """Its behaviour under a control rule, given the net load of those before it [kW]."""
        return self.unplanned(horizon)

    def costs_by_charge_eur(
        self, horizon: Horizon, futures_kw: Floats, left_eur_per_kwh: Mapping[str, float]
    ) -> Floats | None:
        """What is still to be paid by how full it is [€], None if it is not steered by that.

        ``futures_kw``: equally likely net loads of all others, shape ``(n_futures, n_steps)``.
        """
        return None

    def follow_value(self, horizon: Horizon, net_load_kw: Floats, then_eur: Floats) -> Plan:
        """Its behaviour if each step weighs its bill against what is still to be paid after it.

        ``net_load_kw``: of all others; ``then_eur``: rows of ``costs_by_charge_eur``, a step each.
        """
        raise NotImplementedError(f"{self.name}: its charge has costs, but it cannot follow them")

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """What it really does when given a plan that was made on a forecast.

        ``told``: the plan, starting at the same step and at least as long as ``horizon``;
        ``believed``: the agent it was made for. Both None if the forecast did not know this agent.
        """
        return self.unplanned(horizon)

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """Copy of this forecast agent over ``horizon`` with the real agent's state.

        Unreachable targets are relaxed.
        """
        return self

    @property
    def unfinished(self) -> Self | None:
        """What continues of it when no plan includes it any more, None for nothing."""
        return None

    @property
    def foreseen_kw(self) -> Floats | None:
        """The net load that is only forecast [kW], None for what is planned."""
        return None

    def in_future(self, apart_kw: Floats) -> Self:
        """The same agent in a scenario whose ``foreseen_kw`` differs.

        ``apart_kw``: additional load or generation [kW], shape ``(n_steps,)``.
        """
        return self

    def without_targets(self) -> Self:
        """The same agent without deadlines and final targets, which a forecast may miss."""
        return self

    def missed_kwh(self, plan: Plan) -> float:
        """The energy by which ``plan`` misses its targets [kWh]."""
        return 0.0

    def curtailed(self, plan: Plan, surplus_kw: Floats) -> Plan:
        """The plan with up to ``surplus_kw`` [kW] less feed-in, if this agent is curtailable."""
        return plan

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """The cost of ``plan`` besides energy [€], recomputed from its numbers."""
        return {}

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """The most it may feed in each step without being able to curtail [kW].

        Negative for a load that is always there; ∞ if it may have to get rid of energy.
        """
        return np.zeros(horizon.n_steps)

    def bus_worth_at_least(
        self, horizon: Horizon, must_feed_kw: Callable[[], Floats]
    ) -> Floats | None:
        """Lower bound on the value of a kWh on the bus [€/kWh], if this agent sets one.

        ``must_feed_kw()``: what all others together may have to feed in each step [kW].
        """
        return None

    def canonical(self, plan: Plan) -> Plan:
        """Choose which of several plans of equal cost and net load to report."""
        return plan

    @property
    def title(self) -> str:
        """What its people call it."""
        return words.spoken(self.name)

    @property
    def flow_labels(self) -> tuple[str, str]:
        """Labels in figures for what it feeds and what it draws."""
        return f"{self.title} (negative)", self.title

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """Sentences on what it does in step ``t`` of a plan, and why."""
        net_kw = float(priced.plans[self.name].net_load_kw[t])
        if abs(net_kw) > VISIBLE_KW:
            does = f"{'draws' if net_kw > 0 else 'gives'} {words.kw(abs(net_kw))}"
            yield f"The {self.title} {does}; a kWh is worth {priced.worth(t)}."

    @property
    def otherwise(self) -> str:
        """A sentence on how it reacts when the forecast is wrong; empty if it does not."""
        return ""

    def expected(self, t: int) -> bool:
        """Whether the plan expects it in step ``t``."""
        return True

    def at_rest(self, held_kwh: float) -> str:
        """Words for a step in which it neither drew nor fed, holding ``held_kwh`` [kWh]."""
        return self.did[2]

    @property
    def held_kwh(self) -> float | None:
        """Charge before the first step, ``initial_soc_kwh`` [kWh]; None if it stores nothing."""
        return getattr(self, "initial_soc_kwh", None)

    @property
    def fixed(self) -> bool:
        """Whether it has nothing to decide."""
        return False

    @property
    def generates(self) -> bool:
        """Whether it, or a member of it, is a generator."""
        return self.kind == "generation"

    def stored_kwh(self, plan: Plan | None = None) -> Mapping[str, float]:
        """Energy in each of its stores at the end of ``plan``, or now without a plan [kWh].

        Each store is named by the rule that balances its charge, whose dual is its value; empty if
        it stores nothing.
        """
        return {}

    def worth_before(self, duals: Mapping[str, Floats], horizon: Horizon) -> Mapping[str, Floats]:
        """What a kWh in each store before each step is worth [€/kWh].

        ``duals``: what a kWh more at the end of each step is worth. The same, unless the store
        loses a part of its charge within a step.
        """
        return duals

    def valued(self, left_eur_per_kwh: Mapping[str, float]) -> Self:
        """The same agent paid for what it leaves in its stores, and free of final targets.

        ``left_eur_per_kwh``: value of a kWh in each store after the last step [€/kWh].
        """
        return self

    def leaving(self, held_kwh: Mapping[str, float], horizon: Horizon) -> Self:
        """The same agent, to leave at least this in each store as far as it can [kWh]."""
        return self

    def full_cycles(self, plan: Plan, horizon: Horizon) -> float:
        """Equivalent full cycles of a stationary store, throughput / (2 · capacity)."""
        return 0.0

    def calendar_wear_eur(self, horizon: Horizon) -> float:
        """What ages by time alone, used or not [€]."""
        return 0.0

    def shifts_h(self, plan: Plan, horizon: Horizon) -> tuple[float, ...]:
        """How far each start was moved from the people's own [h]."""
        return ()

    def optimize_day(
        self,
        horizon: Horizon,
        grid: Participant,
        announced_kw: Floats | float = 0.0,
        solver: Solver | None = None,
    ) -> Plan:
        """Plan this agent alone, given the tariff and the net load announced so far [kW].

        The program holds this agent, the announced net load as a fixed series, and the grid. No
        other agent's model is in it. Raises ``Infeasible`` and ``SolveError`` as ``Program.solve``.
        """
        return self.plan_alone(horizon, grid, announced_kw, solver or Solver()).plans[self.name]

    def plan_alone(
        self, horizon: Horizon, grid: Participant, announced_kw: Floats | float, solver: Solver
    ) -> Solution:
        """``optimize_day`` with the solver's proof."""
        program = Program(horizon, announced_kw=announced_kw)
        program.add(self)
        program.add(grid)
        return program.solve(solver)


def named_twice(names: Iterable[str]) -> str | None:
    """The first name that comes again, None if each is its own.

    >>> named_twice(["a", "b", "a"])
    'a'
    """
    known = set[str]()
    for name in names:
        if name in known:
            return name
        known.add(name)
    return None


def as_steps(agent: Agent, field: str, horizon: Horizon) -> Floats:
    """The per-step series ``field`` of ``agent``. Raises ``InvalidSpec`` for a wrong length."""
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
    # min and max are NaN if any value is, and every comparison with NaN is false, so this cheap
    # test catches NaN too. Plans create many agents.
    if values.size and not (
        low <= values.min() > -np.inf and up >= values.max() < np.inf
    ):  # a NaN is neither
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= low) & (values <= up)))
        raise InvalidSpec(
            f"{agent.name}: {field}[{bad[0]}] is {values.reshape(-1)[bad[0]]}, allowed is a finite "
            f"number from {low:g} to {up:g}"
        )
    values.setflags(write=False)
    # The dataclass is frozen; this runs only in __post_init__.
    object.__setattr__(agent, field, values)


def same_shape(agent: Agent, field: str, model: str) -> None:
    """Raise ``InvalidSpec`` unless ``field``, if given, has the shape of ``model``."""
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
    # Written as `not (…)`, so that NaN fails.
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
    # `not <=` instead of `>`, so that a NaN in a plan fails the audit.
    if excess.size and not excess.max() <= TOLERANCE:
        step = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        yield f"{name}: {what}[{step}] is {values[step]:.6g}, {excess[step]:.3g} outside its limits"


def differs(name: str, what: str, values: Floats, expected: Floats) -> Iterator[str]:
    """Yield one line if ``values`` differ from ``expected``."""
    missed = np.abs(values - expected)
    if missed.size and not missed.max() <= TOLERANCE:
        yield from breaks(name, what, values, expected, expected)
