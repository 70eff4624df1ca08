"""Equally likely scenarios from quantiles, correlated as past forecast errors were.

Schaake shuffle: Clark et al. 2004, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2.

In each step the n scenarios take the levels (r − ½)/n, r = 1 … n, once each, so their mean is close
to the forecast's. The assignment follows n templates: the levels of past truths in past forecasts,
step by step and for all series from the same origin.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.forecast.series import LEVELS, TOLERANCE, Forecast
from ems.types import Floats, Ints


def levels_of_truth(forecast: Forecast, truth: Floats) -> Floats:
    """The level of the truth in each forecast, shape ``(n_origins, n_steps)``, NaN if unknown.

    ``truth``: the whole series. Linear between the quantiles and beyond them, so it may leave [0,
    1]; only its rank among other origins matters.
    """
    steps = forecast.origins[:, None] + np.arange(forecast.n_steps)
    inside = steps < len(truth)
    y = np.where(inside, truth[np.minimum(steps, len(truth) - 1)], np.nan)[:, None, :]
    q = forecast.values
    at = np.clip((q <= y).sum(axis=1) - 1, 0, len(LEVELS) - 2)[:, None, :]
    low, high = np.take_along_axis(q, at, axis=1), np.take_along_axis(q, at + 1, axis=1)
    # At night all quantiles are 0; the floor avoids 0/0 and keeps such levels equal.
    width = np.maximum(high - low, 1e-9)
    level = LEVELS[at] + (y - low) / width * (LEVELS[1] - LEVELS[0])
    return np.asarray(level[:, 0, :])


def templates(
    levels: Mapping[str, Floats], origins: Ints, origin: int, every: int
) -> dict[str, Floats]:
    """The rows of ``levels`` usable by a plan made at ``origin``, the same for all series.

    ``origins``: of the rows. Kept are those completely observed before ``origin``, a multiple of
    ``every`` steps (a day) before it, with no unknown truth. Arrays of shape ``(n, n_steps)``.
    """
    n_steps = max(of_one.shape[1] for of_one in levels.values())
    kept = (origins + n_steps <= origin) & ((origin - origins) % every == 0)
    for of_one in levels.values():
        kept &= np.isfinite(of_one).all(axis=1)
    return {name: of_one[kept] for name, of_one in levels.items()}


def draw(
    forecasts: Mapping[str, Floats],
    past: Mapping[str, Floats],
    n: int,
    rng: np.random.Generator,
    least: Mapping[str, float] | None = None,
) -> dict[str, Floats]:
    """Draw ``n`` equally likely scenarios of each series, shape ``(n, n_steps)``.

    ``forecasts``: quantiles at ``LEVELS`` of each series, ``(n_levels, n_steps)``; ``past``: its
    templates, ``(n_templates, n_steps)``, row by row from the same origins; ``least``: lower limit
    of a series (default: none). Raises ``DataError`` for fewer templates than scenarios, unknown
    levels and crossing quantiles.
    """
    if n < 1:
        raise InvalidSpec(f"scenarios: n is {n}, it must be at least 1")
    if set(past) != set(forecasts):
        raise InvalidSpec(
            f"scenarios: templates of {sorted(past)} for forecasts of {sorted(forecasts)}; give "
            "both for the same series"
        )
    for name, quantiles in forecasts.items():
        _check(name, quantiles, past[name])
    _check_counts({name: len(rows) for name, rows in past.items()}, n)
    chosen = _spread(past, n, rng)
    bounds = least or {}
    return {
        name: _shuffled(quantiles, past[name][chosen], rng, bounds.get(name, -np.inf))
        for name, quantiles in forecasts.items()
    }


def _check(name: str, quantiles: Floats, rows: Floats) -> None:
    if rows.shape[1] != quantiles.shape[1]:
        raise InvalidSpec(
            f"scenarios: {name} has templates of {rows.shape[1]} steps, its forecast has "
            f"{quantiles.shape[1]}; give both for the same steps"
        )
    if not np.isfinite(rows).all():
        raise DataError(f"scenarios: a template of {name} has an unknown level; leave it out")
    if not np.isfinite(quantiles).all() or (np.diff(quantiles, axis=0) < -TOLERANCE).any():
        raise DataError(
            f"scenarios: the quantiles of {name} must be finite and must not cross; forecast again"
        )


def _check_counts(counts: Mapping[str, int], n: int) -> None:
    (first, n_templates), *others = counts.items()
    for name, count in others:
        if count != n_templates:
            raise InvalidSpec(
                f"scenarios: {name} has {count} templates, {first} has {n_templates}; give the "
                "same origins"
            )
    if n_templates < n:
        raise DataError(
            f"scenarios: {n_templates} past forecasts for {n} scenarios; ask for fewer or "
            "plan later"
        )


def quantile_function(quantiles: Floats, levels: Floats, least: float) -> Floats:
    """The values at ``levels``, shape ``(n, n_steps)``, of quantiles ``(n_levels, n_steps)``.

    Linear between the quantiles and beyond them with the adjacent slope, so level 1 is as far above
    q_0.9 as q_0.9 is above q_0.8. At least ``least``.
    """
    at = np.clip(np.searchsorted(LEVELS, levels, side="right") - 1, 0, len(LEVELS) - 2)
    low = np.take_along_axis(quantiles, at, axis=0)
    high = np.take_along_axis(quantiles, at + 1, axis=0)
    share = (levels - LEVELS[at]) / (LEVELS[1] - LEVELS[0])
    values: Floats = np.maximum(low + share * (high - low), least)
    return values


def _spread(past: Mapping[str, Floats], n: int, rng: np.random.Generator) -> Ints:
    """``n`` templates: a random one from each of ``n`` equal parts, sorted by mean level."""
    # Stratified, so that few scenarios still span low to high days.
    mean = np.sum([np.clip(rows, 0.0, 1.0).mean(axis=1) for rows in past.values()], axis=0)
    parts = np.array_split(np.argsort(mean, kind="stable"), n)
    return np.array([rng.choice(part) for part in parts])


def _shuffled(quantiles: Floats, rows: Floats, rng: np.random.Generator, least: float) -> Floats:
    """Each step's levels, assigned to the scenarios in the order of the templates."""
    n = len(rows)
    # The random key breaks ties, which are common at night.
    order = np.lexsort((rng.random(rows.shape), rows), axis=0)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(n)[:, None], axis=0)
    return quantile_function(quantiles, (rank + 0.5) / n, least)
