"""The feeder against a power-flow library that grid operators use."""

from __future__ import annotations

import numpy as np
import pytest
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    LoadGenType,
    PowerGridModel,
    initialize_array,
)

from ems.market.feeder import BARAN_WU_33, power_flow, read_feeder


@pytest.mark.parametrize("scale", [1.0, 0.5, -0.7])
def test_power_grid_model_finds_the_same_voltages(scale: float) -> None:
    net, p_pu, q_pu = read_feeder(BARAN_WU_33)
    n, volt, watt = len(p_pu), 1000 * net.base_kv, 1000 * net.base_kva
    node = initialize_array(DatasetType.input, ComponentType.node, n + 1)
    node["id"], node["u_rated"] = np.arange(n + 1), volt
    line = initialize_array(DatasetType.input, ComponentType.line, n)
    line["id"] = 100 + np.arange(n)
    line["from_node"], line["to_node"] = net.upstream + 1, np.arange(1, n + 1)
    line["from_status"] = line["to_status"] = 1
    ohm = volt**2 / watt
    line["r1"], line["x1"], line["c1"], line["tan1"] = net.r_pu * ohm, net.x_pu * ohm, 0.0, 0.0
    load = initialize_array(DatasetType.input, ComponentType.sym_load, n)
    load["id"], load["node"], load["status"] = 200 + np.arange(n), np.arange(1, n + 1), 1
    load["type"] = LoadGenType.const_power
    load["p_specified"], load["q_specified"] = scale * p_pu * watt, scale * q_pu * watt
    source = initialize_array(DatasetType.input, ComponentType.source, 1)
    source["id"], source["node"], source["status"], source["u_ref"] = 300, 0, 1, 1.0
    source["sk"] = 1e20
    model = PowerGridModel(
        {
            ComponentType.node: node,
            ComponentType.line: line,
            ComponentType.sym_load: load,
            ComponentType.source: source,
        }
    )
    theirs = model.calculate_power_flow(
        symmetric=True,
        error_tolerance=1e-10,
        calculation_method=CalculationMethod.newton_raphson,
    )
    ours = power_flow(net, scale * p_pu, scale * q_pu)
    np.testing.assert_allclose(theirs[ComponentType.node]["u_pu"][1:], ours.voltage_pu, atol=1e-7)
    lost_kw = (theirs[ComponentType.line]["p_from"] + theirs[ComponentType.line]["p_to"]) / 1000
    np.testing.assert_allclose(lost_kw, ours.loss_kw, atol=1e-3)
