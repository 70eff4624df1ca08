"""A community's records as tables of the results database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ems.community.account import CommunityAccount
from ems.pipelines.community import CommunityPiece
from ems.pipelines.community_totals import CommunityResult, HomeRow
from ems.store.frames import kpi_values

HOME_FIGURES = (
    *("alone_eur", "here_eur", "gain_eur", "handed_eur"),
    *("received_kwh", "supplied_kwh"),
)


def home_frame(result: CommunityResult, mode: str) -> pd.DataFrame:
    """``COMMUNITY_HOME_COLUMNS``: one row per home and figure; undefined ones are left out."""
    rows = [
        (mode, home.name, kpi, value)
        for home in result.homes
        for kpi, value in _figures(home).items()
        if np.isfinite(value)
    ]
    return pd.DataFrame(rows, columns=["mode", "home", "kpi", "value"])


def _figures(home: HomeRow) -> dict[str, float]:
    return {name: float(getattr(home, name)) for name in HOME_FIGURES} | kpi_values(home.kpis)


def community_step_frame(pieces: Sequence[CommunityPiece]) -> pd.DataFrame:
    """``COMMUNITY_STEP_COLUMNS``: what is shared, bought and sold [kWh], and λ [€/kWh]."""
    frames = [_steps(mode, account) for piece in pieces for mode, account in piece.accounts.items()]
    return pd.concat(frames, ignore_index=True)


def _steps(mode: str, account: CommunityAccount) -> pd.DataFrame:
    plan = account.plan
    series = {
        "shared_kwh": plan.shared_kwh,
        "bought_kwh": plan.bought_kwh,
        "sold_kwh": plan.sold_kwh,
        "shared_eur_per_kwh": account.shared_eur_per_kwh,
        "import_eur_per_kwh": plan.horizon.import_eur_per_kwh,
        "export_eur_per_kwh": plan.horizon.export_eur_per_kwh,
    }
    n = plan.horizon.n_steps
    return pd.DataFrame(
        {
            "mode": mode,
            "ts_utc": np.tile(plan.horizon.ts_utc, len(series)),
            "quantity": np.repeat(list(series), n),
            "value": np.concatenate(list(series.values())),
        }
    )
