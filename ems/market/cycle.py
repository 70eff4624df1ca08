"""One auction after the other: gather, optimise, bid, clear, dispatch, monitor, learn.

Every stage is a plain function from a state to the next; ``STAGES`` is the cycle. Nothing is
settled here: all auctions of a run are settled at once (``ems.market.account``), so that a message
that is late or lost changes what somebody does, and never whether the money closes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ems.errors import InvalidSpec
from ems.market.bidders import Bidder, Seen
from ems.market.clearing import Clearing, UniformPrice, clear
from ems.market.emergency import MEASURES, GridWatch, shed_by_priority
from ems.market.feeder import BARAN_WU_33, linear_voltages, read_feeder
from ems.market.frequency import Area, FrequencyRun, Response, Shedding, simulate
from ems.market.messages import (
    OPERATOR,
    BidRejected,
    DemandResponseOffer,
    DispatchInstruction,
    EmergencySignal,
    GenerationBid,
    MarketPriceUpdate,
    Message,
    StatusUpdate,
    StorageBid,
)
from ems.market.orders import TICKS_PER_EUR_PER_MWH, Limits, OrderBook, admit
from ems.market.router import Channel, MessageRouter
from ems.market.scenario import Scenario
from ems.types import Bools, Floats, Ints

GATE = 1.0 / 3.0
"""Share of a step after which the gate closes; what is accepted is told until the second third."""
STORE_LAG_S, STORE_DROOP_HZ_PER_PU = 0.5, 0.5
PLANT_LAG_S, PLANT_RESERVE = 8.0, 0.1
"""Lag of a governor, and the share of a running plant's power that answers the frequency."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Orders:
    """What an auction is cleared from, arrays of shape ``(n,)``.

    ``owner``: place of the bidder; ``must``: what is to be served at any price.
    """

    owner: Ints
    is_bid: Bools
    price_eur_per_mwh: Floats
    quantity_kw: Floats
    deliverable_kw: Floats
    must: Bools


@dataclass(frozen=True, kw_only=True, eq=False)
class AuctionRecord:
    """What came of one auction; net loads of all bidders [kW], above 0 drawn, ``(n_bidders,)``.

    ``order``: for each order of the book its place among ``orders``; ``reasons``: one for each of
    them, "" if it was let in. ``lowest_pu``: the lowest voltage of the feeder.
    """

    orders: Orders
    order: Ints
    reasons: tuple[str, ...]
    book: OrderBook
    clearing: Clearing
    accepted_kw: Ints
    delivered_kw: Floats
    watch: GridWatch
    frequency: FrequencyRun | None = None
    lowest_pu: float = 1.0


Value = TypeVar("Value")
Learn = Callable[[AuctionRecord, Seen], None]
"""Is shown every auction when it is over."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What stays the same over a run.

    ``router``: the only thing that changes. ``physics``: whether frequency and voltage are
    computed, without which there is no emergency.
    """

    scenario: Scenario
    rule: UniformPrice
    router: MessageRouter
    physics: bool = True
    learn: Learn | None = None

    @cached_property
    def place(self) -> Mapping[str, int]:
        """The place of each bidder."""
        return {name: i for i, name in enumerate(self.scenario.names)}

    @cached_property
    def limits(self) -> Limits:
        """What an order must keep."""
        return Limits(
            floor_eur_per_mwh=self.scenario.floor_eur_per_mwh,
            cap_eur_per_mwh=self.scenario.cap_eur_per_mwh,
        )

    @cached_property
    def forecast_eur_per_mwh(self) -> Floats:
        """The public forecast of the price, shape ``(n_steps,)``."""
        return forecast_eur_per_mwh(self.scenario, self.rule)

    @cached_property
    def feeder_share(self) -> float:
        """What a kW of load is of the nominal load of the feeder [1/kW]."""
        load_kw = np.sum([one.announced_kw for one in self.scenario.consumers], axis=0)
        return 1.0 / max(float(load_kw.max()), 1.0)

    @cached_property
    def feeder(self) -> Any:
        """Feeder, P and Q of its nominal load [pu]."""
        return read_feeder(BARAN_WU_33)

    def opens_s(self, step: int) -> float:
        """When the auction of a step opens [s]."""
        return step * self.scenario.step_h * 3600.0

    def closes_s(self, step: int) -> float:
        """When its gate closes [s]."""
        return (step + GATE) * self.scenario.step_h * 3600.0

    def told_s(self, step: int) -> float:
        """When all must know what to do [s]."""
        return (step + 2.0 * GATE) * self.scenario.step_h * 3600.0


