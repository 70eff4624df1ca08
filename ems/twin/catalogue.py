"""The seven buildings as data.

Totals, ranges and peaks come from the OPSD household data (README of the package,
DOI 10.25832/household_data/2020-04-15); habits are rounded from the hours at which the metered
devices start; what the meters do not show (base load, tilt, azimuth) is assumed. See
``docs/twin.md``.
"""

from __future__ import annotations

from ems.twin.specs import (
    BuildingSpec,
    CycleSpec,
    EvSpec,
    FixedSpec,
    HeatPumpSpec,
    Hours,
    Peak,
    PvSpec,
)

ALWAYS: Hours = (1.0,) * 24

# fmt: off
EVENING_HOME: Hours = (
    .45, .40, .38, .36, .36, .42, .70, .85, .80, .75, .75, .95,
    1.15, .95, .85, .85, .95, 1.25, 1.55, 1.65, 1.60, 1.50, 1.10, .70,
)
BUSY_HOME: Hours = (
    .45, .42, .42, .40, .42, .55, .90, .95, .95, 1.05, 1.35, 1.50,
    1.40, 1.20, 1.15, 1.05, 1.00, 1.00, 1.00, 1.00, .95, .85, .70, .55,
)
OFFICE: Hours = (
    .10, .10, .10, .10, .10, .15, .50, 1.2, 1.8, 2.0, 2.0, 2.0,
    1.7, 1.9, 2.0, 1.9, 1.7, 1.2, .60, .30, .20, .15, .10, .10,
)
OFFICE_FREE: Hours = (.12,) * 24
TWO_SHIFTS: Hours = (
    .20, .15, .15, .15, .15, .20, .30, .60, 1.3, 1.8, 1.9, 1.9,
    1.8, 1.8, 1.9, 1.8, 1.6, 1.5, 1.4, 1.2, .90, .50, .30, .25,
)
FLAT_SHIFT: Hours = (
    .80, .80, .80, .80, .85, 1.0, 1.15, 1.2, 1.25, 1.25, 1.25, 1.25,
    1.2, 1.2, 1.2, 1.2, 1.15, 1.1, 1.05, 1.0, .95, .90, .85, .80,
)
PUMP: Hours = (
    .35, .35, .35, .35, .50, 1.2, 1.6, 1.5, 1.3, 1.2, 1.1, 1.1,
    1.2, 1.1, 1.0, 1.0, 1.1, 1.3, 1.5, 1.5, 1.4, 1.2, .80, .50,
)
HEATING_R1: Hours = (
    .50, .60, .75, 1.0, 1.4, 1.6, 1.6, 1.4, 1.2, 1.0, .95, .80,
    .20, 1.1, 1.0, 1.1, 1.1, 1.0, 1.2, 1.2, 1.2, 1.1, .90, .60,
)
HEATING_R4: Hours = (
    .80, .80, .80, .80, .85, 1.0, 1.3, 1.3, 1.2, 1.2, 1.2, 1.2,
    1.1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, .95, .90, .90, .85, .80,
)

DISHWASHER: Hours = (.03, .27, .15, .03, .02, .06, .33, .11)
WASHING: Hours = (.13, .40, .22, .05, .05, .06, .09)
LONG_WASHING: Hours = (.08, .24, .14, .03, .04, .08, .22, .11, .03, .03)
CANTEEN: Hours = (.08, .12, .11, .11, .11, .11, .11, .11, .10, .04)
# fmt: on


def _fridge(name: str, total_kwh: float) -> FixedSpec:
    """A compressor that follows the warmth of the room a little."""
    return FixedSpec(
        name=name,
        total_kwh=total_kwh,
        working=ALWAYS,
        free=ALWAYS,
        noise=0.45,
        noise_memory_h=0.5,
        per_c_cooling=0.02,
    )


def _pump(total_kwh: float) -> FixedSpec:
    """A circulation pump of a heating: by the clock, more in the cold."""
    return FixedSpec(
        name="circulation_pump",
        total_kwh=total_kwh,
        working=PUMP,
        free=PUMP,
        noise=0.2,
        noise_memory_h=1.0,
        per_c_heating=0.04,
    )


