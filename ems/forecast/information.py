"""What is known and forecast about a building at an instant, without any look into the future.

- Price: published until the end of the day, from 13:00 until the end of the next; then forecast.
- PV, base load and heat: measured until now; then forecast.
- Weather: measured until now; then the newest forecast issued by now, if any are recorded.
- Appliances: a started run is known and can be delayed; of the others, as many are expected as
  lately.
- A metered car: if plugged in, its charge is known and it must be full by its hour; otherwise it is
  not expected. An assumed car comes and goes as assumed.

Sizes are known beforehand, as from a nameplate: charger power, maximum heat pump power, and the
thresholds that separate an appliance's runs from standby. How each device uses an instant is
defined in its file in ``ems.agents`` (``SiteDevice.believed``).
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
"""What a plan may be made without knowing."""
PRICE = "day-ahead price"


@dataclass(frozen=True, kw_only=True, eq=False)
class Futures:
    """Deviations of agents from their forecast.

    ``apart_kw``: by agent name [kW], shape ``(n, n_steps)``; ``n``: number of scenarios.
    """

    n: int
    apart_kw: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True)
class Scenarios:
    """How many scenarios are drawn, and the seed."""

    n: int = 10
    seed: int = 0


class Information(Protocol):
    """The source of the series a plan is made from; ``certain`` if that is the truth."""

    certain: ClassVar[bool]

    @property
    def runs_foreseen(self) -> bool:
        """Whether appliance runs are known before their people start them."""

    def course(self, day: date, at: int) -> SiteSeries:
        """The series as forecast ``at`` steps after the midnight of ``day``."""

    def futures(self, day: date, at: int, n_steps: int) -> Futures:
        """Equally likely scenarios of the ``n_steps`` from there."""

    def knowing_all_but(self, what: str) -> Information:
        """The same with everything known except ``what``."""


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
        """One scenario without deviations."""
        return Futures(n=1, apart_kw={})

    def knowing_all_but(self, what: str) -> PerfectInformation:
        """Itself: nothing is unknown."""
        return self


@dataclass(frozen=True, kw_only=True)
class Models:
    """The forecaster of each series; ``load`` is used for base load and heat.

    ``weather``: the weather forecasts the models may use, None if they use none.
    """

    load: Forecaster = field(default_factory=LearnedLoad)
    pv: Forecaster = field(default_factory=LearnedPV)
    price: Forecaster = field(default_factory=PriceForecast)
    weather: WeatherAgent | None = None

    @property
    def weather_text(self) -> str:
        """Which weather plans use, in words."""
        return "not asked for" if self.weather is None else self.weather.text


def models_of(forecaster: str, recorded: RecordedWeather | None = None) -> Models:
    """``learned`` or ``persistence`` models.

    ``recorded``: recorded weather forecasts, used by the learned models.
    """
    if forecaster == "persistence":
        return Models(load=SameHourLastWeek(), pv=PVPersistence())
    weather = WeatherAgent(recorded=recorded)
    return Models(load=LearnedLoad(weather=weather), pv=LearnedPV(weather=weather), weather=weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteForecasts:
    """All forecasts for some days of a building, from every planning instant.

    ``base``: the base load; ``devices``: by name, for devices with something to learn; ``price``:
    None if the tariff needs no forecast. ``levels``: by agent name, the level of the truth in each
    forecast for which scenarios are drawn.
    """

    base: Forecast
    devices: Mapping[str, Forecast]
    price: Forecast | None
    levels: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """A series that a forecaster must learn, ``name`` that of its agent or ``PRICE``."""

    name: str
    model: Forecaster
    series: Series
    hedged: bool

    def known_days(self, until: int) -> float:
        """Days of known values before step ``until``."""
        return int(np.isfinite(self.series.values[:until]).sum()) / self.series.steps_a_day

    @property
    def enough_from(self) -> int | None:
        """The first step that has enough known values before it; None if none has."""
        known = np.flatnonzero(np.isfinite(self.series.values))
        needed = self.model.needs_days * self.series.steps_a_day
        if len(known) < needed:
            return None
        return int(known[needed - 1]) + 1 if needed else 0


def lessons(building: Building, models: Models, first: int) -> tuple[Lesson, ...]:
    """All that must be learned of a building before step ``first``, the base load first."""
    rest = ToLearn(
        what="base load", energy_kwh=building.base_kwh, least=-np.inf, model="load", hedged=True
    )
    found = [(BASE_LOAD, rest)]
    found += [
        (device.name, learned)
        for device in building.truth.devices
        if (learned := device.to_learn(first)) is not None
    ]
    told = [
        Lesson(
            name=name,
            model=models.pv if learned.model == "pv" else models.load,
            series=_series(building, learned),
            hedged=learned.hedged,
        )
        for name, learned in found
    ]
    tariff = building.tariff
    if tariff.uses_spot or not tariff.fixed_feed_in:
        series = _price_series(building)
        told.append(Lesson(name=PRICE, model=models.price, series=series, hedged=False))
    return tuple(told)


def forecast_days(
    building: Building, models: Models, *, first_day: date, instants: Ints, n_steps: int
) -> SiteForecasts:
    """Train on everything before ``first_day`` and forecast from every instant.

    ``instants``: increasing steps on the building's whole grid; ``n_steps``: length of each
    forecast. Instants before ``first_day`` only provide scenario templates. Raises ``DataError`` if
    too little lies before ``first_day``, and at the first instant not covered by recorded weather
    forecasts, if there are any.
    """
    first = building.span(first_day).start
    learned = lessons(building, models, first)
    if models.weather is not None:
        models.weather.forecast(learned[0].series, instants, n_steps)  # raises where one is missing
    made = {
        one.name: one.model.fit(one.series, first).forecast(one.series, instants, n_steps)
        for one in learned
    }
    return SiteForecasts(
        base=made[BASE_LOAD],
        devices={n: forecast for n, forecast in made.items() if n not in (BASE_LOAD, PRICE)},
        price=made.get(PRICE),
        levels={
            one.name: levels_of_truth(made[one.name], one.series.values)
            for one in learned
            if one.hedged
        },
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
        who=f"{history.building} {PRICE}",
        unit="€/MWh",
        ts_utc=history.ts_utc,
        step_h=history.step_h,
        timezone=history.timezone,
        place=history.place,
        values=history.price_eur_per_mwh,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ForecastInformation:
    """The truth before an instant, and forecasts from then on.

    ``unknown``: what is forecast; everything else is known perfectly (to price single errors).
    """

    building: Building
    forecasts: SiteForecasts
    unknown: frozenset[Unknown] = frozenset(UNKNOWN)
    scenarios: Scenarios = field(default_factory=Scenarios)
    certain: ClassVar[bool] = False

    @property
    def runs_foreseen(self) -> bool:
        """Whether device use is known."""
        return "devices" not in self.unknown

    def knowing_all_but(self, what: str) -> ForecastInformation:
        """The same with everything known except ``what``."""
        if what not in UNKNOWN:
            raise InvalidSpec(f"foresight: {what!r} is unknown, allowed are {', '.join(UNKNOWN)}")
        return replace(self, unknown=frozenset([what]))

    def course(self, day: date, at: int) -> SiteSeries:
        """The series as forecast ``at`` steps after the midnight of ``day``."""
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
        # The load must contain the devices as forecast, since the base load is what remains of it.
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
        """Scenarios of what is only forecast, correlated as past errors were, minus the mean.

        What is known does not deviate.
        """
        first = self.building.span(day).start + at
        levels, known = self.forecasts.levels, self.building.truth.devices
        series = {name: self.forecasts.devices.get(name, self.forecasts.base) for name in levels}
        origins, hour = self.forecasts.base.origins, self.building.view.hour
        # Templates from the same hour only: errors at midnight and at noon look different.
        same_hour = hour[origins] == hour[first]
        of_hour = {name: rows[same_hour] for name, rows in levels.items()}
        past = templates(of_hour, origins[same_hour], first, every=1)
        drawn = draw(
            {name: forecast.at(first)[:, :n_steps] for name, forecast in series.items()},
            {name: rows[:, :n_steps] for name, rows in past.items()},
            self.scenarios.n,
            # Seeded by the instant, so that a plan does not depend on which others were made
            # before.
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
    """Mean of the quantiles, without the tails: costs are nearly linear in the deviations.

    For linear costs, the plan for the mean costs least on average; the median is the best guess.
    """
    mean: Floats = forecast.at(ahead.start).mean(axis=0)[: ahead.stop - ahead.start]
    return mean
