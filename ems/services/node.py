"""A node behind HTTP: its state, what is done to it, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, cast
from uuid import UUID

import numpy as np
from fastapi import FastAPI, Request, Response

from ems.errors import EmsError
from ems.services.models import (
    About,
    Anomaly,
    CurtailReply,
    CurtailRequest,
    OfferReply,
    OffersRequest,
    PlanReply,
    PlanRequest,
    SimulateRequest,
    Status,
    Wire,
)
from ems.services.own_plan import planned
from ems.services.problems import Refused
from ems.services.security import GRID, OPERATOR, Tokens
from ems.services.shell import Act, Shell, caller_of, operating
from ems.services.state import (
    Envelope,
    NodeState,
    floors_kw,
    heard,
    in_scenario,
    limit,
    offer,
    revoke,
    simulate,
    stands_still_kw,
)
from ems.store.journal import Journal
from ems.types import Floats

MOST_EXPECTED = 96


Told = Callable[[NodeState, NodeState], Mapping[str, Any]]
"""The reply to an action, from the states before and after it."""


class Empty(Wire):
    """A body that says nothing."""


@dataclass
class Node:
    """A node and the shell around it. ``journal``: what was done before is done again first.

    ``said``: the last status and the state that it is of.
    """

    state: NodeState
    shell: Shell
    said: tuple[NodeState, str] | None = None

    @classmethod
    def of(cls, state: NodeState, tokens: Tokens, journal: Journal, **shell: Any) -> Node:
        """The node as its journal left it."""
        site = state.site
        about = About(
            agent_id=site.agent_id,
            role=site.role,
            transformer=site.transformer,
            synthetic=site.building.history.synthetic,
        )
        node = cls(state, Shell(about=about, tokens=tokens, journal=journal, **shell))
        for event in journal.events():
            node.state = applied(node.state, event.kind, event.request)
            node.shell.remember(event.kind, event.key, event.request, event.reply)
        return node

    def app(self) -> FastAPI:
        """The node as an ASGI application."""
        app, shell = self.shell.app(), self.shell

        @app.get("/status", response_model=Status)
        async def status(request: Request) -> Response:
            self._refuse_if_silent(request)
            return Response(self._status_json(), media_type="application/json")

        @app.post("/simulate")
        async def simulate_(request: Request, body: SimulateRequest) -> Status:
            operating(request, OPERATOR)
            return Status.model_validate(
                await shell.once(
                    request, "simulate", body, self._acting("simulate", body, _as_status)
                )
            )

        @app.post("/offers")
        async def offers(request: Request, body: OffersRequest) -> OfferReply:
            operating(request, GRID, OPERATOR)
            self._refuse_if_silent(request)
            await self._hear(request)
            async with shell.lock:
                return await asyncio.to_thread(offer_of, self.state, body)

        @app.post("/curtail")
        async def curtail(request: Request, body: CurtailRequest) -> CurtailReply:
            operating(request, GRID, OPERATOR)
            self._refuse_if_silent(request)
            key = str(body.curtailment_id)
            act = self._acting("curtail", body, _acknowledged(body.curtailment_id, "ACCEPTED"))
            reply = await shell.once(request, "curtail", body, act, key)
            return CurtailReply.model_validate(reply)

        @app.delete("/curtail/{curtailment_id}")
        async def revoke_(request: Request, curtailment_id: UUID) -> CurtailReply:
            operating(request, GRID, OPERATOR)
            body = Revocation(curtailment_id=curtailment_id)
            act = self._acting("revoke", body, _acknowledged(curtailment_id, "REVOKED"))
            reply = await shell.once(request, "revoke", body, act, str(curtailment_id))
            return CurtailReply.model_validate(reply)

        @app.post("/plan")
        async def plan(request: Request, body: PlanRequest) -> PlanReply:
            return await asyncio.to_thread(planned, body)

        return app

    def _acting(self, kind: str, body: Wire, reply: Told) -> Act:
        """An action on the state as it is then, which counts only when its record is kept."""

        def act() -> tuple[Mapping[str, Any], Callable[[], None]]:
            before = self.state
            later = applied(before, kind, body.model_dump(mode="json"))
            return reply(before, later), lambda: self._become(later)

        return act

    def _become(self, state: NodeState) -> None:
        self.state = state

    def _status_json(self) -> str:
        """Its status, written once for each state: many may look at the same instant."""
        if self.said is None or self.said[0] is not self.state:
            self.said = (self.state, status_of(self.state).model_dump_json())
        return self.said[1]

    def _refuse_if_silent(self, request: Request) -> None:
        if self.state.scenario == "silent" and caller_of(request).agent_id == GRID:
            raise Refused(503, "scenario silent: it does not answer the grid")

    async def _hear(self, request: Request) -> None:
        """Note, once an instant, that the grid has spoken."""
        if caller_of(request).agent_id != GRID or self.state.heard_utc == self.state.now_utc:
            return

        act = self._acting("heard", Empty(), lambda _, __: {})
        await self.shell.once(request, "heard", Empty(), act, f"{self.state.now_utc}")


class Revocation(Wire):
    """A limit that is taken back."""

    curtailment_id: UUID


def _as_status(_: NodeState, later: NodeState) -> Mapping[str, Any]:
    return status_of(later).model_dump(mode="json")


def _acknowledged(curtailment_id: UUID, status: str) -> Told:
    """How a limit that was taken or taken back is answered."""

    def reply(before: NodeState, later: NodeState) -> Mapping[str, Any]:
        cost_eur = later.cost_of_limits_eur - before.cost_of_limits_eur
        return {
            "agent_id": later.site.agent_id,
            "curtailment_id": str(curtailment_id),
            "status": status,
            "cost_eur": cost_eur,
            "expected_kw": _listed(later.expected_kw[:MOST_EXPECTED]),
        }

    return reply


def applied(state: NodeState, kind: str, asked: Mapping[str, Any]) -> NodeState:
    """The state after one action; the same actions lead to the same state, also after a restart."""
    if kind == "simulate":
        body = SimulateRequest.model_validate(asked)
        return simulate(in_scenario(state, body.scenario), body.n_steps)
    if kind == "curtail":
        return limit(heard(state), envelope_of(CurtailRequest.model_validate(asked)))
    if kind == "revoke":
        return revoke(state, str(Revocation.model_validate(asked).curtailment_id))
    if kind == "heard":
        return heard(state)
    raise EmsError(f"journal: unknown kind {kind!r}; it was written by another version")


def envelope_of(body: CurtailRequest) -> Envelope:
    """The limits of a message."""
    return Envelope(
        curtailment_id=str(body.curtailment_id),
        from_utc=np.datetime64(body.from_utc.astimezone(UTC).replace(tzinfo=None), "s"),
        ends_s=np.cumsum([element.duration_s for element in body.elements]),
        max_import_kw=_or_none([element.max_import_kw for element in body.elements]),
        max_export_kw=_or_none([element.max_export_kw for element in body.elements]),
        failsafe_after_s=body.failsafe_after_s,
    )


def _or_none(values: list[float | None]) -> Floats:
    return np.array([np.inf if value is None else value for value in values])


def offer_of(state: NodeState, body: OffersRequest) -> OfferReply:
    """What the node offers."""
    found = offer(state, body.n_steps, body.n_levels, body.side)
    return OfferReply(
        agent_id=found.name,
        at_utc=_aware(state.now_utc),
        floor_kw=_listed(floors_kw(state)[: body.n_steps]),
        levels_kw=[_listed(level) for level in found.levels_kw],
        costs_eur=_listed(found.costs_eur),
        convex=found.convex,
    )


def status_of(state: NodeState) -> Status:
    """What the node says of itself."""
    site, at = state.site, state.at
    if state.is_over:
        draw_kw, expected, generation_kw, limits = 0.0, [0.0], 0.0, (np.inf, np.inf)
    else:
        expected = _listed(state.expected_kw[:MOST_EXPECTED])
        draw_kw = state.stuck_at_kw if state.scenario == "stuck_meter" else expected[0]
        generation_kw = -float(state.plan.net_load_kw("generation")[at])
        import_kw, export_kw = state.limits_now_kw
        limits = (float(import_kw[0]), float(export_kw[0]))
    stored = sum(
        sum(agent.stored_kwh().values())
        for agent in (state.plan.after(at) if at else state.plan.agents)
    )
    return Status(
        agent_id=site.agent_id,
        role=site.role,
        transformer=site.transformer,
        synthetic=site.building.history.synthetic,
        at_utc=_aware(state.now_utc),
        sequence=state.sequence,
        step_h=state.plan.horizon.step_h,
        over=state.is_over,
        net_load_kw=draw_kw,
        demand_kw=draw_kw + generation_kw,
        generation_kw=generation_kw,
        stored_kwh=float(stored),
        limit_kw=_finite(limits[0]),
        export_limit_kw=_finite(limits[1]),
        curtailment_ids=[envelope.curtailment_id for envelope in state.envelopes],
        imbalance="draws" if draw_kw > 1e-6 else "feeds" if draw_kw < -1e-6 else "even",
        anomaly=anomaly_of(state, draw_kw),
        reasons=list(_reasons(state, limits)),
        expected_kw=expected,
        cost_of_limits_eur=state.cost_of_limits_eur,
        days=_figures(state),
    )


def anomaly_of(state: NodeState, shown_kw: float) -> Anomaly | None:
    """What is wrong with the node: its meter, its connection, or the grid's silence."""
    over_kw = abs(shown_kw) - state.site.fuse_kw
    stuck_kw = stands_still_kw(state)
    if stuck_kw is not None:
        reason = (
            f"the meter stands still at {shown_kw:.2f} kW, the devices differ by {stuck_kw:.2f}"
        )
        return Anomaly(kind="stuck_meter", size_kw=stuck_kw, reason=reason)
    if over_kw > 0.0:
        reason = f"{abs(shown_kw):.2f} kW at a connection of {state.site.fuse_kw:g} kW"
        return Anomaly(kind="over_connection", size_kw=over_kw, reason=reason)
    if state.failsafe:
        reason = f"the grid was last heard at {state.heard_utc}Z; the failsafe limit holds"
        return Anomaly(kind="grid_silent", size_kw=0.0, reason=reason)
    return None


