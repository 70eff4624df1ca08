"""The agents over HTTP, in one process: tokens, keys, problems, restarts, coordination."""

from __future__ import annotations

import asyncio
import json
import stat
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from services.made_nodes import NAMES, RATING_KW, site, small_fleet

from ems.errors import DataError, InvalidSpec
from ems.services.coordinator import Transformer
from ems.services.fleet import fleet_of
from ems.services.hosting import listening
from ems.services.links import Links
from ems.services.security import Rate, tokens_of
from ems.services.simulation import Fleet
from ems.store.journal import Journal

Work = Callable[[Fleet], Awaitable[Any]]


def done(folder: Path, work: Work, rating_kw: float = RATING_KW) -> Any:
    """What ``work`` makes of the three nodes and their grid agent."""
    with small_fleet(folder, rating_kw) as fleet:
        return asyncio.run(work(fleet))  # type: ignore[arg-type]


def client(fleet: Fleet, name: str, folder: Path, who: str | None = "operator") -> Any:
    """A client of one agent with the token of ``who``."""
    token = "" if who is None else json.loads((folder / "tokens.json").read_text())[who]
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=fleet.links.apps[name]),
        base_url="http://agent.invalid",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def is_problem(reply: httpx.Response, status: int) -> bool:
    body = reply.json()
    return (
        reply.status_code == status == body["status"]
        and reply.headers["content-type"] == "application/problem+json"
        and bool(body["detail"])
    )


LIMIT = {
    "curtailment_id": "7b0c2d1e-0000-4000-8000-000000000001",
    "from_utc": "2016-05-31T22:00:00Z",
    "elements": [{"duration_s": 6 * 3600, "max_import_kw": 3.0}],
}