def _base(total_kwh: float, hours: Hours, *, per_c_heating: float = 0.02) -> FixedSpec:
    """What nobody meters: light, cooking, screens, standby."""
    return FixedSpec(
        name="base",
        total_kwh=total_kwh,
        working=hours,
        free=tuple(0.93 * value + 0.14 for value in hours),
        noise=0.45,
        noise_memory_h=0.6,
        day_noise=0.2,
        per_c_heating=per_c_heating,
    )


def _plant(
    name: str,
    total_kwh: float,
    working: Hours,
    free: Hours,
    *,
    noise: float,
    day_noise: float = 0.15,
    per_c_cooling: float = 0.0,
    on_probability: float = 1.0,
    max_kw: float = float("inf"),
) -> FixedSpec:
    """A machine or room of the plant."""
    return FixedSpec(
        name=name,
        total_kwh=total_kwh,
        working=working,
        free=free,
        noise=noise,
        noise_memory_h=1.5,
        day_noise=day_noise,
        per_c_cooling=per_c_cooling,
        on_probability=on_probability,
        max_kw=max_kw,
    )


MORNING_NOON_EVENING = (
    Peak(share=0.30, at_h=8.5, width_h=1.2),
    Peak(share=0.30, at_h=13.7, width_h=1.2),
    Peak(share=0.40, at_h=19.7, width_h=1.3),
)
LATE_MORNING = (
    Peak(share=0.75, at_h=10.5, width_h=2.0),
    Peak(share=0.25, at_h=15.0, width_h=2.0),
)

INDUSTRIAL3 = BuildingSpec(
    name="DE_KN_industrial3",
    kind="industrial",
    start_utc="2015-10-15T15",
    last_utc="2017-06-04T22",
    load_rule="import+pv-export",
    has_export_meter=False,
    base=_plant("base", 22_000, FLAT_SHIFT, (0.9,) * 24, noise=0.15),
    pv=(
        PvSpec(
            name="pv_roof",
            total_kwh=19_639,
            peak_kw=11.1,
            tilt_deg=15,
            azimuth_deg=180,
            horizon_deg=20,
        ),
        PvSpec(
            name="pv_facade",
            total_kwh=8_396,
            peak_kw=6.1,
            tilt_deg=90,
            azimuth_deg=165,
            horizon_deg=14,
        ),
    ),
    cycles=(
        CycleSpec(
            name="dishwasher",
            total_kwh=886,
            cycle_kwh=2.3,
            profile=CANTEEN,
            working=(
                Peak(share=0.65, at_h=13.8, width_h=0.8),
                Peak(share=0.20, at_h=9.0, width_h=1.2),
                Peak(share=0.15, at_h=17.5, width_h=1.5),
            ),
            free=(Peak(share=1.0, at_h=12.0, width_h=2.5),),
            free_day_factor=0.03,
        ),
    ),
    evs=(
        EvSpec(
            name="ev",
            total_kwh=960,
            sessions=161,
            charger_kw=3.6,
            max_session_kwh=20.0,
            session_shape=1.1,
            working=(
                Peak(share=0.35, at_h=11.5, width_h=1.2),
                Peak(share=0.30, at_h=15.5, width_h=1.0),
                Peak(share=0.35, at_h=18.5, width_h=2.0),
            ),
            free=(Peak(share=1.0, at_h=15.0, width_h=3.0),),
            free_day_factor=0.5,
        ),
    ),
    fixed=(
        _plant("area_offices", 15_900, OFFICE, OFFICE_FREE, noise=0.25, max_kw=6.0),
        _plant("area_room_1", 5_930, OFFICE, OFFICE_FREE, noise=0.3, max_kw=5.7),
        _plant("area_room_2", 28_450, TWO_SHIFTS, (0.45,) * 24, noise=0.25, max_kw=9.1),
        _plant("area_room_3", 5_470, OFFICE, OFFICE_FREE, noise=0.4, max_kw=4.2),
        _plant(
            "area_room_4",
            42_400,
            TWO_SHIFTS,
            (0.02,) * 24,
            noise=0.5,
            on_probability=0.7,
            max_kw=29.7,
        ),
        _plant("compressor", 48_600, TWO_SHIFTS, (0.25,) * 24, noise=0.3, max_kw=15.5),
        _plant(
            "cooling_aggregate",
            66_800,
            FLAT_SHIFT,
            (0.5,) * 24,
            noise=0.6,
            per_c_cooling=0.35,
            max_kw=37.2,
        ),
        _plant(
            "cooling_pumps",
            178_800,
            FLAT_SHIFT,
            (0.8,) * 24,
            noise=0.1,
            per_c_cooling=0.01,
            max_kw=20.1,
        ),
        _plant(
            "machine_1",
            44_200,
            TWO_SHIFTS,
            (0.03,) * 24,
            noise=0.5,
            on_probability=0.75,
            max_kw=42.4,
        ),
        _plant(
            "machine_2", 135_000, FLAT_SHIFT, (0.85,) * 24, noise=0.1, day_noise=0.08, max_kw=23.6
        ),
        _plant(
            "machine_3", 216_500, FLAT_SHIFT, (0.80,) * 24, noise=0.15, day_noise=0.1, max_kw=50.6
        ),
        _plant("machine_4", 460, OFFICE, (0.02,) * 24, noise=0.6, on_probability=0.4, max_kw=2.3),
        _plant("machine_5", 4_110, OFFICE, (0.15,) * 24, noise=0.4, max_kw=8.3),
        _plant("ventilation", 194_500, TWO_SHIFTS, (0.35,) * 24, noise=0.2, max_kw=68.9),
        _fridge("refrigerator", 466),
    ),
)