@dataclass(frozen=True, kw_only=True, eq=False)
class CycleState:
    """Where a run stands; each stage fills what the next ones need."""

    setting: Setting
    bidders: tuple[Bidder, ...]
    step: int = 0
    watch: GridWatch = field(default_factory=GridWatch)
    last: AuctionRecord | None = None
    seen: Seen | None = None
    said: tuple[Message, ...] = ()
    orders: Orders | None = None
    record: AuctionRecord | None = None


# --- the stages ----------------------------------------------------------------------------------


def gather(state: CycleState) -> CycleState:
    """What all may see before the auction."""
    scenario, last = state.setting.scenario, state.last
    seen = Seen(
        step=state.step,
        step_h=scenario.step_h,
        floor_eur_per_mwh=scenario.floor_eur_per_mwh,
        cap_eur_per_mwh=scenario.cap_eur_per_mwh,
        forecast_eur_per_mwh=state.setting.forecast_eur_per_mwh,
        last_eur_per_mwh=np.nan if last is None else eur_per_mwh(last.clearing.price[0]),
    )
    return replace(state, seen=seen, record=None)


def optimise(state: CycleState) -> CycleState:
    """Everybody plans."""
    seen = _known(state.seen)
    return replace(state, bidders=tuple(bidder.planned(seen) for bidder in state.bidders))


def bid(state: CycleState) -> CycleState:
    """What reaches the operator before the gate closes; of a message that comes twice, one."""
    setting, seen = state.setting, _known(state.seen)
    for bidder in state.bidders:
        for message in (bidder.status(seen), *bidder.bids(seen)):
            setting.router.send(message, setting.opens_s(state.step))
    said = tuple(_inbox(setting, state.step, setting.closes_s(state.step)).get(OPERATOR, ()))
    return replace(state, said=said, orders=orders_of(said, setting, seen))


def clear_auction(state: CycleState) -> CycleState:
    """Let orders in and clear them; in an emergency serve what can be served, at the cap."""
    setting, orders = state.setting, _known(state.orders)
    suspended = state.watch.suspended
    let_in = admit(
        n_auctions=1,
        auction=np.zeros(len(orders.owner), dtype=np.int64),
        owner=orders.owner,
        is_bid=orders.is_bid,
        price_eur_per_mwh=_called(orders, setting) if suspended else orders.price_eur_per_mwh,
        quantity_kw=orders.quantity_kw,
        deliverable_kw=orders.deliverable_kw,
        limits=setting.limits,
    )
    clearing = clear(let_in.book, setting.rule)
    if suspended:
        clearing = _at_the_cap(clearing, let_in.book, orders.must[let_in.order], setting)
    accepted_kw = np.zeros(len(state.bidders), dtype=np.int64)
    signed = np.where(let_in.book.is_bid, clearing.accepted, -clearing.accepted)
    np.add.at(accepted_kw, let_in.book.owner, signed)
    record = AuctionRecord(
        orders=orders,
        order=let_in.order,
        reasons=let_in.reasons,
        book=let_in.book,
        clearing=clearing,
        accepted_kw=accepted_kw,
        delivered_kw=np.zeros(len(state.bidders)),
        watch=state.watch,
    )
    return replace(state, record=record)


