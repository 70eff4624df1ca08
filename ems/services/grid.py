"""The grid agent: who is behind which transformer, what they expect, and the limits it asks for."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Path, Request
from pydantic import ValidationError

from ems.agents.offer import Offer
from ems.core.participant import TOLERANCE
from ems.errors import InvalidSpec
from ems.services.coordinator import (
    Feeder,
    LimitPlan,
    Transformer,
    in_fixed_order,
    least_limits,
)
from ems.services.links import Links
from ems.services.models import (
    AGENT_ID,
    About,
    Accepted,
    Anomaly,
    CoordinateRequest,
    Coordination,
    Curtailments,
    CurtailReply,
    CurtailRequest,
    Element,
    GridStatus,
    NodeDecision,
    OfferReply,
    Proposal,
    Registered,
    Registration,
    Report,
    Status,
    TransformerStatus,
    Wire,
)
from ems.services.planner import LlmPlanner, as_plan
from ems.services.problems import Refused
from ems.services.security import GRID, OPERATOR, Tokens
from ems.services.shell import Shell, operating
from ems.services.state import Side
from ems.store.journal import Event, Journal
from ems.types import Floats

MOST_AGENTS = 1000
MOST_ROUNDS = 6
N_LEVELS = 6
NAMESPACE = uuid.UUID("6f1f7e5e-5d0c-4f44-9d0e-1f4d4b6e0a15")
AgentPath = Annotated[str, Path(pattern=AGENT_ID)]


@dataclass
class Seen:
    """What a node last said; ``report`` is None while it is silent."""

    registration: Registration
    report: Report | None = None
    anomaly: Anomaly | None = None
    floor_kw: Floats = field(default_factory=lambda: np.zeros(1))
    side: Side = "import"
    waiting: list[CurtailRequest] = field(default_factory=list)


@dataclass
class Grid:
    """The grid agent. Its registrations and what it asked for are in its journal."""

    transformers: tuple[Transformer, ...]
    links: Links
    shell: Shell
    llm: LlmPlanner | None = None
    seen: dict[str, Seen] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        transformers: Sequence[Transformer],
        links: Links,
        tokens: Tokens,
        journal: Journal,
        *,
        synthetic: bool,
        llm: LlmPlanner | None = None,
        **shell: Any,
    ) -> Grid:
        """The grid agent as its journal left it."""
        about = About(agent_id=GRID, role="grid", transformer=None, synthetic=synthetic)
        own = Shell(about=about, tokens=tokens, journal=journal, **shell)
        grid = cls(tuple(transformers), links, own, llm)
        for event in journal.events():
            if event.kind == "register":
                registration = Registration.model_validate(event.request)
                grid.seen[event.key] = Seen(registration)
            elif event.kind == "waiting":
                grid.seen[event.key].waiting.append(CurtailRequest.model_validate(event.request))
            elif event.kind == "coordinate":
                own.remember(event.kind, event.key, event.request, event.reply)
        return grid

    def app(self) -> FastAPI:
        """The grid agent as an ASGI application."""
        app, shell = self.shell.app(), self.shell

        @app.get("/status")
        async def status() -> GridStatus:
            await self._hear_all()
            return self._status()

        @app.get("/agents")
        async def agents() -> list[Registered]:
            return self._registered()

        @app.put("/agents/{agent_id}")
        async def register(request: Request, agent_id: AgentPath, body: Registration) -> Registered:
            operating(request, agent_id, OPERATOR)
            self._require(agent_id, body)
            known = self.seen.get(agent_id)
            if known is None or known.registration != body:
                self.shell.journal.append(_event("register", agent_id, body))
                self.seen[agent_id] = Seen(body)
            return self._one(agent_id)

        @app.post("/agents/{agent_id}/status")
        async def report(request: Request, agent_id: AgentPath, body: Report) -> Accepted:
            operating(request, agent_id, OPERATOR)
            seen = self._known(agent_id)
            if seen.report is not None and body.sequence < seen.report.sequence:
                raise Refused(
                    409,
                    f"{agent_id}: sequence is {body.sequence}, but {seen.report.sequence} has "
                    "been seen; send the newest",
                )
            seen.report = body
            return Accepted(agent_id=agent_id, sequence=body.sequence)

        @app.get("/agents/{agent_id}/curtailments")
        async def curtailments(
            request: Request, agent_id: AgentPath, after: int = 0
        ) -> Curtailments:
            operating(request, agent_id, OPERATOR)
            waiting = self._known(agent_id).waiting
            return Curtailments(last=len(waiting), requests=waiting[max(0, after) :])

        @app.post("/coordinate")
        async def coordinate(request: Request, body: CoordinateRequest) -> Coordination:
            operating(request, OPERATOR)
            key = request.headers.get("idempotency-key")
            async with shell.lock:
                done = shell.recall("coordinate", key, body)
                if done is not None:
                    return Coordination.model_validate(done)
                found = await self.coordinate(body)
                reply = found.model_dump(mode="json")
                if found.decisions:  # a plan that asks nobody for anything leaves no trace
                    shell.journal.append(_event("coordinate", key or "", body, reply))
                shell.remember("coordinate", key, body.model_dump(mode="json"), reply)
                return found

        return app

    # --- who is there -----------------------------------------------------------------------------

    def _require(self, agent_id: str, body: Registration) -> None:
        known = [item.name for item in self.transformers]
        if body.transformer not in known:
            raise InvalidSpec(
                f"{agent_id}: transformer is {body.transformer!r}, allowed are {', '.join(known)}"
            )
        if body.url is not None:
            self.links.require(body.url)
        if agent_id not in self.seen and len(self.seen) >= MOST_AGENTS:
            raise Refused(409, f"{MOST_AGENTS} agents are registered, no more are taken")

    def _known(self, agent_id: str) -> Seen:
        if agent_id not in self.seen:
            raise Refused(404, f"{agent_id} is not registered; PUT /agents/{agent_id} first")
        return self.seen[agent_id]

    def _one(self, agent_id: str) -> Registered:
        seen = self.seen[agent_id]
        return Registered(
            agent_id=agent_id, heard=seen.report is not None, **seen.registration.model_dump()
        )

    def _registered(self) -> list[Registered]:
        return [self._one(name) for name in sorted(self.seen)]

    async def _hear_all(self) -> None:
        """Ask every node with an address for its status; who does not answer is silent."""
        names = [name for name in sorted(self.seen) if self.seen[name].registration.url]
        await asyncio.gather(*(self._hear(name) for name in names))

    async def _hear(self, name: str) -> None:
        seen = self.seen[name]
        code, body = await self.links.ask(name, str(seen.registration.url), "GET", "/status")
        seen.report, seen.anomaly = None, None
        if code != 200:
            return
        try:
            status = Status.model_validate(body)
        except ValidationError:
            return  # garbage is as good as silence
        if status.agent_id == name and not status.over:
            seen.anomaly = status.anomaly
            seen.report = Report(
                sequence=status.sequence,
                at_utc=status.at_utc,
                step_h=status.step_h,
                expected_kw=status.expected_kw,
            )

    # --- what they expect -------------------------------------------------------------------------

    def _now(self) -> tuple[Any, float] | None:
        """The instant and step that most nodes agree on; who differs counts as silent."""
        told = Counter((s.report.at_utc, s.report.step_h) for s in self.seen.values() if s.report)
        if not told:
            return None
        return max(told, key=lambda one: (told[one], one))

    def _speaking(self, transformer: str) -> dict[str, Report]:
        now = self._now()
        return {
            name: seen.report
            for name, seen in sorted(self.seen.items())
            if seen.registration.transformer == transformer
            and seen.report is not None
            and (seen.report.at_utc, seen.report.step_h) == now
        }

    def _silent(self, transformer: str | None = None) -> list[str]:
        now = self._now()
        return [
            name
            for name, seen in sorted(self.seen.items())
            if transformer in (None, seen.registration.transformer)
            and (seen.report is None or (seen.report.at_utc, seen.report.step_h) != now)
        ]

    def _expected_kw(self, transformer: str, n_steps: int) -> tuple[Floats, Floats]:
        """The least and the most that the nodes of a transformer may draw [kW]."""
        total_kw = np.zeros(n_steps)
        for report in self._speaking(transformer).values():
            total_kw = total_kw + _padded(report.expected_kw, n_steps)
        silent = [self.seen[name].registration for name in self._silent(transformer)]
        most_kw = total_kw + sum(item.max_import_kw for item in silent)
        return total_kw - sum(item.max_export_kw for item in silent), most_kw

    def _status_of(self, item: Transformer, n_steps: int = 24) -> TransformerStatus:
        least_kw, most_kw = self._expected_kw(item.name, n_steps)
        names = [n for n, s in sorted(self.seen.items()) if s.registration.transformer == item.name]
        return TransformerStatus(
            name=item.name,
            import_rating_kw=item.import_rating_kw,
            export_rating_kw=item.export_rating_kw,
            agents=names,
            expected_kw=[float(kw) for kw in most_kw],
            over_kw=max(0.0, _over_kw(item, least_kw, most_kw)),
        )

    def _status(self) -> GridStatus:
        transformers = [self._status_of(item) for item in self.transformers]
        return GridStatus(
            agent_id=GRID,
            transformers=transformers,
            agents=self._registered(),
            anomalies=self._anomalies(transformers),
        )

    def _anomalies(self, transformers: Sequence[TransformerStatus]) -> list[Anomaly]:
        over = [
            Anomaly(
                kind="over_rating",
                size_kw=item.over_kw,
                reason=f"{item.name} would carry {item.over_kw:.2f} kW more than its rating",
            )
            for item in transformers
            if item.over_kw > TOLERANCE
        ]
        silent = [
            Anomaly(
                kind="agent_silent",
                size_kw=self.seen[name].registration.max_import_kw,
                reason=f"{name} does not answer, or its clock differs; counted with its worst case",
            )
            for name in self._silent()
        ]
        return [*over, *silent, *(s.anomaly for s in self.seen.values() if s.anomaly is not None)]

    # --- coordination -----------------------------------------------------------------------------

    async def coordinate(self, asked: CoordinateRequest) -> Coordination:
        """Ask for offers where a rating is exceeded, choose the least costly limits, and send them.

        What nodes answer is looked at again, at most ``MOST_ROUNDS`` times. Raises ``Infeasible``
        where no choice of limits keeps a rating.
        """
        llm, n_steps, dry_run = self._planner_of(asked), asked.n_steps, asked.dry_run
        await self._hear_all()
        now = self._now()
        before = [self._status_of(item, n_steps) for item in self.transformers]
        decisions: list[NodeDecision] = []
        proposals: list[Proposal] = []
        objective_eur, bound_eur, ordered_eur, rounds = 0.0, 0.0, 0.0, 0
        while now is not None and rounds < MOST_ROUNDS:
            feeders = await self._feeders(n_steps, now[0])
            if not feeders:
                break
            start = np.datetime64(now[0].replace(tzinfo=None), "s")
            plan = await asyncio.to_thread(least_limits, start, now[1], feeders)
            if llm is not None:
                proposal, plan = await asyncio.to_thread(_proposed, llm, feeders, plan, asked)
                proposals.append(proposal)
            rounds += 1
            objective_eur, bound_eur = (
                objective_eur + plan.objective_eur,
                bound_eur + plan.bound_eur,
            )
            ordered_eur += self._ordered_eur(feeders)
            sent = await asyncio.gather(
                *(self._send(name, plan, now, rounds, dry_run) for name in sorted(plan.limited))
            )
            decisions += sent
            if dry_run or not any(decision.status == "ACCEPTED" for decision in sent):
                break
        after = {item.name: self._expected_kw(item.name, n_steps) for item in self.transformers}
        over_kw = [_over_kw(item, *after[item.name]) for item in self.transformers]
        return Coordination(
            at_utc=None if now is None else now[0],
            transformers=before,
            after_kw={name: [float(kw) for kw in most] for name, (_, most) in after.items()},
            decisions=decisions,
            objective_eur=objective_eur,
            bound_eur=bound_eur,
            fixed_order_eur=ordered_eur if rounds and np.isfinite(ordered_eur) else None,
            unreachable=self._silent(),
            proposals=proposals,
            kept=max(over_kw, default=0.0) <= 10 * TOLERANCE,
            rounds=rounds,
        )

    def _planner_of(self, asked: CoordinateRequest) -> LlmPlanner | None:
        """The language model to ask, None for none."""
        if asked.planner == "llm":
            if self.llm is None:
                raise Refused(
                    409, "no language model: start the grid with EMS_LLM_URL and EMS_LLM_MODEL"
                )
            return self.llm
        if asked.carry_out == "llm":
            raise InvalidSpec("carry_out is llm, allowed is that only with planner llm")
        return None

    async def _feeders(self, n_steps: int, now: Any) -> list[Feeder]:
        """Every transformer over its rating with the offers of its nodes."""
        found = []
        for item in self.transformers:
            least_kw, most_kw = self._expected_kw(item.name, n_steps)
            if _over_kw(item, least_kw, most_kw) <= TOLERANCE:
                continue
            side: Side = (
                "import" if (most_kw - item.import_rating_kw).max() > TOLERANCE else "export"
            )
            names = list(self._speaking(item.name))
            replies = await asyncio.gather(*(self._offer(n, n_steps, side, now) for n in names))
            offers = tuple(reply for reply in replies if reply is not None)
            own = sum((offer.levels_kw[0] for offer in offers), np.zeros(n_steps))
            # What has no offer stands as it is expected.
            found.append(
                Feeder(transformer=item, offers=offers, known_kw=(least_kw - own, most_kw - own))
            )
        return found

    async def _offer(self, name: str, n_steps: int, side: Side, now: Any) -> Offer | None:
        """What a node offers; None from one that does not, or that tells another time."""
        registration = self.seen[name].registration
        if registration.url is None:
            report = self.seen[name].report
            offered = None if report is None else report.offer
        else:
            asked = {"n_steps": n_steps, "n_levels": N_LEVELS, "side": side}
            code, body = await self.links.ask(name, registration.url, "POST", "/offers", asked)
            offered = _as_offer(body) if code == 200 else None
        if offered is None or offered.at_utc != now:
            return None
        width = {len(level) for level in offered.levels_kw}
        if len(width) != 1 or len(offered.costs_eur) != len(offered.levels_kw):
            return None
        if min(offered.costs_eur) < 0.0 or not offered.floor_kw:
            return None
        self.seen[name].floor_kw = _padded(offered.floor_kw, n_steps)
        self.seen[name].side = side
        return Offer(
            name=name,
            levels_kw=np.array([_padded(level, n_steps) for level in offered.levels_kw]),
            costs_eur=np.array(offered.costs_eur),
            convex=offered.convex,
        )

    def _ordered_eur(self, feeders: Sequence[Feeder]) -> float:
        """What a fixed order, homes first and batteries last, would cost [€]; ∞ if it fails."""
        role = {name: seen.registration.role for name, seen in self.seen.items()}
        order = sorted(self.seen, key=lambda name: (role[name] == "battery", name))
        levels = in_fixed_order(feeders, order)
        if any(not item.kept_by(levels) for item in feeders):
            return float("inf")
        return sum(
            float(offer.costs_eur[levels[offer.name]]) for item in feeders for offer in item.offers
        )

    def _expect(self, name: str, expected_kw: list[float]) -> None:
        """From now on a node is expected to draw this [kW]."""
        seen = self.seen[name]
        if seen.report is not None:
            seen.report = seen.report.model_copy(update={"expected_kw": expected_kw})

    async def _send(
        self, name: str, plan: LimitPlan, now: tuple[Any, float], round_: int, dry_run: bool
    ) -> NodeDecision:
        """Ask a node to keep its chosen level, and take its new plan from its reply."""
        seen, kw = self.seen[name], plan.net_load_kw[name]
        asked = _curtailment(name, kw, seen, now, round_)
        told: dict[str, Any] = {
            "agent_id": name,
            "transformer": seen.registration.transformer,
            "curtailment_id": asked.curtailment_id,
            "limit_kw": [float(value) for value in kw],
            "cost_eur": plan.costs_eur[name],
        }
        if dry_run:
            return NodeDecision(status="DRY_RUN", reason="nothing was sent", **told)
        if seen.registration.url is None:
            if asked not in seen.waiting:
                self.shell.journal.append(_event("waiting", name, asked))
                seen.waiting.append(asked)
            self._expect(name, told["limit_kw"])  # until its next report says otherwise
            return NodeDecision(status="WAITING", reason="the node polls for it", **told)
        body = asked.model_dump(mode="json")
        code, reply = await self.links.ask(name, seen.registration.url, "POST", "/curtail", body)
        kept = _as_kept(reply, asked) if code == 200 else None
        if kept is not None:
            self._expect(name, kept.expected_kw)
            reason = "the least costly way to keep the rating"
            return NodeDecision(status="ACCEPTED", reason=reason, **told)
        if code == 200:
            seen.report = None
            reason = "it answers something else than an acknowledgement"
            return NodeDecision(status="UNANSWERED", reason=reason, **told)
        if code == 0:
            seen.report = None  # from now on it counts with its worst case
            return NodeDecision(status="UNANSWERED", reason=str(reply), **told)
        detail = str(reply.get("detail", "")) if isinstance(reply, dict) else ""
        return NodeDecision(status="REJECTED", reason=detail[:300], **told)


def _curtailment(
    name: str, kw: Floats, seen: Seen, now: tuple[Any, float], round_: int
) -> CurtailRequest:
    """A limit at the chosen level, on import not below the floor; the same choice at the same
    instant has the same id.
    """
    at, step_h = now
    own_kw = np.maximum(kw, seen.floor_kw) if seen.side == "import" else np.maximum(-kw, 0.0)
    # Up to the milliwatt, so that the plan that was offered keeps it.
    limit_kw = np.ceil(own_kw * 1e6 + 1.0) / 1e6
    which = f"max_{seen.side}_kw"
    elements = [Element(duration_s=step_h * 3600, **{which: float(most)}) for most in limit_kw]
    what = f"{name} {at.isoformat()} {round_} {kw.tobytes().hex()}"
    return CurtailRequest(
        curtailment_id=uuid.uuid5(NAMESPACE, what), from_utc=at, elements=elements
    )


def _proposed(
    llm: LlmPlanner, feeders: Sequence[Feeder], proven: LimitPlan, asked: CoordinateRequest
) -> tuple[Proposal, LimitPlan]:
    """What a language model proposes, and the plan to carry out.

    Raises ``Refused`` (409) if a proposal is to be carried out that breaks a rating.
    """
    proposal, levels = llm.propose(feeders, proven)
    if asked.carry_out == "milp":
        return proposal, proven
    if not proposal.feasible:
        raise Refused(409, f"the proposal is not carried out: {'; '.join(proposal.broken)}")
    return proposal, as_plan(levels, feeders, proven)


def _as_offer(body: Any) -> OfferReply | None:
    try:
        return OfferReply.model_validate(body)
    except ValidationError:
        return None  # garbage is as good as no offer


def _as_kept(body: Any, asked: CurtailRequest) -> CurtailReply | None:
    """The acknowledgement of a limit; None for anything else."""
    try:
        kept = CurtailReply.model_validate(body)
    except ValidationError:
        return None
    return kept if kept.curtailment_id == asked.curtailment_id else None


def _over_kw(item: Transformer, least_kw: Floats, most_kw: Floats) -> float:
    """By how much a transformer would be beyond its rating, either way [kW]."""
    over_kw = (most_kw - item.import_rating_kw).max()
    back_kw = (-least_kw - item.export_rating_kw).max()
    return float(max(over_kw, back_kw))


def _padded(values: Sequence[float], n_steps: int) -> Floats:
    """The first steps; beyond what is known the last value stands."""
    known = np.array(values[:n_steps])
    return np.concatenate([known, np.full(n_steps - len(known), known[-1])])


def _event(kind: str, key: str, body: Wire, reply: Mapping[str, Any] | None = None) -> Event:
    return Event(kind=kind, key=key, request=body.model_dump(mode="json"), reply=reply or {})
