"""What is known and believed of a building at an instant, and nothing of what comes after it.

- Price: published up to the end of the day, from 13:00 up to the end of the next; then forecast.
- PV, base load and heat: measured until now; then forecast.
- Weather: measured until now; then the newest forecast issued by now, where any are recorded.
- Appliances: a run that its people have started is known and can be put off; of those that they
  have not, as many are expected as lately, see ``ems.forecast.appliances``.
- A metered car: one that is plugged in says how full it is and is asked to be full by its hour; one
  that has not come is not expected. A car that is assumed comes and goes as assumed.

Sizes are known beforehand, as on a nameplate: the charger's power, the most that the heat pump
draws, and what tells a run of an appliance from its standby.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np

from ems.errors import InvalidSpec
from ems.forecast.appliances import MEMORY_DAYS, expected_runs, still_expected
from ems.forecast.load import LearnedLoad
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.price import PriceForecast
from ems.forecast.pv import LearnedPV, PVPersistence
from ems.forecast.scenarios import draw, levels_of_truth, templates
from ems.forecast.series import Forecast, Forecaster, Series
from ems.forecast.weather import WeatherAgent
from ems.site.building import Building
from ems.site.ev_use import EVUse, known_use
from ems.site.series import Run, SiteSeries, runs_between
from ems.site.weather import RecordedWeather
from ems.types import Floats, Ints

Unknown = Literal["pv", "load", "price", "devices"]
"""What a plan may have to be made without: sun, load and heat, price, and the use of devices."""
UNKNOWN: tuple[Unknown, ...] = get_args(Unknown)


@dataclass(frozen=True, kw_only=True, eq=False)
class Futures:
    """By how much base load and sun differ from what is believed [kW], ``(n_futures, n_steps)``."""

    base_kw: Floats
    pv_kw: Floats


@dataclass(frozen=True, kw_only=True)
class Scenarios:
    """How many futures are drawn, and the seed of the draw."""

    n: int = 10
    seed: int = 0


class Information(Protocol):
    """Whoever says what a plan is made from; ``certain`` where that is the truth."""

    certain: ClassVar[bool]

    @property
    def runs_foreseen(self) -> bool:
        """Whether runs of appliances are known before their people start them."""

    def course(self, day: date, at: int) -> SiteSeries:
        """What is believed ``at`` steps after the midnight of ``day``."""

    def futures(self, day: date, at: int, n_steps: int) -> Futures:
        """Equally likely futures of the ``n_steps`` from there."""

    def knowing_all_but(self, what: str) -> Information:
        """The same, but all is known except ``what``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PerfectInformation:
    """Everything is known: plans are upper bounds of what can be earned."""

    building: Building
    certain: ClassVar[bool] = True
    runs_foreseen: ClassVar[bool] = True

    def course(self, day: date, at: int) -> SiteSeries:
        """The truth."""
        return self.building.truth

    def futures(self, day: date, at: int, n_steps: int) -> Futures:
        """One future, in which nothing differs."""
        return Futures(base_kw=np.zeros((1, n_steps)), pv_kw=np.zeros((1, n_steps)))

    def knowing_all_but(self, what: str) -> PerfectInformation:
        """Itself: nothing is unknown."""
        return self


@dataclass(frozen=True, kw_only=True)
class Models:
    """The forecaster of each series; ``load`` forecasts base load and heat alike.

    ``weather``: what they are told of the weather to come, None where they do not ask.
    """

    load: Forecaster = field(default_factory=LearnedLoad)
    pv: Forecaster = field(default_factory=LearnedPV)
    price: Forecaster = field(default_factory=PriceForecast)
    weather: WeatherAgent | None = None

    @property
    def weather_text(self) -> str:
        """Which weather plans are told of, in words."""
        return "not asked for" if self.weather is None else self.weather.text


