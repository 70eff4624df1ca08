from __future__ import annotations

import numpy as np
import pytest

from ems.errors import InvalidSpec
from ems.store.ingest.twin import to_dataset, twin_dataset
from ems.store.metering import with_metering
from ems.store.quality import judge
from ems.twin.catalogue import CATALOGUE
from ems.twin.generate import generate


def test_the_dataset_carries_the_twin_and_says_that_it_is_synthetic() -> None:
    twin = generate(5, 15, catalogue=(CATALOGUE[2], CATALOGUE[4]))  # residential2 and 4
    dataset = to_dataset(twin)
    assert dataset.meta["synthetic"] == "true"
    assert dataset.meta["source"] == "synthetic twin"
    assert dataset.meta["seed"] == "5"
    assert dataset.meta["step_minutes"] == "15"
    assert all(isinstance(value, str) for value in dataset.meta.values())
    assert list(dataset.prices) == ["zone", "ts_utc", "step_h", "eur_per_mwh"]
    assert list(dataset.weather)[:4] == ["site", "ts_utc", "temperature_c", "ghi_w_per_m2"]
    for data, made in zip(dataset.buildings, twin.buildings, strict=True):
        assert data.building == made.name
        assert data.step_h == 0.25
        assert data.ts_utc.dtype == np.dtype("datetime64[s]")
        assert set(data.energy_kwh) == {f.name for f in data.feeds}


def test_a_heat_pump_and_pv_apart_from_the_import_meter_are_said_so() -> None:
    data = next(b for b in twin_dataset().buildings if b.building == "DE_KN_residential1")
    apart = {feed.name for feed in data.feeds if not feed.behind_import}
    assert apart == {"heat_pump", "pv"}
    assert data.load_rule == "import+submetered"


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="step_minutes = 5"):
        twin_dataset(step_minutes=5)


@pytest.mark.parametrize("step_minutes", [15, 60])
def test_the_rules_for_real_meters_find_nothing_wrong(step_minutes: int) -> None:
    """But what the rule for copied days lets happen by chance: about one run a feed."""
    for data in twin_dataset(seed=3, step_minutes=step_minutes).buildings:
        findings = judge(data).findings
        assert {finding.rule for finding in findings} <= {"copied day"}
        assert sum(finding.days for finding in findings) <= len(data.feeds)


@pytest.mark.parametrize("step_minutes", [15, 60])
def test_its_metering_is_what_the_evidence_says(step_minutes: int) -> None:
    for data in twin_dataset(seed=3, step_minutes=step_minutes).buildings:
        decided = with_metering(data)
        assert decided.load_rule == data.load_rule
        assert decided.feeds == data.feeds
