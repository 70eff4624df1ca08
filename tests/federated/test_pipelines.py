"""``--forecaster lstm``: the loads of a plan by a network, all else by the learned models."""

from __future__ import annotations

import importlib.util
from datetime import date

import pytest
from small_building import local_index, made

import ems.extras
from ems.economics.tariff_file import load_tariff
from ems.extras import MissingLibrary
from ems.federated.load import NetworkLoad
from ems.forecast.pv import LearnedPV
from ems.pipelines.forecasting import models_for
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building

LSTM = ComparisonSpec(tariff=load_tariff("flat"), foresight="forecast", forecaster="lstm")


def house() -> Building:
    history = made(local_index(date(2016, 3, 1), 3))
    return Building(history, load_tariff("flat"), Assets(ev=None))


def test_the_network_forecasts_loads_alone() -> None:
    models = models_for(house(), LSTM)
    assert isinstance(models.load, NetworkLoad)
    assert isinstance(models.pv, LearnedPV)


def test_without_torch_one_line_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        ems.extras, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    with pytest.raises(MissingLibrary, match=r"pip install -r requirements-learning\.txt"):
        models_for(house(), LSTM)