RESIDENTIAL1 = BuildingSpec(
    name="DE_KN_residential1",
    kind="residential",
    start_utc="2015-05-21T16",
    last_utc="2017-03-12T23",
    load_rule="import+submetered",
    has_export_meter=False,
    base=_base(8_074, BUSY_HOME),
    pv=(
        PvSpec(
            name="pv",
            total_kwh=16_522,
            peak_kw=8.2,
            tilt_deg=30,
            azimuth_deg=165,
            horizon_deg=22,
            behind_import=False,
        ),
    ),
    cycles=(
        CycleSpec(
            name="dishwasher",
            total_kwh=268.6,
            cycle_kwh=0.95,
            profile=DISHWASHER,
            working=MORNING_NOON_EVENING,
            free=(
                Peak(share=0.45, at_h=10.0, width_h=1.3),
                Peak(share=0.30, at_h=14.0, width_h=1.2),
                Peak(share=0.25, at_h=20.0, width_h=1.3),
            ),
            free_day_factor=1.3,
        ),
        CycleSpec(
            name="washing_machine",
            total_kwh=320.3,
            cycle_kwh=0.80,
            profile=WASHING,
            working=LATE_MORNING,
            free=(Peak(share=1.0, at_h=11.5, width_h=2.2),),
        ),
    ),
    heat_pumps=(
        HeatPumpSpec(
            name="heat_pump",
            total_kwh=10_214,
            max_kw=4.0,
            hours=HEATING_R1,
            hot_water_hours=(5, 6),
            hot_water_share=0.12,
            behind_import=False,
        ),
    ),
    fixed=(_fridge("freezer", 433),),
)

