"""What is known and believed of a building at an instant, and nothing of what comes after it.

- Price: published up to the end of the day, from 13:00 up to the end of the next; then forecast.
- PV, base load and heat: measured until now; then forecast.
- Weather: measured until now; then the newest forecast issued by now, where any are recorded.
- Appliances: a run that its people have started is known and can be put off; of those that they
  have not, as many are expected as lately.
- A metered car: one that is plugged in says how full it is and is asked to be full by its hour; one
  that has not come is not expected. A car that is assumed comes and goes as assumed.

Sizes are known beforehand, as on a nameplate: the charger's power, the most that the heat pump
draws, and what tells a run of an appliance from its standby. What each device makes of an instant
is said in its file in ``ems.agents`` (``SiteDevice.believed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import ClassVar, Protocol, get_args

import numpy as np

from ems.agents.base_load import BASE_LOAD
from ems.agents.on_site import Instant, ToLearn, Unknown
from ems.errors import InvalidSpec
from ems.forecast.load import LearnedLoad
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.price import PriceForecast
from ems.forecast.pv import LearnedPV, PVPersistence
from ems.forecast.scenarios import draw, levels_of_truth, templates
from ems.forecast.series import Forecast, Forecaster, Series
from ems.forecast.weather import WeatherAgent
from ems.site.building import Building
from ems.site.series import SiteSeries
from ems.site.weather import RecordedWeather
from ems.types import Floats, Ints

UNKNOWN: tuple[Unknown, ...] = get_args(Unknown)
"""What a plan may have to be made without."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Futures:
    """By how much agents differ from what is believed of them.

    ``apart_kw``: by the agent's name [kW], shape ``(n, n_steps)``; ``n``: how many futures.
    """

    n: int
    apart_kw: Mapping[str, Floats]


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
        return Futures(n=1, apart_kw={})

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

    ``base``: of the base load; ``devices``: by name, of those of which something must be learned;
    ``price``: None where the tariff does not ask for one. ``levels``: by the name of the agent the
    level of the truth in each forecast of which scenarios are drawn.
    """

    base: Forecast
    devices: Mapping[str, Forecast]
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

    rest = ToLearn(what="base load", energy_kwh=building.base_kwh, least=-np.inf, model="load")
    base_series = _series(building, rest)
    if models.weather is not None:
        models.weather.forecast(base_series, instants, n_steps)  # stops where one is missing
    base = forecast(models.load, base_series)
    levels = {BASE_LOAD: levels_of_truth(base, base_series.values)}
    devices: dict[str, Forecast] = {}
    for device in building.truth.devices:
        learned = device.to_learn(first)
        if learned is not None:
            series = _series(building, learned)
            model = models.pv if learned.model == "pv" else models.load
            devices[device.name] = forecast(model, series)
            if learned.hedged:
                levels[device.name] = levels_of_truth(devices[device.name], series.values)
    tariff = building.tariff
    prices_matter = tariff.uses_spot or not tariff.fixed_feed_in
    return SiteForecasts(
        base=base,
        devices=devices,
        price=forecast(models.price, _price_series(building)) if prices_matter else None,
        levels=levels,
    )


def _series(building: Building, learned: ToLearn) -> Series:
    """A series of energies as mean powers [kW]."""
    history = building.history
    return Series(
        who=f"{history.building} {learned.what}",
        unit="kW",
        ts_utc=history.ts_utc,
        step_h=history.step_h,
        timezone=history.timezone,
        place=history.place,
        values=learned.energy_kwh / history.step_h,
        weather=history.weather,
        least=learned.least,
    )


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
        truth, now = self.building.truth, self._instant(day, at)
        devices = tuple(
            device.believed(now, self._expected_kw(device.name, now.ahead))
            if device.unknown in self.unknown
            else device
            for device in truth.devices
        )
        course = SiteSeries(
            load_kwh=truth.load_kwh.copy(),
            spot_eur_per_mwh=self._spot_eur_per_mwh(now.ahead),
            devices=devices,
            runs_foreseen=self.runs_foreseen,
        )
        course.load_kwh[now.ahead] = self._base_kwh(now.ahead) + course.devices_kwh(now.ahead)
        return course

    def _instant(self, day: date, at: int) -> Instant:
        building, today, tomorrow = self.building, self.building.span(day), day + timedelta(days=1)
        first, n_known = today.start + at, len(building.truth.load_kwh)
        return Instant(
            step=first,
            ahead=slice(first, min(first + self.forecasts.base.n_steps, n_known)),
            today=today,
            tomorrow=building.span(tomorrow) if tomorrow in building.view.spans else None,
            past_days=tuple(building.span(d) for d in building.days if d < day),
            hour=building.view.hour,
        )

    def futures(self, day: date, at: int, n_steps: int) -> Futures:
        """Scenarios of what only a forecast says, correlated as past errors were, less the mean.

        What is known does not differ.
        """
        first = self.building.span(day).start + at
        levels, known = self.forecasts.levels, self.building.truth.devices
        series = {name: self.forecasts.devices.get(name, self.forecasts.base) for name in levels}
        origins, hour = self.forecasts.base.origins, self.building.view.hour
        same_hour = hour[origins] == hour[first]
        of_hour = {name: rows[same_hour] for name, rows in levels.items()}
        past = templates(of_hour, origins[same_hour], first, every=1)
        drawn = draw(
            {name: forecast.at(first)[:, :n_steps] for name, forecast in series.items()},
            {name: rows[:, :n_steps] for name, rows in past.items()},
            self.scenarios.n,
            np.random.default_rng([self.scenarios.seed, first]),
            {name: forecast.least for name, forecast in series.items()},
        )
        unknown = {BASE_LOAD: "load", **{device.name: device.unknown for device in known}}
        ahead = slice(first, first + n_steps)
        apart_kw = {
            name: drawn[name] - _expected(series[name], ahead)
            for name in drawn
            if unknown[name] in self.unknown
        }
        return Futures(n=self.scenarios.n, apart_kw=apart_kw)

    def _expected_kw(self, name: str, ahead: slice) -> Floats | None:
        forecast = self.forecasts.devices.get(name)
        return None if forecast is None else _expected(forecast, ahead)

    def _spot_eur_per_mwh(self, ahead: slice) -> Floats:
        truth, forecast = self.building.truth.spot_eur_per_mwh, self.forecasts.price
        if "price" not in self.unknown or forecast is None:
            return truth
        believed = truth.copy()
        believed[ahead] = _expected(forecast, ahead)
        return believed

    def _base_kwh(self, ahead: slice) -> Floats:
        if "load" not in self.unknown:
            return self.building.base_kwh[ahead]
        return _expected(self.forecasts.base, ahead) * self.building.view.step_h


def _expected(forecast: Forecast, ahead: slice) -> Floats:
    """The mean of the quantiles, tails cut: costs are nearly linear in what comes.

    Where they are, the plan for the mean costs least on average; the median is the best guess.
    """
    mean: Floats = forecast.at(ahead.start).mean(axis=0)[: ahead.stop - ahead.start]
    return mean