def dispatch(state: CycleState) -> CycleState:
    """Tell everybody what came of the auction; each does what it was told, as far as it can."""
    setting, record, seen = state.setting, _known(state.record), _known(state.seen)
    for message in answers(state):
        setting.router.send(message, setting.closes_s(state.step))
    told = _inbox(setting, state.step, setting.told_s(state.step))
    delivered_kw, bidders = np.zeros(len(state.bidders)), []
    for i, bidder in enumerate(state.bidders):
        delivered_kw[i], later = bidder.delivered(_told_kw(told.get(bidder.name, ())), seen)
        bidders.append(later)
    return replace(state, bidders=tuple(bidders), record=replace(record, delivered_kw=delivered_kw))


def monitor(state: CycleState) -> CycleState:
    """Frequency, voltage and the state of the grid that follow from what was delivered."""
    setting, record = state.setting, _known(state.record)
    if not setting.physics:
        return state
    run = simulate(*swing(state))
    watch = state.watch.after(run)
    for bidder in state.bidders if watch.state != state.watch.state else ():
        signal = EmergencySignal(
            sender=OPERATOR,
            receiver=bidder.name,
            step=state.step,
            state=watch.state,
            measure=MEASURES[watch.state],
            frequency_hz=float(run.frequency_hz[-1]),
        )
        setting.router.send(signal, setting.told_s(state.step))
    feeder, p_pu, q_pu = setting.feeder
    drawn_kw = record.delivered_kw[record.delivered_kw > 0].sum()
    share = drawn_kw * setting.feeder_share
    lowest_pu = float(linear_voltages(feeder, share * p_pu, share * q_pu).min())
    record = replace(record, watch=watch, frequency=run, lowest_pu=lowest_pu)
    return replace(state, record=record, watch=watch)


def learn(state: CycleState) -> CycleState:
    """Show the auction to who learns, and go on to the next."""
    record = _known(state.record)
    if state.setting.learn is not None:
        state.setting.learn(record, _known(state.seen))
    return replace(state, last=record, step=state.step + 1)


STAGES = (gather, optimise, bid, clear_auction, dispatch, monitor, learn)


# --- all of them ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class MarketRun:
    """All auctions of a run, the bidders before and after it, and what was said."""

    scenario: Scenario
    rule: UniformPrice
    first: tuple[Bidder, ...]
    bidders: tuple[Bidder, ...]
    records: tuple[AuctionRecord, ...]
    router: MessageRouter


@dataclass(frozen=True, kw_only=True, eq=False)
class MarketCycle:
    """A scenario with its bidders in order, ready to run. Raises ``InvalidSpec`` for others.

    ``k``: place of the price among those that clear. ``keep_messages``: those of a year fill the
    memory.
    """

    scenario: Scenario
    bidders: Sequence[Bidder]
    k: float = 0.0
    channel: Channel = field(default_factory=Channel)
    physics: bool = True
    keep_messages: bool = True
    learn: Learn | None = None

    def __post_init__(self) -> None:
        names, known = tuple(one.name for one in self.bidders), self.scenario.names
        if names != known:
            raise InvalidSpec(
                f"MarketCycle: bidders are {', '.join(names)}, must be {', '.join(known)} as in "
                f"the scenario {self.scenario.name}"
            )

    def run(self, hours: float | None = None) -> MarketRun:
        """All auctions, or those of the first ``hours``. Raises ``InvalidSpec`` for more."""
        return self.ended(list(self.steps(hours)))

    def steps(self, hours: float | None = None) -> Iterator[CycleState]:
        """The state after each auction."""
        state = self.start()
        for _ in range(self.n_auctions(hours)):
            for stage in STAGES:
                state = stage(state)
            yield state

    def n_auctions(self, hours: float | None) -> int:
        """How many auctions the first ``hours`` have, all for None."""
        if hours is None:
            return self.scenario.n_steps
        return self.scenario.over(round(hours / self.scenario.step_h)).n_steps

    def ended(self, states: Sequence[CycleState]) -> MarketRun:
        """The run that came through these states."""
        last = states[-1]
        return MarketRun(
            scenario=self.scenario.over(len(states)),
            rule=last.setting.rule,
            first=tuple(self.bidders),
            bidders=last.bidders,
            records=tuple(_known(state.last) for state in states),
            router=last.setting.router,
        )

    def start(self) -> CycleState:
        """The state before the first auction."""
        scenario = self.scenario
        rule = UniformPrice(
            floor=ticks(scenario.floor_eur_per_mwh), cap=ticks(scenario.cap_eur_per_mwh), k=self.k
        )
        setting = Setting(
            scenario=scenario,
            rule=rule,
            router=MessageRouter(channel=self.channel, keep=self.keep_messages),
            physics=self.physics,
            learn=self.learn,
        )
        return CycleState(setting=setting, bidders=tuple(self.bidders))