RESIDENTIAL2 = BuildingSpec(
    name="DE_KN_residential2",
    kind="residential",
    start_utc="2015-04-01T09",
    last_utc="2018-02-03T11",
    load_rule="import",
    has_export_meter=False,
    base=_base(2_461, EVENING_HOME),
    cycles=(
        CycleSpec(
            name="dishwasher",
            total_kwh=596.4,
            cycle_kwh=1.18,
            profile=DISHWASHER,
            working=(
                Peak(share=0.65, at_h=19.2, width_h=0.9),
                Peak(share=0.35, at_h=12.0, width_h=2.2),
            ),
            free=(
                Peak(share=0.50, at_h=19.0, width_h=1.2),
                Peak(share=0.50, at_h=13.0, width_h=2.0),
            ),
            free_day_factor=1.2,
            standby_kw=0.0005,
        ),
        CycleSpec(
            name="washing_machine",
            total_kwh=428,
            cycle_kwh=0.75,
            profile=WASHING,
            working=(
                Peak(share=0.75, at_h=8.7, width_h=1.1),
                Peak(share=0.25, at_h=14.0, width_h=1.5),
            ),
            free=(
                Peak(share=0.80, at_h=9.7, width_h=1.2),
                Peak(share=0.20, at_h=15.0, width_h=2.0),
            ),
            free_day_factor=1.4,
        ),
    ),
    fixed=(_fridge("freezer", 140.5), _pump(868.8)),
)

RESIDENTIAL3 = BuildingSpec(
    name="DE_KN_residential3",
    kind="residential",
    start_utc="2014-12-11T18",
    last_utc="2018-09-25T11",
    load_rule="import+pv-export",
    has_export_meter=True,
    base=_base(3_800, EVENING_HOME),
    pv=(
        PvSpec(
            name="pv", total_kwh=13_674, peak_kw=3.8, tilt_deg=35, azimuth_deg=180, horizon_deg=14
        ),
    ),
    cycles=(
        CycleSpec(
            name="dishwasher",
            total_kwh=1_176,
            cycle_kwh=1.2,
            profile=DISHWASHER,
            working=(
                Peak(share=0.20, at_h=8.7, width_h=1.2),
                Peak(share=0.35, at_h=14.8, width_h=1.2),
                Peak(share=0.45, at_h=20.3, width_h=1.2),
            ),
            free=(
                Peak(share=0.20, at_h=10.0, width_h=1.2),
                Peak(share=0.45, at_h=14.8, width_h=1.3),
                Peak(share=0.35, at_h=20.3, width_h=1.4),
            ),
            standby_kw=0.003,
        ),
        CycleSpec(
            name="washing_machine",
            total_kwh=1_878.5,
            cycle_kwh=1.75,
            profile=LONG_WASHING,
            working=(
                Peak(share=0.35, at_h=7.2, width_h=1.2),
                Peak(share=0.40, at_h=13.5, width_h=2.5),
                Peak(share=0.25, at_h=19.0, width_h=1.5),
            ),
            free=(
                Peak(share=0.60, at_h=11.0, width_h=2.2),
                Peak(share=0.40, at_h=17.0, width_h=2.0),
            ),
        ),
    ),
    fixed=(_fridge("refrigerator", 553.4), _fridge("freezer", 366.3), _pump(1_777.3)),
)

RESIDENTIAL4 = BuildingSpec(
    name="DE_KN_residential4",
    kind="residential",
    start_utc="2015-10-10T17",
    last_utc="2018-02-04T22",
    load_rule="import+pv-export",
    has_export_meter=True,
    base=_base(7_952, BUSY_HOME, per_c_heating=0.12),
    pv=(PvSpec(name="pv", total_kwh=24_576, peak_kw=8.8, tilt_deg=30, azimuth_deg=205),),
    cycles=(
        CycleSpec(
            name="dishwasher",
            total_kwh=141.8,
            cycle_kwh=0.8,
            profile=DISHWASHER,
            working=(
                Peak(share=0.30, at_h=9.5, width_h=1.3),
                Peak(share=0.50, at_h=14.2, width_h=1.3),
                Peak(share=0.20, at_h=19.0, width_h=2.0),
            ),
            free=(
                Peak(share=0.65, at_h=13.5, width_h=1.5),
                Peak(share=0.35, at_h=19.5, width_h=1.8),
            ),
            free_day_factor=1.15,
        ),
        CycleSpec(
            name="washing_machine",
            total_kwh=158.4,
            cycle_kwh=0.75,
            profile=WASHING,
            working=LATE_MORNING,
            free=(Peak(share=1.0, at_h=12.0, width_h=2.2),),
            free_day_factor=1.1,
        ),
    ),
    evs=(
        EvSpec(
            name="ev",
            total_kwh=2_224,
            sessions=514,
            charger_kw=3.6,
            max_session_kwh=15.0,
            session_shape=2.3,
            working=(
                Peak(share=0.65, at_h=11.3, width_h=1.8),
                Peak(share=0.35, at_h=15.3, width_h=1.5),
            ),
            free=(
                Peak(share=0.55, at_h=11.0, width_h=1.6),
                Peak(share=0.45, at_h=15.8, width_h=1.8),
            ),
            free_day_factor=0.85,
        ),
    ),
    heat_pumps=(
        HeatPumpSpec(
            name="heat_pump",
            total_kwh=4_729,
            max_kw=2.66,
            hours=HEATING_R4,
            hot_water_hours=(6, 17),
            hot_water_share=0.08,
        ),
    ),
    fixed=(_fridge("refrigerator", 193.9), _fridge("freezer", 354.3)),
)

