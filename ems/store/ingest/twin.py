"""The synthetic twin as a source of the store."""

from __future__ import annotations

from ems.store.ingest.dataset import BuildingData, Dataset
from ems.twin.generate import GENERATOR_VERSION, Twin, TwinBuilding, generate

DEFAULT_SEED = 7
LICENCE = (
    "CC0-1.0; synthetic. Totals and ranges follow the OPSD household data, "
    "DOI 10.25832/household_data/2020-04-15 (CC-BY-4.0)"
)


def twin_dataset(seed: int = DEFAULT_SEED, step_minutes: int = 60) -> Dataset:
    """The twin of this seed as a dataset; raises ``InvalidSpec`` for a bad seed or step."""
    return to_dataset(generate(seed, step_minutes))


def to_dataset(twin: Twin) -> Dataset:
    """A generated twin in the common form of the sources."""
    return Dataset(
        buildings=tuple(_building_data(building) for building in twin.buildings),
        prices=twin.prices,
        weather=twin.weather,
        meta={
            "source": "synthetic twin",
            "licence": LICENCE,
            "synthetic": "true",
            "seed": str(twin.seed),
            "step_minutes": str(twin.step_minutes),
            "generator_version": GENERATOR_VERSION,
        },
        true_pmf=twin.true_pmf,
    )


def _building_data(building: TwinBuilding) -> BuildingData:
    """The building under the store's name for the same fields."""
    return BuildingData(
        building=building.name,
        kind=building.kind,
        timezone=building.timezone,
        step_h=building.step_h,
        ts_utc=building.ts_utc,
        feeds=building.feeds,
        energy_kwh=building.energy_kwh,
        load_rule=building.load_rule,
    )
