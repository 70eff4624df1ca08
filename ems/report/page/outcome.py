"""Plan and outcome on forecasts, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ems.agents import Agent
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.priced import VISIBLE_KW
from ems.core.horizon import Horizon
from ems.economics.settlement import settle
from ems.report.figures.outcome import Compared, plan_and_outcome
from ems.report.figures.page import Origin
from ems.report.figures.paper import PAGE
from ems.report.inline import Picture
from ems.report.page import words
from ems.report.page.page import Table
from ems.types import Floats

_HOUSE = 1
"""Layer of the base load in figures."""
TOLD_KW = 0.2
"""Deviations below this get no sentence [kW]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """An agent's power in each step, planned and actual [kW], ``(n_steps,)``.

    Sign: generation delivers, the grid delivers, all others draw. ``agent``: the forecast one, or
    the real one if there was none (``expected`` False). ``held_kwh``: its real charge at the end of
    each step if it is a store [kWh].
    """

    agent: Agent
    expected: bool
    planned_kw: Floats
    came_kw: Floats
    held_kwh: Floats | None = None

    @property
    def busy(self) -> bool:
        """Whether it does anything, planned or not."""
        return bool(np.any(np.abs([self.planned_kw, self.came_kw]) > VISIBLE_KW))

    @property
    def name(self) -> str:
        """Name in figures and tables."""
        if self.agent.layer == _HOUSE:
            return "other use"
        return "sun" if self.agent.kind == "generation" else self.agent.title


def compared(plan: DispatchPlan, done: DispatchPlan) -> tuple[Beside, ...]:
    """Agents active in the plan or in reality; zero where they are not.

    ``plan``, ``done``: the same steps.
    """
    # In this order, so that the forecast agent wins where both exist.
    agents = {agent.name: agent for agent in (*done.agents, *plan.agents)}
    rows = (
        Beside(
            agent=agent,
            expected=agent.name in plan.plans,
            planned_kw=_power_kw(plan, agent),
            came_kw=_power_kw(done, agent),
            held_kwh=_held_kwh(done, agent),
        )
        for agent in sorted(agents.values(), key=lambda agent: agent.layer)
    )
    return tuple(row for row in rows if row.agent.kind == "grid" or row.busy)


def _power_kw(schedule: DispatchPlan, agent: Agent) -> Floats:
    plan = schedule.plans.get(agent.name)
    if plan is None:
        return np.zeros(schedule.horizon.n_steps)
    return -plan.net_load_kw if agent.kind in ("generation", "grid") else plan.net_load_kw


def _held_kwh(schedule: DispatchPlan, agent: Agent) -> Floats | None:
    plan = schedule.plans.get(agent.name)
    return None if plan is None else plan.series.get("soc_kwh")


# --- words -----------------------------------------------------------------------------------


def came(rows: Sequence[Beside], t: int) -> str:
    """Deviations from the plan in step ``t``; empty if none is visible."""
    apart = [row for row in rows if abs(row.came_kw[t] - row.planned_kw[t]) >= TOLD_KW]
    told = [_told(row, t) for row in apart]
    return f"Really: {', '.join(told)}." if told else ""


def _told(row: Beside, t: int) -> str:
    """What an agent did in step ``t``, with the plan in brackets."""
    agent, planned_kw, came_kw = row.agent, float(row.planned_kw[t]), float(row.came_kw[t])
    if agent.kind == "generation":
        return f"the sun gave {_kw(came_kw)} (expected: {_kw(planned_kw)})"
    if agent.layer == _HOUSE:
        return f"the building used {words.kw(came_kw)} (expected: {words.kw(planned_kw)})"
    if agent.kind == "grid":
        return f"{_traded(came_kw, ' were')} (planned: {_again(planned_kw, came_kw, _traded)})"
    rests = agent.did[2] if row.held_kwh is None else agent.at_rest(float(row.held_kwh[t]))
    did = f"the {agent.title} {_does(came_kw, (*agent.did[:2], rests))}"
    if not row.expected or not agent.expected(t):
        return f"{did} (not expected)"
    return f"{did} (planned: {_again(planned_kw, came_kw, partial(_does, verbs=agent.meant))})"


def _kw(power_kw: float) -> str:
    return words.kw(power_kw) if power_kw > VISIBLE_KW else "nothing"


def _again(planned_kw: float, came_kw: float, say: Callable[[float], str]) -> str:
    """The plan in words; only the amount if the direction is the same."""
    alike = min(abs(planned_kw), abs(came_kw)) > VISIBLE_KW and planned_kw * came_kw > 0
    return words.kw(abs(planned_kw)) if alike else say(planned_kw)