RESIDENTIAL5 = BuildingSpec(
    name="DE_KN_residential5",
    kind="residential",
    start_utc="2015-10-26T12",
    last_utc="2018-07-03T07",
    load_rule="import",
    has_export_meter=False,
    base=_base(5_599, EVENING_HOME),
    cycles=(
        CycleSpec(
            name="dishwasher",
            total_kwh=615.5,
            cycle_kwh=0.9,
            profile=DISHWASHER,
            working=(
                Peak(share=0.25, at_h=9.0, width_h=1.5),
                Peak(share=0.20, at_h=15.0, width_h=1.5),
                Peak(share=0.55, at_h=21.5, width_h=1.3),
            ),
            free=(
                Peak(share=0.45, at_h=11.0, width_h=1.8),
                Peak(share=0.55, at_h=21.5, width_h=1.4),
            ),
        ),
        CycleSpec(
            name="washing_machine",
            total_kwh=476.5,
            cycle_kwh=0.62,
            profile=WASHING,
            working=(
                Peak(share=0.60, at_h=8.2, width_h=1.4),
                Peak(share=0.40, at_h=14.5, width_h=2.2),
            ),
            free=(Peak(share=1.0, at_h=10.5, width_h=2.0),),
            free_day_factor=0.85,
        ),
    ),
    fixed=(_fridge("refrigerator", 603.8),),
)

RESIDENTIAL6 = BuildingSpec(
    name="DE_KN_residential6",
    kind="residential",
    start_utc="2015-10-24T18",
    last_utc="2018-04-08T22",
    load_rule="import+pv-export",
    has_export_meter=True,
    base=_base(10_900, EVENING_HOME),
    pv=(
        PvSpec(
            name="pv", total_kwh=20_495, peak_kw=7.7, tilt_deg=30, azimuth_deg=215, horizon_deg=14
        ),
    ),
    cycles=(
        CycleSpec(
            name="dishwasher",
            total_kwh=96.1,
            cycle_kwh=0.75,
            profile=DISHWASHER,
            working=(
                Peak(share=0.50, at_h=12.0, width_h=1.6),
                Peak(share=0.50, at_h=21.0, width_h=1.2),
            ),
            free=(
                Peak(share=0.60, at_h=13.0, width_h=1.6),
                Peak(share=0.40, at_h=20.5, width_h=1.4),
            ),
            free_day_factor=1.9,
        ),
        CycleSpec(
            name="washing_machine",
            total_kwh=78.6,
            cycle_kwh=0.5,
            profile=WASHING,
            working=(Peak(share=1.0, at_h=15.5, width_h=2.2),),
            free=(Peak(share=1.0, at_h=13.0, width_h=2.0),),
            free_day_factor=0.45,
        ),
    ),
    fixed=(_fridge("freezer", 146.7), _pump(950.7)),
    surplus_heater_kw=3.5,
)

CATALOGUE: tuple[BuildingSpec, ...] = (
    INDUSTRIAL3,
    RESIDENTIAL1,
    RESIDENTIAL2,
    RESIDENTIAL3,
    RESIDENTIAL4,
    RESIDENTIAL5,
    RESIDENTIAL6,
)