def _reasons(state: NodeState, limits: tuple[float, float]) -> list[str]:
    told = []
    if np.isfinite(limits[0]):
        told.append(f"may draw at most {limits[0]:.2f} kW")
    if np.isfinite(limits[1]):
        told.append(f"may feed at most {limits[1]:.2f} kW")
    gave_way_kw = max((envelope.gave_way_kw for envelope in state.envelopes), default=0.0)
    if gave_way_kw:
        told.append(f"a limit gave way by {gave_way_kw:g} kW: people used what no plan knew")
    if state.cost_of_limits_eur:
        told.append(f"limits have cost {state.cost_of_limits_eur:.4f} € so far, by its plans")
    if state.scenario != "normal":
        told.append(f"scenario {state.scenario} for {state.scenario_steps} more steps")
    return told


def _figures(state: NodeState) -> dict[str, float]:
    """The figures of its finished days."""
    if state.days is None:
        return {}
    names = ("days", "bill_eur", "cost_eur", "import_kwh", "export_kwh", "discomfort_eur")
    return {name: float(getattr(state.days, name)) for name in names}


def _aware(instant: np.datetime64) -> Any:
    found = instant.astype("datetime64[s]").item()
    return cast(Any, found).replace(tzinfo=UTC)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _listed(values: Floats) -> list[float]:
    # Adding zero turns −0.0 into 0.0.
    return [float(value) + 0.0 for value in values]