# --- what the stages need ------------------------------------------------------------------------


def ticks(price_eur_per_mwh: float) -> int:
    """A price in whole ticks."""
    return round(price_eur_per_mwh * TICKS_PER_EUR_PER_MWH)


def eur_per_mwh(price: float | np.int64) -> float:
    """A price in €/MWh."""
    return float(price) / TICKS_PER_EUR_PER_MWH


def orders_of(said: Sequence[Message], setting: Setting, seen: Seen) -> Orders:
    """Messages as orders: what must be served bids the cap.

    Without a status the operator knows of nothing that the sender could deliver.
    """
    rows: list[tuple[int, bool, float, float, float, bool]] = []
    status = {one.sender: one for one in said if isinstance(one, StatusUpdate)}
    for one in status.values():
        if one.must_serve_kw > 0.0:
            row = (True, seen.cap_eur_per_mwh, one.must_serve_kw, one.able_in_kw)
            rows.append((setting.place[one.sender], *row, True))
    for message in said:
        known = status.get(message.sender)
        able_in_kw, able_out_kw = (known.able_in_kw, known.able_out_kw) if known else (0.0, 0.0)
        i = setting.place.get(message.sender, -1)
        match message:
            case GenerationBid():
                of = [(False, message.price_eur_per_mwh, message.quantity_kw, able_out_kw)]
            case DemandResponseOffer():
                of = [(True, message.price_eur_per_mwh, message.quantity_kw, able_in_kw)]
            case StorageBid():
                of = [
                    (True, message.charge_eur_per_mwh, message.charge_kw, able_in_kw),
                    (False, message.discharge_eur_per_mwh, message.discharge_kw, able_out_kw),
                ]
            case _:
                of = []
        rows += [(i, *row, False) for row in of if row[2] != 0.0]
    return Orders(
        owner=np.array([row[0] for row in rows], dtype=np.int64),
        is_bid=np.array([row[1] for row in rows], dtype=np.bool_),
        price_eur_per_mwh=np.array([row[2] for row in rows], dtype=np.float64),
        quantity_kw=np.array([row[3] for row in rows], dtype=np.float64),
        deliverable_kw=np.array([row[4] for row in rows], dtype=np.float64),
        must=np.array([row[5] for row in rows], dtype=np.bool_),
    )


def forecast_eur_per_mwh(scenario: Scenario, rule: UniformPrice) -> Floats:
    """The price of every auction if plants are honest, stores rest and no building bids."""
    offers = [(False, one.cost_eur_per_mwh, one.announced_kw) for one in scenario.generators]
    musts = [
        (True, scenario.cap_eur_per_mwh, one.announced_kw - one.flexible_kw)
        for one in scenario.consumers
    ]
    elastic = [
        (True, part.worth_eur_per_mwh, np.full(scenario.n_steps, part.quantity_kw))
        for one in scenario.consumers
        for part in one.flexible
    ]
    rows = [*offers, *musts, *elastic]
    quantity = np.concatenate([kw for _, _, kw in rows]).astype(np.int64)
    there = quantity > 0
    book = OrderBook(
        n_auctions=scenario.n_steps,
        auction=np.tile(np.arange(scenario.n_steps), len(rows))[there],
        owner=np.repeat(np.arange(len(rows)), scenario.n_steps)[there],
        is_bid=np.repeat([is_bid for is_bid, _, _ in rows], scenario.n_steps)[there],
        price=np.repeat([ticks(price) for _, price, _ in rows], scenario.n_steps)[there],
        quantity=quantity[there],
    )
    return clear(book, rule).price / TICKS_PER_EUR_PER_MWH


