"""What bidders and the operator say to each other: eight frozen messages.

A bidder tells what it needs and bids; the operator answers with an instruction, a price and, for
every bid that is not carried out whole, the reason. Powers are whole numbers of kW at the bidder's
connection, energy prices €/MWh, and ``step`` is the auction that a message is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

OPERATOR = "operator"
"""Who clears; no bidder may be called so."""
GridState = Literal["normal", "alert", "emergency", "restoration"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """``sender`` to ``receiver`` about the auction ``step``."""

    sender: str
    receiver: str
    step: int
    kind: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class GenerationBid(Message):
    """``quantity_kw`` to be had at ``price_eur_per_mwh`` or more."""

    quantity_kw: float
    price_eur_per_mwh: float
    kind = "GENERATION_BID"


@dataclass(frozen=True, kw_only=True)
class DemandResponseOffer(Message):
    """``quantity_kw`` that is used only up to ``price_eur_per_mwh``: an elastic bid to buy."""

    quantity_kw: float
    price_eur_per_mwh: float
    kind = "DEMAND_RESPONSE_OFFER"


@dataclass(frozen=True, kw_only=True)
class StorageBid(Message):
    """To charge at no more than one price, to give back at no less than the other."""

    charge_kw: float
    charge_eur_per_mwh: float
    discharge_kw: float
    discharge_eur_per_mwh: float
    kind = "STORAGE_BID"


@dataclass(frozen=True, kw_only=True)
class StatusUpdate(Message):
    """What a bidder must have, for which the operator bids the cap, and what it can do at most.

    ``able_in_kw`` and ``able_out_kw``: the most it can draw and feed in.
    """

    must_serve_kw: float = 0.0
    able_in_kw: float
    able_out_kw: float
    kind = "STATUS_UPDATE"


@dataclass(frozen=True, kw_only=True)
class DispatchInstruction(Message):
    """What all who are accepted are told: their own ``net_load_kw`` (above 0 draws) and the same
    price, frequency, voltage and renewable share."""

    net_load_kw: int
    price_eur_per_mwh: float
    frequency_hz: float
    lowest_voltage_pu: float
    renewable_share: float
    kind = "DISPATCH_INSTRUCTION"


@dataclass(frozen=True, kw_only=True)
class MarketPriceUpdate(Message):
    """The price of an auction, and between which prices it could have lain."""

    price_eur_per_mwh: float
    low_eur_per_mwh: float
    high_eur_per_mwh: float
    kind = "MARKET_PRICE_UPDATE"


@dataclass(frozen=True, kw_only=True)
class BidRejected(Message):
    """``quantity_kw`` of a bid that is not carried out, and why."""

    quantity_kw: float
    price_eur_per_mwh: float
    reason: str
    kind = "BID_REJECTED"


@dataclass(frozen=True, kw_only=True)
class EmergencySignal(Message):
    """The state of the grid and what the receiver is asked for."""

    state: GridState
    measure: str
    frequency_hz: float
    kind = "EMERGENCY_SIGNAL"
