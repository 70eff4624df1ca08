"""What goes over the wire: closed, checked, aware UTC times, units in names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from ems.services.state import Scenario

AGENT_ID = r"^[a-z][a-z0-9_]{0,31}$"
AgentId = Annotated[str, Field(pattern=AGENT_ID, examples=["home_1"])]
Kw = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False, strict=True)]
NotNegative = Annotated[float, Field(ge=0.0, le=1e6, allow_inf_nan=False, strict=True)]

Series = Annotated[list[Kw], Field(min_length=1, max_length=288)]
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _as_text(told: Any) -> Any:
    """An instant is text: a number could be seconds, or milliseconds, or anything."""
    if not isinstance(told, str | datetime):
        raise ValueError("allowed is a text such as 2018-01-08T02:00:00Z")
    return told


def _in_range(instant: datetime) -> datetime:
    """An instant of a year that has meters, in UTC."""
    if not EARLIEST <= instant <= LATEST:
        raise ValueError("allowed is an instant from 1990 to 2100")
    return instant.astimezone(UTC)


Utc = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_in_range)]


class Wire(BaseModel):
    """A closed message."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(BaseModel):
    """What went wrong, RFC 9457; ``detail`` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    shortfalls: dict[str, str] = Field(default_factory=dict)


class Anomaly(Wire):
    """What is not as it should be: its kind, its size and the reason."""

    kind: Literal["over_connection", "over_rating", "stuck_meter", "grid_silent", "agent_silent"]
    size_kw: float
    reason: str


class About(Wire):
    """Who answers."""

    agent_id: str
    role: str
    transformer: str | None
    clock: Literal["simulated"] = "simulated"
    synthetic: bool
    documentation: str = "/docs"


class Health(Wire):
    """Whether it is well; ``reasons`` say what it waits for."""

    healthy: bool
    reasons: list[str]


class Status(Wire):
    """A node at an instant of the simulated clock; powers are of the next step."""

    agent_id: str
    role: str
    transformer: str
    clock: Literal["simulated"] = "simulated"
    synthetic: bool
    at_utc: Utc
    sequence: int
    step_h: float = Field(strict=True, gt=0.0, le=24.0, allow_inf_nan=False)
    over: bool
    net_load_kw: Kw
    demand_kw: Kw
    generation_kw: Kw
    stored_kwh: float
    limit_kw: float | None
    export_limit_kw: float | None
    curtailment_ids: list[str]
    imbalance: Literal["draws", "feeds", "even"]
    anomaly: Anomaly | None
    reasons: list[str]
    expected_kw: list[Kw] = Field(min_length=1, max_length=96)
    cost_of_limits_eur: float
    days: dict[str, float]


class SimulateRequest(Wire):
    """Let ``n_steps`` pass, as metered or in a scenario."""

    n_steps: int = Field(strict=True, default=1, ge=1, le=96)
    scenario: Scenario = "normal"


class OffersRequest(Wire):
    """Levels over the next ``n_steps``, and what keeping each costs."""

    n_steps: int = Field(strict=True, default=24, ge=1, le=96)
    n_levels: int = Field(strict=True, default=5, ge=1, le=8)
    side: Literal["import", "export"] = "import"


class OfferReply(Wire):
    """The first level is the plan as it is; ``floor_kw``: what no limit may go below."""

    agent_id: str
    at_utc: Utc
    floor_kw: list[Kw] = Field(min_length=1, max_length=96)
    levels_kw: list[Series] = Field(min_length=1, max_length=8)
    costs_eur: list[NotNegative] = Field(min_length=1, max_length=8)
    convex: bool


class Element(Wire):
    """A part of a limit; null says nothing, 0 means zero."""

    duration_s: float = Field(strict=True, gt=0.0, le=86_400.0, allow_inf_nan=False)
    max_import_kw: NotNegative | None = None
    max_export_kw: NotNegative | None = None


class CurtailRequest(Wire):
    """A limit on the meter, for a time."""

    curtailment_id: UUID
    from_utc: Utc = Field(examples=["2018-01-08T02:00:00Z"])
    elements: list[Element] = Field(min_length=1, max_length=288)
    failsafe_after_s: float = Field(
        strict=True, default=7200.0, gt=0.0, le=604_800.0, allow_inf_nan=False
    )


class CurtailReply(Wire):
    """The limit is kept; ``cost_eur``: what that costs the node; ``expected_kw``: its new plan."""

    agent_id: str
    curtailment_id: UUID
    status: Literal["ACCEPTED", "REVOKED"]
    cost_eur: float
    expected_kw: list[Kw] = Field(min_length=1, max_length=96)


class TransformerStatus(Wire):
    """A transformer now: what its nodes say they will draw, against what it carries [kW]."""

    name: str
    import_rating_kw: float
    export_rating_kw: float
    agents: list[str]
    expected_kw: list[Kw]
    over_kw: float


class Registration(Wire):
    """Who a node is, where it answers (null: it polls), and its worst case."""

    role: Literal["home", "battery"]
    transformer: str = Field(min_length=1, max_length=64)
    url: str | None = Field(default=None, max_length=200)
    max_import_kw: NotNegative
    max_export_kw: NotNegative


class Registered(Registration):
    """A registered node and when it was last heard."""

    agent_id: str
    heard: bool


class Report(Wire):
    """What a node that polls reports: its status, and what it offers."""

    sequence: int = Field(strict=True, ge=0, le=2**53)
    at_utc: Utc
    step_h: float = Field(strict=True, gt=0.0, le=24.0)
    expected_kw: list[Kw] = Field(min_length=1, max_length=96)
    offer: OfferReply | None = None


class Accepted(Wire):
    """The report counts."""

    agent_id: str
    sequence: int


class CoordinateRequest(Wire):
    """Keep every transformer within its rating over the next steps.

    ``planner``: llm also asks a language model; ``carry_out``: llm carries out what it proposes if
    that keeps every rating.
    """

    n_steps: int = Field(strict=True, default=24, ge=1, le=96)
    dry_run: bool = Field(strict=True, default=False)
    planner: Literal["milp", "llm"] = "milp"
    carry_out: Literal["milp", "llm"] = "milp"


class Proposal(Wire):
    """What a language model proposed beside the proven plan; ``excess_eur``: what it costs more."""

    feasible: bool
    broken: list[str]
    cost_eur: float | None
    excess_eur: float | None


class NodeDecision(Wire):
    """What a node was asked to keep, and its cost."""

    agent_id: str
    transformer: str
    curtailment_id: UUID | None
    limit_kw: list[Kw]
    cost_eur: float
    status: Literal["ACCEPTED", "REJECTED", "UNANSWERED", "WAITING", "DRY_RUN"]
    reason: str


class Coordination(Wire):
    """The plan for all transformers, and what was proven."""

    clock: Literal["simulated"] = "simulated"
    at_utc: Utc | None
    transformers: list[TransformerStatus]
    after_kw: dict[str, list[Kw]]
    decisions: list[NodeDecision]
    objective_eur: float
    bound_eur: float
    fixed_order_eur: float | None
    unreachable: list[str]
    proposals: list[Proposal] = Field(default_factory=list)
    kept: bool
    rounds: int


class GridStatus(Wire):
    """The grid agent now."""

    agent_id: str
    clock: Literal["simulated"] = "simulated"
    transformers: list[TransformerStatus]
    agents: list[Registered]
    anomalies: list[Anomaly]


class Curtailments(Wire):
    """Limits for a node that polls, after the number it has seen."""

    last: int
    requests: list[CurtailRequest]


class PlanBattery(Wire):
    """A battery as its owner knows it."""

    capacity_kwh: float = Field(strict=True, gt=0.0, le=1e4)
    power_kw: float = Field(strict=True, gt=0.0, le=1e4)
    stored_kwh: float = Field(strict=True, ge=0.0, le=1e4)
    round_trip_efficiency: float = Field(strict=True, default=0.9, gt=0.1, le=1.0)


class PlanRequest(Wire):
    """What a home knows: prices, expected load and sun, its battery, its limits."""

    start_utc: Utc
    step_h: float = Field(strict=True, default=1.0, ge=1 / 60, le=24.0)
    import_eur_per_kwh: Series
    export_eur_per_kwh: Series
    load_kw: Series
    pv_kw: Series | None = None
    battery: PlanBattery | None = None
    max_import_kw: NotNegative | None = None
    max_export_kw: NotNegative | None = None


class PlanReply(Wire):
    """A proven plan: powers of every agent, its cost, the bound, and a reason a step."""

    clock: Literal["simulated"] = "simulated"
    net_load_kw: dict[str, list[Kw]]
    stored_kwh: list[float]
    bill_eur: float
    objective_eur: float
    bound_eur: float
    worth_eur_per_kwh: list[float]
    reasons: list[str]