def models_of(forecaster: str, recorded: RecordedWeather | None = None) -> Models:
    """``learned`` or ``persistence``.

    ``recorded``: forecasts of the weather as they were issued; learned models use them.
    """
    if forecaster == "persistence":
        return Models(load=SameHourLastWeek(), pv=PVPersistence())
    weather = WeatherAgent(recorded=recorded)
    return Models(load=LearnedLoad(weather=weather), pv=LearnedPV(weather=weather), weather=weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteForecasts:
    """Everything that is forecast for some days of a building, from every instant of planning.

    ``price`` is None where the tariff does not ask for one, ``pv`` where nothing is generated.
    ``levels``: the level of the truth in each forecast of ``base`` and ``pv``, for scenarios.
    """

    base: Forecast
    heat: Mapping[str, Forecast]
    pv: Forecast | None
    price: Forecast | None
    levels: Mapping[str, Floats]


def forecast_days(
    building: Building, models: Models, *, first_day: date, instants: Ints, n_steps: int
) -> SiteForecasts:
    """Train on all that lies before ``first_day`` and forecast from every instant.

    ``instants``: rising steps on the building's whole grid; ``n_steps``: how far each forecast
    looks. Those before ``first_day`` only serve as templates of scenarios. Raises ``DataError``
    where too little lies before ``first_day``, and at the first instant that recorded forecasts of
    the weather do not cover, if there are any.
    """
    first = building.span(first_day).start

    def forecast(model: Forecaster, series: Series) -> Forecast:
        return model.fit(series, first).forecast(series, instants, n_steps)

    truth, tariff = building.truth, building.tariff
    base_series = _series(building, "base load", building.base_kwh)
    if models.weather is not None:
        models.weather.forecast(base_series, instants, n_steps)  # stops where one is missing
    base = forecast(models.load, base_series)
    levels = {"base": levels_of_truth(base, base_series.values)}
    pv = None
    if np.nanmax(truth.pv_kwh[:first], initial=0.0) > 0:
        pv_series = _series(building, "PV", truth.pv_kwh, least=0.0)
        pv = forecast(models.pv, pv_series)
        levels["pv"] = levels_of_truth(pv, pv_series.values)
    prices_matter = tariff.uses_spot or not tariff.fixed_feed_in
    return SiteForecasts(
        base=base,
        heat={
            name: forecast(models.load, _heat_series(building, name, power_kw))
            for name, power_kw in truth.heat_kw.items()
        },
        pv=pv,
        price=forecast(models.price, _price_series(building)) if prices_matter else None,
        levels=levels,
    )


def _series(building: Building, what: str, energy_kwh: Floats, *, least: float = -np.inf) -> Series:
    """A series of energies as mean powers [kW]."""
    history = building.history
    return Series(
        who=f"{history.building} {what}",
        unit="kW",
        ts_utc=history.ts_utc,
        step_h=history.step_h,
        timezone=history.timezone,
        place=history.place,
        values=energy_kwh / history.step_h,
        weather=history.weather,
        least=least,
    )


def _heat_series(building: Building, name: str, power_kw: Floats) -> Series:
    """A heat pump's power, unknown on days that its meter does not cover from end to end."""
    metered_kwh = building.history.energy_kwh[name]
    known_kwh = np.full(len(metered_kwh), np.nan)
    for span in map(building.span, building.days):
        if np.isfinite(metered_kwh[span]).all():
            known_kwh[span] = power_kw[span] * building.history.step_h
    return _series(building, name, known_kwh, least=0.0)


def _price_series(building: Building) -> Series:
    history = building.history
    return Series(
        who=f"{history.building} day-ahead price",
        unit="€/MWh",
        ts_utc=history.ts_utc,
        step_h=history.step_h,
        timezone=history.timezone,
        place=history.place,
        values=history.price_eur_per_mwh,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ForecastInformation:
    """The truth before an instant, and from it on what was forecast.

    ``unknown``: what is forecast; the rest is known perfectly (to price single errors).
    """

    building: Building
    forecasts: SiteForecasts
    unknown: frozenset[Unknown] = frozenset(UNKNOWN)
    scenarios: Scenarios = field(default_factory=Scenarios)
    certain: ClassVar[bool] = False

    @property
    def runs_foreseen(self) -> bool:
        """Whether the use of devices is among what is known."""
        return "devices" not in self.unknown

    def knowing_all_but(self, what: str) -> ForecastInformation:
        """The same, but all is known except ``what``."""
        if what not in UNKNOWN:
            raise InvalidSpec(f"foresight: {what!r} is unknown, allowed are {', '.join(UNKNOWN)}")
        return replace(self, unknown=frozenset([what]))

    def course(self, day: date, at: int) -> SiteSeries:
        """What is believed ``at`` steps after the midnight of ``day``."""
        truth, first = self.building.truth, self.building.span(day).start + at
        ahead = slice(first, min(first + self.forecasts.base.n_steps, len(truth.load_kwh)))
        heat_kw = self._heat_kw(ahead)
        runs = truth.runs if self.runs_foreseen else self._runs(day, first)
        ev_use = self._ev_use(first)
        course = SiteSeries(
            load_kwh=truth.load_kwh.copy(),
            pv_kwh=self._pv_kwh(ahead),
            spot_eur_per_mwh=self._spot_eur_per_mwh(ahead),
            runs=runs,
            heat_kw=heat_kw,
            ev_use=ev_use,
            runs_foreseen=self.runs_foreseen,
        )
        planned_kwh = course.planned_kwh(ahead, self.building.site.step_h)
        course.load_kwh[ahead] = self._base_kwh(ahead) + planned_kwh
        return course

    def futures(self, day: date, at: int, n_steps: int) -> Futures:
        """Scenarios of base load and sun, correlated as past errors were, less what is expected.

        What is known does not differ.
        """
        first = self.building.span(day).start + at
        series = {"base": self.forecasts.base}
        if self.forecasts.pv is not None:
            series["pv"] = self.forecasts.pv
        origins, hour = self.forecasts.base.origins, self.building.site.hour
        same_hour = hour[origins] == hour[first]
        levels = {name: rows[same_hour] for name, rows in self.forecasts.levels.items()}
        past = templates(levels, origins[same_hour], first, every=1)
        drawn = draw(
            {name: forecast.at(first)[:, :n_steps] for name, forecast in series.items()},
            {name: rows[:, :n_steps] for name, rows in past.items()},
            self.scenarios.n,
            np.random.default_rng([self.scenarios.seed, first]),
            {name: forecast.least for name, forecast in series.items()},
        )
        nothing = np.zeros_like(drawn["base"])
        ahead = slice(first, first + n_steps)
        apart = {name: drawn[name] - _expected(series[name], ahead) for name in drawn}
        return Futures(
            base_kw=apart["base"] if "load" in self.unknown else nothing,
            pv_kw=apart["pv"] if "pv" in self.unknown and "pv" in apart else nothing,
        )

    def _pv_kwh(self, ahead: slice) -> Floats:
        truth, forecast = self.building.truth.pv_kwh, self.forecasts.pv
        if "pv" not in self.unknown or forecast is None:
            return truth
        return _replaced(truth, ahead, _expected(forecast, ahead) * self.building.site.step_h)

    def _spot_eur_per_mwh(self, ahead: slice) -> Floats:
        truth, forecast = self.building.truth.spot_eur_per_mwh, self.forecasts.price
        if "price" not in self.unknown or forecast is None:
            return truth
        return _replaced(truth, ahead, _expected(forecast, ahead))

    def _base_kwh(self, ahead: slice) -> Floats:
        if "load" not in self.unknown:
            return self.building.base_kwh[ahead]
        return _expected(self.forecasts.base, ahead) * self.building.site.step_h

    def _heat_kw(self, ahead: slice) -> Mapping[str, Floats]:
        truth = self.building.truth.heat_kw
        if "load" not in self.unknown:
            return truth
        heat_kw = {name: kw.copy() for name, kw in truth.items()}
        for name, forecast in self.forecasts.heat.items():
            most_kw = self.building.site.heat_kw[name]
            heat_kw[name][ahead] = np.clip(_expected(forecast, ahead), 0.0, most_kw)
        return heat_kw

    def _runs(self, day: date, now: int) -> Mapping[str, tuple[Run, ...]]:
        """Those started on ``day`` before ``now``, and those to expect of it and of the next."""
        known = [d for d in self.building.days if d < day][-MEMORY_DAYS:]
        recent = [(span.start, span.stop) for span in map(self.building.span, known)]
        today, following = self.building.span(day), day + timedelta(days=1)
        believed: dict[str, tuple[Run, ...]] = {}
        for name, runs in self.building.truth.runs.items():
            seen = [run for first, last in recent for run in runs_between(runs, first, last)]
            started = tuple(runs_between(runs, today.start, now))
            expected = expected_runs(seen, recent, (today.start, today.stop))
            coming = still_expected(expected, len(started), now, today.stop)
            if following in self.building.days:
                span = self.building.span(following)
                coming += expected_runs(seen, recent, (span.start, span.stop))
            believed[name] = started + coming
        return believed

    def _ev_use(self, first: int) -> EVUse | None:
        use, spec = self.building.truth.ev_use, self.building.assets.ev
        if use is None or spec is None or use.metered_kw is None or "devices" not in self.unknown:
            return use
        return known_use(use, first, self.building.site.hour, spec)


def _replaced(truth: Floats, ahead: slice, values: Floats) -> Floats:
    believed = truth.copy()
    believed[ahead] = values
    return believed


def _expected(forecast: Forecast, ahead: slice) -> Floats:
    """The mean of the quantiles, tails cut: costs are nearly linear in what comes.

    Where they are, the plan for the mean costs least on average; the median is the best guess.
    """
    mean: Floats = forecast.at(ahead.start).mean(axis=0)[: ahead.stop - ahead.start]
    return mean
