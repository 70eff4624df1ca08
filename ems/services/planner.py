"""A language model that proposes limits: checked and priced, beside the proven plan.

Any endpoint that speaks OpenAI's ``/v1/chat/completions``. Only names and numbers enter the prompt,
and only names and numbers are taken from the reply; it is audited as a plan of the coordinator is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ems.errors import InvalidSpec
from ems.services.coordinator import Feeder, LimitPlan
from ems.services.models import Proposal

TIMEOUT_S = 20.0
MOST_BYTES = 1 << 20
TASK = (
    "Transformers carry more than their rating. Each node offers levels: its draw in kW in each "
    "step, and what keeping that level costs in EUR. Choose one level for every node, by its "
    "number from 0, so that the draw of all nodes of a transformer plus known_most_kw is at most "
    "import_rating_kw in every step, the draw plus known_least_kw at least -export_rating_kw, and "
    "the costs together are least. Answer with JSON only."
)


class Choice(BaseModel):
    """The level chosen for a node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: str = Field(max_length=64)
    level: int = Field(strict=True, ge=0, le=7)


class Reply(BaseModel):
    """What the model must answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choices: list[Choice] = Field(max_length=1000)


@dataclass(frozen=True, kw_only=True)
class LlmPlanner:
    """Where the model answers, and which it is; ``key`` is sent to it and shown nowhere."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = TIMEOUT_S
    transport: httpx.BaseTransport | None = None

    def propose(
        self, feeders: Sequence[Feeder], proven: LimitPlan
    ) -> tuple[Proposal, dict[str, int]]:
        """What it proposes, and the level of every node; asked once, never again."""
        try:
            levels = _levels(self._asked(prompt(feeders)))
        except _Useless as error:
            return _refused(str(error)), {}
        return judged(levels, feeders, proven), levels

    def _asked(self, content: str) -> str:
        body = {
            "model": self.model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": TASK},
                {"role": "user", "content": content},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "limits",
                    "strict": True,
                    "schema": Reply.model_json_schema(),
                },
            },
        }
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url = f"{self.base_url.rstrip('/')}/v1/chat/completions"
        try:
            with httpx.Client(
                timeout=self.timeout_s, transport=self.transport, follow_redirects=False
            ) as client:
                answer = client.post(url, json=body, headers=headers)
        except httpx.TimeoutException as error:
            raise _Useless(f"no answer within {self.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise _Useless(f"not reached ({type(error).__name__})") from error
        if answer.status_code != 200 or len(answer.content) > MOST_BYTES:
            raise _Useless(f"it answered {answer.status_code} with {len(answer.content)} bytes")
        try:
            content = answer.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise _Useless("its answer is not that of a chat") from error
        return str(content)


class _Useless(Exception):
    """There is nothing to judge."""


def planner_from(environment: Mapping[str, str]) -> LlmPlanner | None:
    """The model of EMS_LLM_URL, EMS_LLM_MODEL and EMS_LLM_KEY; None where no address is given."""
    url = environment.get("EMS_LLM_URL", "")
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise InvalidSpec(f"EMS_LLM_URL is {url!r}, allowed is http(s)://HOST[:PORT]")
    model = environment.get("EMS_LLM_MODEL", "")
    if not model:
        raise InvalidSpec("EMS_LLM_MODEL is missing: the name of the model at EMS_LLM_URL")
    return LlmPlanner(base_url=url, model=model, key=environment.get("EMS_LLM_KEY", ""))


def prompt(feeders: Sequence[Feeder]) -> str:
    """The offers as JSON: names that are identifiers, and numbers, nothing else."""
    return json.dumps(
        [
            {
                "transformer": item.transformer.name,
                "import_rating_kw": item.transformer.import_rating_kw,
                "export_rating_kw": item.transformer.export_rating_kw,
                "known_least_kw": item.known_kw[0].round(4).tolist(),
                "known_most_kw": item.known_kw[1].round(4).tolist(),
                "nodes": [
                    {
                        "node": offer.name,
                        "levels_kw": offer.levels_kw.round(4).tolist(),
                        "costs_eur": offer.costs_eur.round(6).tolist(),
                    }
                    for offer in item.offers
                ],
            }
            for item in feeders
        ]
    )


def _levels(content: str) -> dict[str, int]:
    try:
        reply = Reply.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _Useless(f"its answer is not as asked ({first['msg']})") from error
    levels = {choice.node: choice.level for choice in reply.choices}
    if len(levels) < len(reply.choices):
        raise _Useless("it names a node twice")
    return levels


def judged(levels: Mapping[str, int], feeders: Sequence[Feeder], proven: LimitPlan) -> Proposal:
    """Whether the levels exist and keep every rating, and what they cost beside the proven plan."""
    offers = {offer.name: offer for item in feeders for offer in item.offers}
    broken = [f"{name} has no level" for name in sorted(offers.keys() - levels.keys())]
    broken += [f"{name} makes no offer" for name in sorted(levels.keys() - offers.keys())]
    broken += [
        f"{name} has {len(offer.costs_eur)} levels, none with number {levels[name]}"
        for name, offer in sorted(offers.items())
        if name in levels and levels[name] >= len(offer.costs_eur)
    ]
    if broken:
        return _refused("; ".join(broken)[:500])
    over = [item.transformer.name for item in feeders if not item.kept_by(levels)]
    cost_eur = sum(float(offer.costs_eur[levels[name]]) for name, offer in offers.items())
    return Proposal(
        feasible=not over,
        broken=[f"{name} stays over its rating" for name in over],
        cost_eur=cost_eur,
        excess_eur=None if over else cost_eur - proven.objective_eur,
    )


def _refused(why: str) -> Proposal:
    return Proposal(feasible=False, broken=[why], cost_eur=None, excess_eur=None)


def as_plan(levels: Mapping[str, int], feeders: Sequence[Feeder], proven: LimitPlan) -> LimitPlan:
    """A feasible proposal as the limits to send; the bound stays the proven one."""
    offers: dict[str, Any] = {offer.name: offer for item in feeders for offer in item.offers}
    costs_eur = {name: float(offer.costs_eur[levels[name]]) for name, offer in offers.items()}
    return LimitPlan(
        net_load_kw={name: offer.levels_kw[levels[name]] for name, offer in offers.items()},
        costs_eur=costs_eur,
        weights={},
        objective_eur=sum(costs_eur.values()),
        bound_eur=proven.bound_eur,
        limited=frozenset(name for name in offers if levels[name] > 0),
    )
