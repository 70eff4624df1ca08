"""Energies and plannable days read back from the figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report.figures.made import TWIN, all_text, portfolio_row

from ems.errors import InvalidSpec
from ems.report.figures.buildings import energies_by_building
from ems.store.build import build_database
from ems.store.ingest.meter import read_meter

ROOT = Path(__file__).resolve().parents[3]


def test_energies_shares_and_reasons_are_those_of_the_building() -> None:
    rows = [portfolio_row("a"), portfolio_row("b", load_kwh=900.0, pv_kwh=0.0)]
    figure = energies_by_building(rows, origin=TWIN)
    energy, days = figure.axes
    dots = {line.get_label(): line.get_xdata() for line in energy.lines}
    np.testing.assert_array_equal(dots["load (where known)"], [7000.0, 900.0])
    np.testing.assert_array_equal(dots["import"], [5600.0, 720.0])
    np.testing.assert_array_equal(dots["PV"], [9000.0, np.nan])
    np.testing.assert_array_equal(dots["export"], [4500.0, np.nan])
    low, high = energy.get_xlim()
    assert low < 720.0 < 9000.0 < high
    shares = [bar.get_width() for bar in days.patches if bar.get_gid() == "plannable"]
    assert shares == pytest.approx([100.0 * 1012 / 1385] * 2)
    text = " ".join(all_text(figure).replace("\N{NO-BREAK SPACE}", " ").split())
    for said in ("not annual", "1,012 of 1,385", "grid import out of service: 500 d"):
        assert said in text
    assert "PV roof out of service: 499 d" in text
    assert "freezer" not in text  # this load rule does not need it


def test_a_single_energy_still_has_a_labelled_tick_in_sight() -> None:
    for kwh in np.geomspace(1.0, 9.9, 12):
        row = portfolio_row("a", load_kwh=kwh, pv_kwh=0.0)
        ax = energies_by_building([row], origin=TWIN).axes[0]
        low, high = ax.get_xlim()
        assert any(low <= tick <= high for tick in ax.get_xticks())


def test_no_building_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no buildings"):
        energies_by_building([], origin=TWIN)


def test_figure_and_documents_count_the_days_of_the_example_meter_alike(tmp_path: Path) -> None:
    """Its first row ends at midnight, so that its record touches one day more than it fills."""
    database = tmp_path / "my_home.duckdb"
    (row,) = build_database(read_meter(ROOT / "docs/own_meter/meter.toml"), database).portfolio
    text = all_text(energies_by_building([row], origin=TWIN))
    assert f"residential, {row.days} days" in text
    assert f"{row.plannable_days} of {row.days}" in text
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{row.days} days, of which {row.plannable_days} can be planned" in readme
    sources = " ".join((ROOT / "docs/sources.md").read_text(encoding="utf-8").split())
    assert f"the example has {row.days} days, {row.plannable_days} of them plannable" in sources