def test_every_reply_says_that_the_clock_is_simulated(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> list[httpx.Response]:
        replies: list[httpx.Response] = []
        for name in fleet.urls:
            async with client(fleet, name, tmp_path) as ask:
                paths = ("/", "/status", "/health", "/health/live", "/metrics", "/nowhere")
                replies += [await ask.get(path) for path in paths]
        return replies

    replies = done(tmp_path, work)
    assert {reply.headers["x-clock"] for reply in replies} == {"simulated"}
    assert {reply.status_code for reply in replies} == {200, 404}


def test_tokens_and_what_each_may_do(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        async with client(fleet, "home_1", tmp_path, None) as ask:
            assert is_problem(await ask.get("/status"), 401)
            assert (await ask.get("/health/live")).status_code == 200
        async with client(fleet, "home_1", tmp_path, "reader") as ask:
            assert (await ask.get("/status")).status_code == 200
            assert is_problem(await ask.post("/simulate", json={}), 403)
        async with client(fleet, "home_1", tmp_path, "home_2") as ask:
            assert is_problem(await ask.post("/curtail", json=LIMIT), 403)
        report = {
            "sequence": 1,
            "at_utc": "2016-05-31T22:00:00Z",
            "step_h": 1.0,
            "expected_kw": [1.0],
        }
        async with client(fleet, "grid", tmp_path, "home_2") as ask:
            assert is_problem(await ask.post("/agents/home_1/status", json=report), 403)
            assert (await ask.post("/agents/home_2/status", json=report)).status_code == 200
            late = {**report, "sequence": 0}
            assert is_problem(await ask.post("/agents/home_2/status", json=late), 409)
            assert is_problem(await ask.post("/coordinate", json={}), 403)

    done(tmp_path, work)
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    (tmp_path / "tokens.json").chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        tokens_of(tmp_path / "tokens.json", [])


def test_no_token_is_in_the_log_or_the_journal(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        async with client(fleet, "home_1", tmp_path) as ask:
            await ask.post("/simulate", json={})

    done(tmp_path, work)
    tokens = json.loads((tmp_path / "tokens.json").read_text())
    kept = b"".join(f.read_bytes() for f in tmp_path.iterdir() if f.name != "tokens.json")
    assert not [name for name, token in tokens.items() if token.encode() in kept]


def test_the_same_key_does_it_once_and_another_body_is_refused(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        async with client(fleet, "home_1", tmp_path) as ask:
            key = {"Idempotency-Key": "k1"}
            first = await ask.post("/simulate", json={"n_steps": 2}, headers=key)
            again = await ask.post("/simulate", json={"n_steps": 2}, headers=key)
            assert first.json() == again.json()
            assert first.json()["sequence"] == 2
            assert is_problem(await ask.post("/simulate", json={"n_steps": 3}, headers=key), 422)
            both = await asyncio.gather(
                *(ask.post("/simulate", json={}, headers={"Idempotency-Key": "k2"}) for _ in "ab")
            )
            assert [reply.json()["sequence"] for reply in both] == [3, 3]

    done(tmp_path, work)


def test_a_limit_is_acknowledged_repeated_and_revoked(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        async with client(fleet, "home_1", tmp_path) as ask:
            first = await ask.post("/curtail", json=LIMIT)
            again = await ask.post("/curtail", json=LIMIT)
            assert first.json() == again.json()
            assert first.json()["status"] == "ACCEPTED"
            assert max(first.json()["expected_kw"][:6]) <= 3.0 + 1e-5
            status = (await ask.get("/status")).json()
            assert status["limit_kw"] == 3.0
            assert status["curtailment_ids"] == [LIMIT["curtailment_id"]]
            other = {**LIMIT, "elements": [{"duration_s": 60, "max_import_kw": 5.0}]}
            assert is_problem(await ask.post("/curtail", json=other), 422)
            low = {**LIMIT, "curtailment_id": str(uuid.uuid4())}
            low["elements"] = [{"duration_s": 3600, "max_import_kw": 0.0}]
            assert is_problem(await ask.post("/curtail", json=low), 422)
            await ask.delete(f"/curtail/{LIMIT['curtailment_id']}")
            assert (await ask.get("/status")).json()["curtailment_ids"] == []

    done(tmp_path, work)


def test_bodies_that_are_too_large_or_unknown_are_one_kind_of_error(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        async with client(fleet, "home_1", tmp_path) as ask:
            assert is_problem(await ask.post("/simulate", content=b"x" * (1 << 20 | 1)), 413)
            assert is_problem(await ask.post("/simulate", json={"n_step": 1}), 422)
            assert is_problem(await ask.post("/simulate", content=b"{"), 422)
            assert is_problem(await ask.put("/status"), 405)

    done(tmp_path, work)


def test_a_restarted_node_stands_where_it_stood(tmp_path: Path) -> None:
    async def before(fleet: Fleet) -> Any:
        async with client(fleet, "home_1", tmp_path) as ask:
            await ask.post("/simulate", json={"n_steps": 2}, headers={"Idempotency-Key": "k"})
            later = {**LIMIT, "from_utc": "2016-06-01T00:00:00Z"}
            await ask.post("/curtail", json=later)
            await ask.post("/simulate", json={"n_steps": 1, "scenario": "overload"})
            return (await ask.get("/status")).json()

    async def after(fleet: Fleet) -> Any:
        async with client(fleet, "home_1", tmp_path) as ask:
            again = {"Idempotency-Key": "k"}
            repeated = await ask.post("/simulate", json={"n_steps": 2}, headers=again)
            assert repeated.json()["sequence"] == 2  # the reply of then, nothing done again
            return (await ask.get("/status")).json()

    assert done(tmp_path, before) == done(tmp_path, after)


def test_a_journal_that_another_process_holds_is_said(tmp_path: Path) -> None:
    (tmp_path / "home_1.duckdb").write_text("no database")
    with pytest.raises(DataError, match="already running"):
        Journal(tmp_path / "home_1.duckdb")


def test_the_grid_keeps_the_rating_at_least_cost_and_does_it_once(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        free = await fleet.tell("grid", "GET", "/status")
        assert free["transformers"][0]["over_kw"] > 1.0
        assert [anomaly["kind"] for anomaly in free["anomalies"]] == ["over_rating"]
        tried = await fleet.tell("grid", "POST", "/coordinate", {"dry_run": True})
        assert {d["status"] for d in tried["decisions"]} == {"DRY_RUN"}
        plan = await fleet.tell("grid", "POST", "/coordinate", {})
        assert plan["kept"]
        assert max(plan["after_kw"]["transformer_A"]) <= RATING_KW + 1e-4
        assert plan["objective_eur"] >= plan["bound_eur"] - 1e-6
        assert plan["objective_eur"] <= plan["fixed_order_eur"] + 1e-6
        again = await fleet.tell("grid", "POST", "/coordinate", {})
        assert again["decisions"] == []
        async for step in fleet.steps(24, {}, coordinated=True):
            assert step.flow_kw("transformer_A") <= RATING_KW + 1e-4
            assert step.problem is None

    done(tmp_path, work)


def test_nobody_is_asked_where_the_rating_holds(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        async for step in fleet.steps(48, {}, coordinated=True):
            assert step.coordination is not None
            assert step.coordination.decisions == []

    done(tmp_path, work, rating_kw=100.0)


def test_a_silent_node_counts_with_its_worst_case(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        await fleet.tell("home_1", "POST", "/simulate", {"scenario": "silent"})
        for name in ("home_2", "battery_1"):
            await fleet.tell(name, "POST", "/simulate", {})
        plan = await fleet.tell("grid", "POST", "/coordinate", {"n_steps": 6})
        assert plan["unreachable"] == ["home_1"]
        assert max(plan["after_kw"]["transformer_A"]) <= RATING_KW + 1e-4
        assert min(plan["after_kw"]["transformer_A"]) >= 8.0

    done(tmp_path, work)


def test_what_cannot_be_kept_is_a_problem_with_its_shortfall(tmp_path: Path) -> None:
    async def work(fleet: Fleet) -> None:
        async with client(fleet, "grid", tmp_path) as ask:
            reply = await ask.post("/coordinate", json={})
        assert is_problem(reply, 409)
        assert "transformer_A.rating" in reply.json()["shortfalls"]

    done(tmp_path, work, rating_kw=0.5)


def test_a_restarted_grid_knows_everybody(tmp_path: Path) -> None:
    async def names(fleet: Fleet) -> Any:
        return [agent["agent_id"] for agent in await fleet.tell("grid", "GET", "/agents")]

    assert done(tmp_path, names) == done(tmp_path, names) == sorted(NAMES)


def test_a_node_behind_nat_polls_for_its_limits(tmp_path: Path) -> None:
    sites = [site("home_1")]
    transformer = Transformer(name="transformer_A", import_rating_kw=5.0, export_rating_kw=30.0)

    async def work(fleet: Fleet) -> None:
        register = {
            "role": "battery",
            "transformer": "transformer_A",
            "url": None,
            "max_import_kw": 5.0,
            "max_export_kw": 5.0,
        }
        at = (await fleet.tell("home_1", "GET", "/status"))["at_utc"]
        report = {
            "sequence": 1,
            "at_utc": at,
            "step_h": 1.0,
            "expected_kw": [4.0] * 24,
            "offer": {
                "agent_id": "far_1",
                "at_utc": at,
                "floor_kw": [0.0],
                "levels_kw": [[4.0] * 24, [0.0] * 24],
                "costs_eur": [0.0, 0.0001],
                "convex": True,
            },
        }
        await fleet.tell("grid", "PUT", "/agents/far_1", register)
        await fleet.tell("grid", "POST", "/agents/far_1/status", report)
        plan = await fleet.tell("grid", "POST", "/coordinate", {})
        assert [d["status"] for d in plan["decisions"] if d["agent_id"] == "far_1"] == ["WAITING"]
        waiting = await fleet.tell("grid", "GET", "/agents/far_1/curtailments")
        assert len(waiting["requests"]) == waiting["last"] == 1
        seen = await fleet.tell("grid", "GET", "/agents/far_1/curtailments?after=1")
        assert seen["requests"] == []

    with fleet_of(sites, tmp_path, [transformer], synthetic=True) as fleet:
        asyncio.run(work(fleet))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "file:///etc/passwd",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1/path",
        "nothing",
        "http://127.0.0.1:99999",
    ],
)
def test_no_address_is_called_that_is_not_allowed(url: str) -> None:
    with pytest.raises(InvalidSpec, match="url is"):
        Links(token="").require(url)


def test_only_this_machine_is_served_without_tls() -> None:
    with pytest.raises(InvalidSpec, match="others can reach"):
        listening("0.0.0.0", 0, None)
    with listening("127.0.0.1", 0, None) as sock, pytest.raises(InvalidSpec, match="--port"):
        listening("127.0.0.1", sock.getsockname()[1], None)


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    from ems.services.problems import Refused

    rate = Rate(per_second=3.0)
    for _ in range(3):
        rate.take("somebody")
    with pytest.raises(Refused) as error:
        rate.take("somebody")
    assert (error.value.status, error.value.headers) == (429, {"Retry-After": "1"})
    rate.take("another")


def test_a_plan_from_what_is_sent(tmp_path: Path) -> None:
    asked = {
        "start_utc": "2016-06-01T10:00:00Z",
        "import_eur_per_kwh": [0.10, 0.40],
        "export_eur_per_kwh": [0.05, 0.05],
        "load_kw": [1.0, 2.0],
        "battery": {
            "capacity_kwh": 2,
            "power_kw": 2,
            "stored_kwh": 0,
            "round_trip_efficiency": 1.0,
        },
    }

    async def work(fleet: Fleet) -> None:
        async with client(fleet, "home_1", tmp_path) as ask:
            reply = (await ask.post("/plan", json=asked)).json()
            # 3 kWh bought at 10 ct; wear of 2 ct on 2 kWh in and 2 kWh out.
            assert reply["bill_eur"] == pytest.approx(0.30)
            assert reply["objective_eur"] == pytest.approx(0.38)
            assert reply["bound_eur"] == pytest.approx(0.38)
            assert reply["stored_kwh"] == pytest.approx([2.0, 0.0])
            assert len(reply["reasons"]) == 2
            assert is_problem(await ask.post("/plan", json={**asked, "load_kw": [1.0]}), 422)
            bad = await ask.post("/plan", json={**asked, "battery": None, "max_import_kw": 0.5})
            assert is_problem(bad, 409)
            assert bad.json()["shortfalls"]

    done(tmp_path, work)


def test_what_is_not_written_down_has_not_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(fleet: Fleet) -> list[httpx.Response]:
        async with client(fleet, "home_1", tmp_path) as ask:
            key = {"Idempotency-Key": "once"}
            with monkeypatch.context() as broken:
                broken.setattr(Journal, "append", full)
                refused = await ask.post("/simulate", json={}, headers=key)
            done_ = await ask.post("/simulate", json={}, headers=key)
            return [refused, done_, await ask.post("/simulate", json={}, headers=key)]

    def full(self: Journal, event: object) -> None:
        raise DataError("no room")

    refused, first, again = done(tmp_path, work)
    assert is_problem(refused, 503)
    assert (first.json()["sequence"], again.json()["sequence"]) == (1, 1)