def _does(power_kw: float, verbs: tuple[str, str, str]) -> str:
    takes, gives, rests = verbs
    if abs(power_kw) <= VISIBLE_KW:
        return rests
    return f"{takes if power_kw > 0 else gives} {words.kw(abs(power_kw))}"


def _traded(power_kw: float, were: str = "") -> str:
    if abs(power_kw) <= VISIBLE_KW:
        return f"nothing{' was' if were else ''} bought or sold"
    return f"{words.kw(abs(power_kw))}{were} {'bought' if power_kw > 0 else 'sold'}"


# --- figures and tables ----------------------------------------------------------------------


def outcome_picture(
    rows: Sequence[Beside], horizon: Horizon, where: str, origin: Origin
) -> Picture:
    """Panels for sun, other use, devices together, battery and grid."""
    drawn: dict[str, list[Beside]] = {}
    for row in rows:
        single = row.agent.kind != "load" or row.agent.layer == _HOUSE
        drawn.setdefault(row.name if single else "devices", []).append(row)
    title = "What came: as an area, over it the plan of midnight as a line"
    figure = plan_and_outcome(
        [_panel(group) for group in drawn.values()],
        horizon,
        title=f"{title}, {where}",
        note="mean power of each step",
        origin=origin,
        paper=PAGE,
    )
    return Picture(figure, title)


def _panel(group: Sequence[Beside]) -> Compared:
    title = words.listed([row.name for row in group])
    signs = {"storage": " (takes up, gives down)", "grid": " (bought up, sold down)"}
    two_way = signs.get(group[0].agent.kind, "") if len(group) == 1 else ""
    return Compared(
        label=f"{title[0].upper()}{title[1:]}{two_way}",
        planned_kw=np.sum([row.planned_kw for row in group], axis=0),
        came_kw=np.sum([row.came_kw for row in group], axis=0),
        colour=group[0].agent.colour,
    )


def outcome_tables(
    rows: Sequence[Beside], plan: DispatchPlan, done: DispatchPlan, clocks: Sequence[str]
) -> tuple[Table, Table]:
    """Totals of the day, and hour by hour; ``clocks``: the time of each step."""
    heads = (f"{row.name}: {which}" for row in rows for which in ("plan", "came"))
    powers = np.array([kw for row in rows for kw in (row.planned_kw, row.came_kw)])
    hours = [
        (clock, *(words.number(kw, 1) for kw in step_kw))
        for clock, step_kw in zip(clocks, powers.T.tolist(), strict=True)
    ]
    caption = "hour by hour: power in the plan and as it came [kW]"
    return (
        Table("the day in sum", ("what", "in the plan", "as it came"), [*_sums(rows, plan, done)]),
        Table(caption, ("time", *heads), hours, folded=True),
    )


def _sums(
    rows: Sequence[Beside], plan: DispatchPlan, done: DispatchPlan
) -> Iterator[tuple[str, str, str]]:
    """Energies [kWh], final charges [kWh] and cost of the day [€]."""
    for row in rows:
        two_way = row.agent.kind == "grid" or row.agent.held_kwh is not None
        up, down = ("bought", "sold") if row.agent.kind == "grid" else ("taken", "given")
        subject = "" if row.agent.kind == "grid" else f"{row.name}, "
        energies = [plan.horizon.energy_kwh(kw) for kw in (row.planned_kw, row.came_kw)]
        gains = [words.number(float(np.maximum(kwh, 0.0).sum()), 1) for kwh in energies]
        losses = [words.number(float(np.maximum(-kwh, 0.0).sum()), 1) for kwh in energies]
        if not two_way:
            net = [words.number(float(kwh.sum()), 1) for kwh in energies]
            yield f"{row.name} [kWh]", net[0], net[1]
            continue
        yield f"{subject}{up} [kWh]", gains[0], gains[1]
        if row.agent.kind == "grid" or {*losses} != {"0.0"}:
            yield f"{subject}{down} [kWh]", losses[0], losses[1]
    for row in rows:
        if row.agent.name in done.soc_kwh:
            planned_kwh = plan.soc_kwh.get(row.agent.name)
            yield (
                f"{row.name}, charge at the end [kWh]",
                "–" if planned_kwh is None else words.number(planned_kwh, 1),
                words.number(done.soc_kwh[row.agent.name], 1),
            )
    bills = [words.amount(settle(schedule).bill_eur) for schedule in (plan, done)]
    yield "bill [€]", bills[0], bills[1]
