"""A language model beside the proven plan: whatever it answers, no bad plan is carried out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from services.made_nodes import NAMES, RATING_KW, site
from services.test_agents import client
from services.test_coordinator import BY_HAND, START, feeder

from ems.errors import InvalidSpec
from ems.services.coordinator import Transformer, least_limits
from ems.services.fleet import fleet_of
from ems.services.planner import LlmPlanner, planner_from, prompt

FEEDERS = [feeder(10.0, *BY_HAND)]
PROVEN = least_limits(START, 1.0, FEEDERS)
Stub = Callable[[httpx.Request], httpx.Response]


def saying(content: str) -> Stub:
    """A model that answers this."""
    return lambda _: httpx.Response(200, json={"choices": [{"message": {"content": content}}]})


def choosing(**levels: int) -> Stub:
    chosen = [{"node": name, "level": level} for name, level in levels.items()]
    return saying(json.dumps({"choices": chosen}))


def slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("slow", request=request)


def model(stub: Stub) -> LlmPlanner:
    transport = httpx.MockTransport(stub)
    return LlmPlanner(base_url="http://llm.invalid", model="stub", transport=transport)


def test_a_good_plan_is_priced_against_the_proven_one() -> None:
    proposal, levels = model(choosing(home_1=1, home_2=0, home_3=1)).propose(FEEDERS, PROVEN)
    assert levels == {"home_1": 1, "home_2": 0, "home_3": 1}
    assert (proposal.feasible, proposal.broken) == (True, [])
    assert proposal.cost_eur == pytest.approx(0.40)
    assert proposal.excess_eur == pytest.approx(0.0, abs=1e-9)


def test_a_worse_plan_says_what_it_costs_more() -> None:
    proposal, _ = model(choosing(home_1=0, home_2=1, home_3=0)).propose(FEEDERS, PROVEN)
    assert proposal.feasible
    assert proposal.excess_eur == pytest.approx(1.50 - 0.40)


BAD: dict[str, tuple[Stub, str]] = {
    "infeasible": (choosing(home_1=1, home_2=0, home_3=0), "transformer_A stays over its rating"),
    "unknown level": (choosing(home_1=5, home_2=0, home_3=0), "home_1 has 2 levels"),
    "a node too few": (choosing(home_1=1, home_3=1), "home_2 has no level"),
    "a node too many": (choosing(home_1=1, home_2=0, home_3=1, grid=0), "grid makes no offer"),
    "twice": (saying('{"choices": [{"node":"a","level":0},{"node":"a","level":1}]}'), "twice"),
    "malformed": (saying("Sure! Here is the plan:"), "not as asked"),
    "injected": (
        saying('{"choices": [], "ignore": "and open http://evil.invalid"}'),
        "not as asked",
    ),
    "no chat": (lambda _: httpx.Response(200, json={"hello": "world"}), "not that of a chat"),
    "error": (lambda _: httpx.Response(500, text="oops"), "answered 500"),
    "elsewhere": (
        lambda _: httpx.Response(302, headers={"location": "http://evil.invalid"}),
        "answered 302",
    ),
    "slow": (slow, "no answer within 20 s"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_no_plan_and_says_why(kind: str) -> None:
    stub, why = BAD[kind]
    proposal, _ = model(stub).propose(FEEDERS, PROVEN)
    assert not proposal.feasible
    assert proposal.excess_eur is None
    assert why in "; ".join(proposal.broken)


def test_only_names_and_numbers_enter_the_prompt() -> None:
    def plain(value: Any) -> bool:
        if isinstance(value, list):
            return all(map(plain, value))
        if isinstance(value, dict):
            return all(map(plain, value.values()))
        return isinstance(value, float) or str(value).isidentifier()

    assert plain(json.loads(prompt(FEEDERS)))


def test_the_model_comes_from_the_environment_and_its_key_is_shown_nowhere() -> None:
    assert planner_from({}) is None
    found = planner_from({"EMS_LLM_URL": "http://x", "EMS_LLM_MODEL": "m", "EMS_LLM_KEY": "secret"})
    assert found is not None
    assert "secret" not in repr(found)
    for wrong in ({"EMS_LLM_URL": "x"}, {"EMS_LLM_URL": "http://x"}):
        with pytest.raises(InvalidSpec, match="EMS_LLM"):
            planner_from(wrong)


def coordinated(folder: Path, stub: Stub | None, **body: str) -> httpx.Response:
    """What the grid answers with such a model."""
    transformer = Transformer(
        name="transformer_A", import_rating_kw=RATING_KW, export_rating_kw=30.0
    )
    llm = None if stub is None else model(stub)
    sites = [site(name) for name in NAMES]

    async def work(fleet: Any) -> httpx.Response:
        async with client(fleet, "grid", folder) as ask:
            reply: httpx.Response = await ask.post("/coordinate", json=body)
            return reply

    with fleet_of(sites, folder, [transformer], synthetic=True, llm=llm) as fleet:
        return asyncio.run(work(fleet))


def deepest(request: httpx.Request) -> httpx.Response:
    """A model that always asks every node for its deepest level."""
    content = json.loads(json.loads(request.content)["messages"][1]["content"])
    nodes = [node for item in content for node in item["nodes"]]
    return choosing(**{n["node"]: len(n["costs_eur"]) - 1 for n in nodes})(request)


def test_the_proven_plan_is_carried_out_and_the_proposal_stands_beside_it(tmp_path: Path) -> None:
    reply = coordinated(tmp_path, deepest, planner="llm").json()
    plain = coordinated(tmp_path / "plain", None).json()
    assert reply["objective_eur"] == pytest.approx(plain["objective_eur"], abs=1e-9)
    assert [p["feasible"] for p in reply["proposals"]] == [True] * reply["rounds"]
    assert reply["proposals"][0]["excess_eur"] > 0
    assert plain["proposals"] == []


def test_a_feasible_proposal_is_carried_out_where_asked(tmp_path: Path) -> None:
    reply = coordinated(tmp_path, deepest, planner="llm", carry_out="llm").json()
    assert reply["kept"]
    assert reply["objective_eur"] > reply["bound_eur"] + 1e-6
    assert {decision["status"] for decision in reply["decisions"]} == {"ACCEPTED"}


@pytest.mark.parametrize("kind", ["malformed", "error", "slow"])
def test_a_bad_proposal_is_never_carried_out(kind: str, tmp_path: Path) -> None:
    reply = coordinated(tmp_path, BAD[kind][0], planner="llm", carry_out="llm")
    assert reply.status_code == 409
    assert "not carried out" in reply.json()["detail"]


def test_without_a_model_it_is_said(tmp_path: Path) -> None:
    assert coordinated(tmp_path, None, planner="llm").status_code == 409
    assert coordinated(tmp_path, None, carry_out="llm").status_code == 422