def answers(state: CycleState) -> Iterator[Message]:
    """What the operator answers: an instruction or the price, and the reason of every refusal."""
    setting, record = state.setting, _known(state.record)
    price, low, high = (
        eur_per_mwh(values[0])
        for values in (record.clearing.price, record.clearing.low, record.clearing.high)
    )
    last = state.last
    frequency_hz = (
        50.0 if last is None or last.frequency is None else last.frequency.frequency_hz[-1]
    )
    share = renewable_share(setting.scenario, record.accepted_kw)
    for i, name in enumerate(setting.scenario.names):
        if record.accepted_kw[i]:
            yield DispatchInstruction(
                sender=OPERATOR,
                receiver=name,
                step=state.step,
                net_load_kw=int(record.accepted_kw[i]),
                price_eur_per_mwh=price,
                frequency_hz=float(frequency_hz),
                lowest_voltage_pu=1.0 if last is None else last.lowest_pu,
                renewable_share=share,
            )
        else:
            yield MarketPriceUpdate(
                sender=OPERATOR,
                receiver=name,
                step=state.step,
                price_eur_per_mwh=price,
                low_eur_per_mwh=low,
                high_eur_per_mwh=high,
            )
    yield from _refusals(state, record)


def _refusals(state: CycleState, record: AuctionRecord) -> Iterator[Message]:
    """A message for every order that is not carried out whole."""
    orders, names = record.orders, state.setting.scenario.names
    given = np.zeros(len(orders.owner), dtype=np.int64)
    given[record.order] = record.clearing.accepted
    for i, reason in enumerate(record.reasons):
        left_kw = orders.quantity_kw[i] - given[i]
        if reason or left_kw >= 1.0:
            yield BidRejected(
                sender=OPERATOR,
                receiver=names[orders.owner[i]],
                step=state.step,
                quantity_kw=float(left_kw),
                price_eur_per_mwh=float(orders.price_eur_per_mwh[i]),
                reason=reason or _why(orders, i, bool(given[i])),
            )


def _why(orders: Orders, i: int, in_part: bool) -> str:
    if in_part:
        return "at the margin: shared by quantity"
    if orders.must[i]:
        return "not enough generation"
    return "the price is above the bid" if orders.is_bid[i] else "demand met by cheaper generation"


def renewable_share(scenario: Scenario, net_load_kw: Floats | Ints) -> float:
    """Renewables of all that feeds in [1], NaN if nothing does; ``net_load_kw``: of all bidders."""
    fed_kw = np.maximum(-np.asarray(net_load_kw, dtype=np.float64), 0.0)
    renewable = [one.renewable for one in scenario.generators]
    ours_kw = fed_kw[: len(renewable)][np.array(renewable, dtype=np.bool_)].sum()
    return float(ours_kw / fed_kw.sum()) if fed_kw.any() else np.nan


