"""A market's records as tables of the results database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from ems.market.account import BidderRow, MarketAccount
from ems.market.messages import Message
from ems.market.orders import TICKS_PER_EUR_PER_MWH
from ems.types import Floats

ENVELOPE = {field.name for field in fields(Message)}
BIDDER_FIGURES = tuple(
    field.name for field in fields(BidderRow) if field.name not in ("name", "kind")
)


def market_frames(account: MarketAccount) -> Mapping[str, pd.DataFrame]:
    """A frame for every table of ``ems.store.results.MARKET_COLUMNS``."""
    return {
        "market_auction": _auctions(account),
        "market_order": _orders(account),
        "market_message": _messages(account),
        "market_bidder": _bidders(account),
    }


def auction_series(account: MarketAccount) -> Mapping[str, Floats]:
    """What is known of every auction, shape ``(n_auctions,)`` each; NaN where nothing is."""
    clearing, records = account.clearing, account.run.records
    to_mwh = account.run.scenario.step_h / 1000.0
    runs = [record.frequency for record in records]
    return {
        "price_eur_per_mwh": account.price_eur_per_mwh,
        "low_eur_per_mwh": clearing.low / TICKS_PER_EUR_PER_MWH,
        "high_eur_per_mwh": clearing.high / TICKS_PER_EUR_PER_MWH,
        "traded_mwh": clearing.volume * to_mwh,
        "unserved_mwh": clearing.unserved * to_mwh,
        "imbalance_mwh": -account.delivered_kw.sum(axis=1) * to_mwh,
        "lowest_hz": np.array([np.nan if run is None else run.lowest_hz for run in runs]),
        "highest_hz": np.array(
            [np.nan if run is None else float(run.frequency_hz.max()) for run in runs]
        ),
        "lowest_pu": np.array([record.lowest_pu for record in records]),
        "suspended": np.array([float(one) for one in account.suspended]),
    }


def _auctions(account: MarketAccount) -> pd.DataFrame:
    series = auction_series(account)
    return pd.DataFrame(
        {
            "ts_utc": np.tile(account.run.scenario.ts_utc, len(series)),
            "quantity": np.repeat(list(series), len(account.run.records)),
            "value": np.concatenate(list(series.values())),
        }
    )


def _orders(account: MarketAccount) -> pd.DataFrame:
    names = np.array(account.run.scenario.names)
    parts = []
    for ts_utc, record in zip(account.run.scenario.ts_utc, account.run.records, strict=True):
        orders, accepted_kw = record.orders, np.zeros(len(record.orders.owner))
        accepted_kw[record.order] = record.clearing.accepted
        parts.append(
            pd.DataFrame(
                {
                    "ts_utc": ts_utc,
                    "bidder": names[orders.owner],
                    "is_bid": orders.is_bid,
                    "price_eur_per_mwh": orders.price_eur_per_mwh,
                    "quantity_kw": orders.quantity_kw,
                    "accepted_kw": accepted_kw,
                    "reason": list(record.reasons),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _messages(account: MarketAccount) -> pd.DataFrame:
    log = account.run.router.log
    return pd.DataFrame(
        {
            "step": [one.message.step for one in log],
            "sent_s": [one.sent_s for one in log],
            "came_s": pd.array([one.came_s for one in log], dtype="Float64"),
            "sender": [one.message.sender for one in log],
            "receiver": [one.message.receiver for one in log],
            "kind": [one.message.kind for one in log],
            "said": [_said(one.message) for one in log],
        }
    )


def _said(message: Message) -> str:
    """What a message says beside who, to whom and when; a number that is none as null."""
    told = {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in asdict(message).items()
        if name not in ENVELOPE
    }
    return json.dumps(told)


def _bidders(account: MarketAccount) -> pd.DataFrame:
    rows = [
        (row.name, row.kind, kpi, float(value))
        for row in account.bidders
        for kpi in (*BIDDER_FIGURES, "profit_eur")
        if (value := getattr(row, kpi)) is not None
    ]
    return pd.DataFrame(rows, columns=["bidder", "kind", "kpi", "value"])
