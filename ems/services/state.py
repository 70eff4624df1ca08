"""The state of a node: a building or a battery, an instant, and the limits it keeps.

Frozen: every function returns a new state. Days are planned as ``mode="centralized"`` with perfect
information plans them in ``ems.pipelines.comparison``, so that without a limit the bills are the
same to the bit. A limit is a series on the meter; the rest of the day is then planned again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ems.agents import Agent, GridAgent
from ems.agents.base_load import BASE_LOAD
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.offer import Offer
from ems.control.baselines import settled
from ems.control.optimizer import GlobalOptimizer, joined
from ems.core.horizon import Horizon
from ems.economics.settlement import DayKpis, total
from ems.economics.store_value import StoreValues
from ems.errors import InvalidSpec
from ems.pipelines.comparison import Window, proven_gap_eur, settled_day, state_after
from ems.pipelines.spec import ComparisonSpec
from ems.site.building import Building
from ems.site.task import PlanningTask
from ems.store.quality import BALANCE_SHORT_KW, FROZEN_MIN_H, RESOLUTION_KWH
from ems.types import Floats

Role = Literal["home", "battery"]
Side = Literal["import", "export"]
Scenario = Literal["normal", "overload", "surplus", "stuck_meter", "silent"]
MOST_READINGS = 48
"""How many readings a node remembers."""
SCENARIO_STEPS = 6
"""How long a scenario lasts."""
DISTURBANCE_KW = 5.0
"""What the scenarios overload and surplus add to, or take from, the metered load [kW]."""
PEAK_EUR_PER_KW = 1e4
"""A price on the peak so high that the least peak is found first [€/kW]."""
ROUNDING_KW = 1e-6
"""Limits are rounded up to a milliwatt, so that the plan they come from keeps them [kW]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeSite:
    """What a node is.

    ``floor_kw``: what its dimmable devices may always draw [kW]; ``fuse_kw``: its registered limit,
    the worst case while it is silent [kW]; ``failsafe_kw``: its limit when the grid is silent for
    too long [kW], None for no limit.
    """

    agent_id: str
    role: Role
    transformer: str
    building: Building
    spec: ComparisonSpec
    window: Window
    values: StoreValues
    floor_kw: float
    fuse_kw: float
    failsafe_kw: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Envelope:
    """Limits on the meter from an instant on.

    ``max_import_kw``, ``max_export_kw``: shape ``(n,)``, ∞ where nothing is said; ``ends_s``: where
    each element ends, in seconds after ``from_utc``; ``failsafe_after_s``: how long the grid may be
    silent, in simulated time [s]; ``gave_way_kw``: by how much it was lifted, since people used
    what no plan knew [kW].
    """

    curtailment_id: str
    from_utc: np.datetime64
    ends_s: Floats
    max_import_kw: Floats
    max_export_kw: Floats
    failsafe_after_s: float
    gave_way_kw: float = 0.0

    def giving_way(self, now_utc: np.datetime64, added_kw: float) -> Envelope:
        """The envelope from now on with room for ``added_kw`` more draw, or feed if negative."""
        later = self.ends_s > (now_utc - self.from_utc) / np.timedelta64(1, "s")
        return replace(
            self,
            max_import_kw=self.max_import_kw + later * max(added_kw, 0.0),
            max_export_kw=self.max_export_kw + later * max(-added_kw, 0.0),
            gave_way_kw=self.gave_way_kw + abs(added_kw),
        )

    def limits_kw(self, horizon: Horizon) -> tuple[Floats, Floats]:
        """The limits of each step in which an element begins, ∞ elsewhere [kW]."""
        after_s = (horizon.ts_utc - self.from_utc.astype("datetime64[s]")).astype(np.float64)
        element = np.searchsorted(self.ends_s, after_s, side="right")
        inside = (after_s >= 0.0) & (element < len(self.ends_s))
        at = np.minimum(element, len(self.ends_s) - 1)
        import_kw = np.where(inside, self.max_import_kw[at], np.inf)
        return import_kw, np.where(inside, self.max_export_kw[at], np.inf)

    def is_over(self, now_utc: np.datetime64) -> bool:
        """Whether its last element has ended."""
        return bool((now_utc - self.from_utc) / np.timedelta64(1, "s") >= self.ends_s[-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeState:
    """A node at an instant.

    ``task``: the day as it is; ``plan``: what is being carried out, ``at`` steps of it done;
    ``parts``: what was carried out of the day before; ``days``: the figures of finished days;
    ``heard_utc``: when the grid was last heard; ``failsafe``: whether it has been silent too long;
    ``scenario``: what is wrong for ``scenario_steps`` more; ``stuck_at_kw``: of a stuck
    meter [kW]; ``readings_kw``: what the meter showed in each of the last steps, and what the
    devices drew by their own count [kW].
    """

    site: NodeSite
    day_index: int
    task: PlanningTask
    plan: DispatchPlan
    at: int = 0
    parts: tuple[DispatchPlan, ...] = ()
    envelopes: tuple[Envelope, ...] = ()
    days: DayKpis | None = None
    sequence: int = 0
    heard_utc: np.datetime64
    failsafe: bool = False
    cost_of_limits_eur: float = 0.0
    scenario: Scenario = "normal"
    scenario_steps: int = 0
    stuck_at_kw: float = 0.0
    readings_kw: tuple[tuple[float, float], ...] = ()

    @property
    def now_utc(self) -> np.datetime64:
        """The start of the next step."""
        horizon = self.plan.horizon
        passed = np.timedelta64(round(self.at * horizon.step_h * 3600), "s")
        return np.datetime64(horizon.start_utc.astype("datetime64[s]") + passed)

    @property
    def rest(self) -> Horizon:
        """The steps that are still planned."""
        return self.plan.horizon.window(self.at, self.plan.horizon.n_steps)

    @property
    def expected_kw(self) -> Floats:
        """The planned draw at the meter from now on, negative for feeding [kW]."""
        return -self.plan.plans[self.plan.grid.name].net_load_kw[self.at :]

    @property
    def limits_now_kw(self) -> tuple[Floats, Floats]:
        """The limits of import and export from now on [kW]."""
        return self.limits_kw(self.rest, _now(self)[0])

    @property
    def is_over(self) -> bool:
        """Whether all its days are done."""
        return self.day_index >= len(self.site.window.days)

    def limits_kw(self, horizon: Horizon, agents: Sequence[Agent]) -> tuple[Floats, Floats]:
        """The limits of the grid on the steps of ``horizon`` [kW]; ∞ for none.

        ``agents``: those that are planned over them.
        """
        import_kw = np.full(horizon.n_steps, np.inf)
        export_kw = np.full(horizon.n_steps, np.inf)
        if self.failsafe and self.site.failsafe_kw is not None:
            # Never below what the law and the fixed load need: a node must be able to keep it.
            least_kw = least_limits_kw(self.site, horizon, agents)
            import_kw = np.minimum(import_kw, np.maximum(self.site.failsafe_kw, least_kw))
        for envelope in self.envelopes:
            most_in, most_out = envelope.limits_kw(horizon)
            import_kw, export_kw = np.minimum(import_kw, most_in), np.minimum(export_kw, most_out)
        return import_kw, export_kw


# --- time passes ----------------------------------------------------------------------------------


def begin(site: NodeSite) -> NodeState:
    """The node at the first midnight of its window."""
    task = _task(site, 0, {})
    plan = GlobalOptimizer(task.agents, task.grid, site.spec.solver).optimize_centralized(
        task.horizon
    )
    start_utc = task.horizon.start_utc.astype("datetime64[s]")
    return NodeState(site=site, day_index=0, task=task, plan=plan, heard_utc=start_utc)


def simulate(state: NodeState, n_steps: int) -> NodeState:
    """The node ``n_steps`` later. Raises ``InvalidSpec`` beyond its last day."""
    for _ in range(n_steps):
        state = _step(state)
    return state


def _step(state: NodeState) -> NodeState:
    if state.is_over:
        raise InvalidSpec(
            f"{state.site.agent_id}: its {len(state.site.window.days)} days are over; start it "
            "with more --n_days"
        )
    draw_kw = float(state.expected_kw[0])
    reading_kw = (state.stuck_at_kw if state.scenario == "stuck_meter" else draw_kw, draw_kw)
    state = replace(state, at=state.at + 1, sequence=state.sequence + 1)
    done = sum(part.horizon.n_steps for part in state.parts) + state.at
    if done == state.task.n_committed:
        state = _next_day(state)
    envelopes = tuple(e for e in state.envelopes if not e.is_over(state.now_utc))
    readings_kw = (*state.readings_kw, reading_kw)[-MOST_READINGS:]
    left = max(0, state.scenario_steps - 1)
    scenario = state.scenario if left else "normal"
    state = replace(
        state, envelopes=envelopes, scenario=scenario, scenario_steps=left, readings_kw=readings_kw
    )
    if not state.failsafe and not state.is_over and _silent_too_long(state):
        state = replace(state, envelopes=(), failsafe=True)
        state = replanned(state)
    return state


def _silent_too_long(state: NodeState) -> bool:
    silent_s = (state.now_utc - state.heard_utc) / np.timedelta64(1, "s")
    return any(silent_s > envelope.failsafe_after_s for envelope in state.envelopes)


def _next_day(state: NodeState) -> NodeState:
    """Settle the day that has ended, and plan the next one from where it left the stores."""
    site, day = state.site, state.site.window.days[state.day_index]
    done = _whole_day(state)
    gap_eur = np.nan if state.parts else proven_gap_eur(state.plan)
    kpis = settled_day(site.building, day, done, site.values, gap_eur)
    days = kpis if state.days is None else total([state.days, kpis])
    later = state.day_index + 1
    if later == len(site.window.days):
        return replace(state, day_index=later, days=days)
    task = _task(site, later, state_after(done))
    fresh = replace(state, day_index=later, task=task, parts=(), at=0, days=days)
    return _planned(fresh, task.horizon, task.agents, task.grid)


def _whole_day(state: NodeState) -> DispatchPlan:
    """What was carried out from midnight to midnight."""
    task = state.task
    if not state.parts:
        return state.plan.window(0, state.at)
    # With the look-ahead, as long as the agents' series.
    parts = (*state.parts, state.plan)
    plans = {agent.name: joined(agent.name, parts) for agent in task.agents}
    whole = settled("centralized", task.agents, task.grid, task.horizon, plans)
    return whole.window(0, task.n_committed)


def _task(site: NodeSite, index: int, state: Mapping[str, Agent]) -> PlanningTask:
    """The agents of a day of the window, as the pipelines plan it."""
    day, ahead_h = site.window.days[index], site.spec.lookahead_h
    end = site.building.stretch([day], ahead_h).whole.stop
    return site.building.problem(
        [day], lookahead_h=ahead_h, state=state, left=site.values.left(end)
    )


# --- limits ---------------------------------------------------------------------------------------


def replanned(state: NodeState) -> NodeState:
    """The rest of the day planned again under the limits as they stand.

    Raises ``Infeasible`` with every rule that cannot be kept.
    """
    agents, grid = _now(state)
    parts = state.parts if state.at == 0 else (*state.parts, state.plan.window(0, state.at))
    fresh = replace(state, parts=parts, at=0)
    return _planned(fresh, state.rest, agents, grid)


def _planned(
    state: NodeState, horizon: Horizon, agents: Sequence[Agent], grid: GridAgent
) -> NodeState:
    grid = _limited(grid, *state.limits_kw(horizon, agents))
    optimizer = GlobalOptimizer(agents, grid, state.site.spec.solver)
    return replace(state, plan=optimizer.optimize_centralized(horizon))


def _now(state: NodeState) -> tuple[tuple[Agent, ...], GridAgent]:
    """Its agents and its meter as they stand, the meter without limits of the grid."""
    if state.at == 0:
        agents, grid = state.plan.agents[:-1], state.plan.grid
    else:
        *others, _ = state.plan.after(state.at)
        agents = tuple(others)
        grid = state.plan.grid.after(state.plan.plans[state.plan.grid.name], state.at)
    own = state.task.grid
    return agents, replace(grid, max_import_kw=own.max_import_kw, max_export_kw=own.max_export_kw)


def _limited(grid: GridAgent, import_kw: Floats, export_kw: Floats) -> GridAgent:
    """The connection under further limits; itself where there are none."""
    if not (np.isfinite(import_kw).any() or np.isfinite(export_kw).any()):
        return grid
    own_in, own_out = grid.limits_kw(len(import_kw))
    return replace(
        grid,
        max_import_kw=np.minimum(own_in, import_kw),
        max_export_kw=np.minimum(own_out, export_kw),
    )


def limit(state: NodeState, envelope: Envelope) -> NodeState:
    """The node under another limit; the same limit again changes nothing.

    Raises ``InvalidSpec`` for one that has ended or that goes below the floor of the law, and
    ``Infeasible`` for one that the node cannot keep.
    """
    if any(known.curtailment_id == envelope.curtailment_id for known in state.envelopes):
        return state
    if envelope.is_over(state.now_utc):
        raise InvalidSpec(
            f"{state.site.agent_id}: the limit ended before {state.now_utc}; send one that lies "
            "ahead"
        )
    horizon = state.rest
    import_kw, _ = envelope.limits_kw(horizon)
    below = floors_kw(state) - import_kw
    if below.max() > ROUNDING_KW:
        step = int(below.argmax())
        raise InvalidSpec(
            f"{state.site.agent_id}: max_import_kw is {import_kw[step]:.3f} at "
            f"{horizon.ts_utc[step]}Z, allowed is at least {floors_kw(state)[step]:.3f}: the load "
            f"that cannot be dimmed, and {state.site.floor_kw:g} kW for devices (§ 14a EnWG)"
        )
    before = state.plan.objective_eur if state.at == 0 else _objective_eur(state)
    later = replanned(replace(state, envelopes=(*state.envelopes, envelope)))
    cost_eur = max(0.0, later.plan.objective_eur - before)
    return replace(later, cost_of_limits_eur=state.cost_of_limits_eur + cost_eur)


def _objective_eur(state: NodeState) -> float:
    """What the rest of the day costs as it is planned [€]."""
    return replanned(state).plan.objective_eur


def revoke(state: NodeState, curtailment_id: str) -> NodeState:
    """The node without one of its limits; unknown or ended ones change nothing."""
    kept = tuple(e for e in state.envelopes if e.curtailment_id != curtailment_id)
    if len(kept) == len(state.envelopes):
        return state
    return replanned(replace(state, envelopes=kept))


def heard(state: NodeState) -> NodeState:
    """The grid has spoken: a failsafe limit ends."""
    state = replace(state, heard_utc=state.now_utc)
    if not state.failsafe:
        return state
    return replanned(replace(state, failsafe=False))


def stands_still_kw(state: NodeState) -> float | None:
    """By how much the devices differ from a meter that stands still [kW]; None if it moves.

    The rules ``stuck`` and ``balance`` of the data (docs/data.md): the same reading for
    ``FROZEN_MIN_H``, and sub-meters apart by more than ``BALANCE_SHORT_KW``.
    """
    step_h = state.plan.horizon.step_h
    n = max(2, round(FROZEN_MIN_H / step_h))
    if len(state.readings_kw) < n:
        return None
    shown_kw, devices_kw = np.array(state.readings_kw[-n:]).T
    if np.ptp(shown_kw) * step_h > RESOLUTION_KWH:
        return None
    apart_kw = float(np.abs(devices_kw - shown_kw).max())
    return apart_kw if apart_kw > BALANCE_SHORT_KW else None


def in_scenario(state: NodeState, scenario: Scenario) -> NodeState:
    """The node when something goes wrong for the next ``SCENARIO_STEPS``."""
    if scenario == "normal" or state.is_over:
        return state
    now_kw = float(state.expected_kw[0])
    state = replace(state, scenario=scenario, scenario_steps=SCENARIO_STEPS, stuck_at_kw=now_kw)
    added_kw = {"overload": DISTURBANCE_KW, "surplus": -DISTURBANCE_KW}.get(scenario)
    return state if added_kw is None else _disturbed(state, added_kw, SCENARIO_STEPS)


def _disturbed(state: NodeState, added_kw: float, n_steps: int) -> NodeState:
    """The node when its people use more, or less, than metered for ``n_steps`` [kW]."""
    agents, grid = _now(state)
    apart_kw = np.zeros(state.rest.n_steps)
    apart_kw[:n_steps] = added_kw
    agents = tuple(a.in_future(apart_kw) if a.name == BASE_LOAD else a for a in agents)
    parts = state.parts if state.at == 0 else (*state.parts, state.plan.window(0, state.at))
    # What people use cannot be refused, so the limits give way; the grid sees it and asks again.
    envelopes = tuple(e.giving_way(state.now_utc, added_kw) for e in state.envelopes)
    fresh = replace(state, parts=parts, at=0, envelopes=envelopes)
    return _planned(fresh, state.rest, agents, grid)


# --- offers ---------------------------------------------------------------------------------------


def floors_kw(state: NodeState) -> Floats:
    """What no limit on the meter may go below [kW]: fixed load, and the floor of the law."""
    return least_limits_kw(state.site, state.rest, _now(state)[0])


def least_limits_kw(site: NodeSite, horizon: Horizon, agents: Sequence[Agent]) -> Floats:
    """What no limit may go below while ``agents`` are there [kW], shape ``(n_steps,)``."""
    fixed_kw = sum(
        (agent.unplanned(horizon).net_load_kw for agent in agents if agent.fixed),
        np.zeros(horizon.n_steps),
    )
    return np.maximum(fixed_kw, 0.0) + site.floor_kw


def offer(state: NodeState, n_steps: int, n_levels: int, side: Side) -> Offer:
    """Up to ``n_levels`` levels of net load over the next steps, and what keeping each costs.

    The first is the plan as it is. The others are plans under flat limits between its peak and the
    least that its people and the law allow.
    """
    agents, grid = _now(state)
    horizon = state.rest
    n = min(n_steps, horizon.n_steps)
    free = _plan_under(state, horizon, agents, grid, None)
    levels_kw, costs_eur = [_draw_kw(free)[:n]], [0.0]
    for limit_kw in _flat_limits(state, horizon, agents, free, n, n_levels - 1, side):
        plan = _plan_under(state, horizon, agents, grid, (side, limit_kw))
        levels_kw.append(_draw_kw(plan)[:n])
        # Within the solver's gap a plan under a limit may cost less than the one without.
        costs_eur.append(max(0.0, plan.objective_eur - free.objective_eur))
    return Offer(
        name=state.site.agent_id,
        levels_kw=np.array(levels_kw),
        costs_eur=np.array(costs_eur),
        convex=GlobalOptimizer(agents, grid, state.site.spec.solver).convex(horizon),
    )


def _plan_under(
    state: NodeState,
    horizon: Horizon,
    agents: Sequence[Agent],
    grid: GridAgent,
    further: tuple[Side, Floats] | None,
) -> DispatchPlan:
    """The rest of the day under the limits as they stand, and a further one."""
    import_kw, export_kw = state.limits_kw(horizon, agents)
    if further is not None:
        side, limit_kw = further
        if side == "import":
            import_kw = np.minimum(import_kw, limit_kw)
        else:
            export_kw = np.minimum(export_kw, limit_kw)
    limited = _limited(grid, import_kw, export_kw)
    return GlobalOptimizer(agents, limited, state.site.spec.solver).optimize_centralized(horizon)


def _flat_limits(
    state: NodeState,
    horizon: Horizon,
    agents: Sequence[Agent],
    free: DispatchPlan,
    n: int,
    n_limits: int,
    side: Side,
) -> Iterator[Floats]:
    """Limits from just below the peak of the next ``n`` steps down to what can be kept [kW]."""
    draw_kw = _draw_kw(free)[:n] if side == "import" else -_draw_kw(free)[:n]
    floor = floors_kw(state)[:n] if side == "import" else _must_feed_kw(agents, horizon)[:n]
    peak_kw = float(draw_kw.max())
    least_kw = _least_peak_kw(state, horizon, agents, n) if side == "import" else 0.0
    if peak_kw <= max(least_kw, float(floor.min())) + ROUNDING_KW:
        return
    for share in np.arange(1, n_limits + 1) / max(n_limits, 1):
        limit_kw = np.full(horizon.n_steps, np.inf)
        flat_kw = peak_kw - share * (peak_kw - least_kw)
        limit_kw[:n] = np.maximum(flat_kw, floor) + 10 * ROUNDING_KW
        yield limit_kw


def _must_feed_kw(agents: Sequence[Agent], horizon: Horizon) -> Floats:
    """What the node feeds where all that can be is curtailed [kW]."""
    return np.maximum(sum(agent.must_feed_kw(horizon) for agent in agents), 0.0)


def _least_peak_kw(state: NodeState, horizon: Horizon, agents: Sequence[Agent], n: int) -> float:
    """The least import over the next ``n`` steps that any plan can keep [kW].

    A price on the peak finds it: the demand charge of the ground floor, in a period of these steps.
    """
    import_kw, export_kw = state.limits_kw(horizon, agents)
    period = np.where(np.arange(horizon.n_steps) < n, 1, 0)
    priced = GridAgent(
        demand_charge_eur_per_kw=PEAK_EUR_PER_KW, period=period, peak_so_far_kw=1e6, peak_period=0
    )
    plan = GlobalOptimizer(
        agents, _limited(priced, import_kw, export_kw), state.site.spec.solver
    ).optimize_centralized(horizon)
    return float(np.maximum(_draw_kw(plan)[:n], 0.0).max())


def _draw_kw(plan: DispatchPlan) -> Floats:
    """What the meter shows under a plan, negative for feeding [kW]."""
    return -plan.plans[plan.grid.name].net_load_kw