def swing(state: CycleState) -> tuple[Area, Floats]:
    """The area of an auction and its imbalance in every 0.1 s, in pu of what is drawn.

    Each auction starts at rest: the one before has put right what was left of it.
    """
    setting, record = state.setting, _known(state.record)
    scenario, flow_kw = setting.scenario, record.delivered_kw
    base_kw = max(float(flow_kw[flow_kw > 0].sum()), 1.0)
    n_plants, step_s = len(scenario.generators), scenario.step_h * 3600.0
    running_kw = [-flow_kw[i] for i, one in enumerate(scenario.generators) if not one.renewable]
    running_pu = sum(running_kw) / base_kw
    responses = []
    if running_pu > 0.0:
        responses.append(
            Response(
                name="plants",
                droop_hz_per_pu=scenario.grid.droop_hz_per_pu / running_pu,
                lag_s=PLANT_LAG_S,
                most_pu=PLANT_RESERVE * running_pu,
                least_pu=-PLANT_RESERVE * running_pu,
            )
        )
    stores_kw = sum(one.battery.max_discharge_kw for one in scenario.stores)
    busy_kw = flow_kw[n_plants : n_plants + len(scenario.stores)].sum()
    if stores_kw > 0.0:
        responses.append(
            Response(
                name="stores",
                droop_hz_per_pu=STORE_DROOP_HZ_PER_PU * base_kw / stores_kw,
                lag_s=STORE_LAG_S,
                most_pu=max(0.0, stores_kw + busy_kw) / base_kw,
                least_pu=-max(0.0, stores_kw - busy_kw) / base_kw,
                dead_hz=0.05,
            )
        )
    area = Area(
        inertia_s=scenario.grid.inertia_s,
        damping_pu_per_hz=scenario.grid.damping_pu_per_hz,
        responses=tuple(responses),
        shedding=Shedding(),
    )
    imbalance_pu = -float(flow_kw.sum()) / base_kw
    return area, np.full(round(step_s / area.step_s), imbalance_pu)


def _called(orders: Orders, setting: Setting) -> Floats:
    """Prices in an emergency: stores are called first, nothing is bought that may wait."""
    first = len(setting.scenario.generators)
    of_store = (orders.owner >= first) & (orders.owner < first + len(setting.scenario.stores))
    price = np.where(of_store & ~orders.is_bid, setting.limits.floor_eur_per_mwh, np.nan)
    price = np.where(~of_store & ~orders.is_bid, orders.price_eur_per_mwh, price)
    bids = np.where(orders.must, orders.price_eur_per_mwh, setting.limits.floor_eur_per_mwh)
    return np.where(orders.is_bid, bids, price)


def _at_the_cap(clearing: Clearing, book: OrderBook, must: Bools, setting: Setting) -> Clearing:
    """The same energy, load served by priority instead of pro rata, all of it paid the cap."""
    accepted = clearing.accepted.copy()
    first = len(setting.scenario.generators) + len(setting.scenario.stores)
    last = [one.shed_last for one in setting.scenario.consumers]
    loads = np.flatnonzero(book.is_bid & must & (book.owner < first + len(last)))
    order = np.array([last[book.owner[i] - first] for i in loads], dtype=np.int64)
    served_kw = int(accepted[loads].sum())
    accepted[loads] = shed_by_priority(book.quantity[loads], served_kw, order)
    cap = np.full(1, setting.rule.cap, dtype=np.int64)
    return replace(clearing, accepted=accepted, price=cap, high=cap)


def _inbox(setting: Setting, step: int, at_s: float) -> dict[str, list[Message]]:
    """What has come by ``at_s`` about this auction, by receiver; what is late or double is not."""
    found: dict[str, dict[int, Message]] = {}
    for message in setting.router.arrived(at_s):
        if message.step == step:
            found.setdefault(message.receiver, {})[id(message)] = message
    return {name: list(messages.values()) for name, messages in found.items()}


def _told_kw(messages: Sequence[Message]) -> int | None:
    """What a bidder was told to do, None if nothing reached it."""
    for message in messages:
        if isinstance(message, DispatchInstruction):
            return message.net_load_kw
    return 0 if any(isinstance(one, MarketPriceUpdate) for one in messages) else None


def _known(value: Value | None) -> Value:
    """What an earlier stage has filled in."""
    assert value is not None
    return value
