"""docs/model.md says what the code does: the names of its rules and its defaults."""

from __future__ import annotations

import ast
import inspect
import re

import pytest
from documents import ROOT

from ems.agents import BatteryAgent, EVAgent, GridAgent
from ems.core.solver import Solver
from ems.economics.tariff_file import load_tariff
from ems.pipelines.perfect import AHEAD_H, PIECE_DAYS
from ems.pipelines.spec import ComparisonSpec, IntegratedSpec
from ems.site.assets import Assets, EVSpec
from ems.site.detection import CHARGER_SIZES_KW

TEXT = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
RULES, _, DEFAULTS = TEXT.partition("## Defaults")
BATTERY, CAR, ASSETS = BatteryAgent(), EVSpec(), Assets()
COMPARED = ComparisonSpec(tariff=load_tariff("dynamic"))


def rules_in_the_code() -> set[str]:
    """The name of every rule that an agent writes; what is counted is ``…``."""
    found = {"balance"}
    for file in (ROOT / "ems" / "agents").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "require":
                name = ast.unparse(node.args[0]).removeprefix("f").strip("'\"")
                found.add(re.sub(r"\{.*\}", "…", name))
    return found


def test_every_rule_is_explained_and_no_other() -> None:
    named = {re.sub(r"_(k|MM_DD_HHhMM)$", "_…", name) for name in re.findall(r"`(\w+)`", RULES)}
    others = {"dynamic", "flat", "tou", "spot"}
    assert named - others == rules_in_the_code()


def default(row: str) -> str:
    (found,) = re.findall(rf"^\| {re.escape(row)} \| (.*?) \|", DEFAULTS, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            "battery",
            f"{BATTERY.capacity_kwh:g} kWh, {BATTERY.max_charge_kw:g} kW each way, starts and ends "
            f"at {BATTERY.initial_soc_kwh:g} kWh",
        ),
        ("time limit", f"{Solver().time_limit_s:g} s a solve"),
        ("battery efficiency", f"{BATTERY.round_trip_efficiency} round trip, η = √0.95 each way"),
        ("wear", f"{BATTERY.wear_eur_per_kwh} €/kWh of throughput (charge + discharge)"),
        (
            "ageing by time",
            f"{BATTERY.calendar_eur_per_kwh_a:g} €/kWh of capacity and year",
        ),
        (
            "EV battery, efficiency",
            f"{CAR.capacity_kwh:g} kWh, {CAR.efficiency} one way, V2G off",
        ),
        (
            "EV charger",
            "metered car: the smallest of "
            f"{', '.join(f'{kw:g}' for kw in CHARGER_SIZES_KW)} kW that covers its meter; "
            f"otherwise {CAR.max_charge_kw:g} kW",
        ),
        (
            "EV use",
            f"metered car: see below; otherwise {CAR.trip_kwh:g} kWh a day, home from "
            f"{CAR.arrival_hour} h to {CAR.must_be_full_by_hour} h",
        ),
        ("EV deadline", f"full by {CAR.must_be_full_by_hour}:00"),
        (
            "house with a heat pump",
            "loss fitted to its meter and the outdoor temperature; time constant "
            f"{ASSETS.heat.time_constant_h:g} h, up to {ASSETS.heat.warmer_k:g} K warmer than "
            "metered",
        ),
        ("discomfort of moving a start", f"{ASSETS.shift_discomfort_eur_per_h} € an hour"),
        (
            "weights of a habit, Pipeline B",
            f"{', '.join(f'{w:g}' for w in IntegratedSpec.weights_eur)} € a start",
        ),
        ("look-ahead", f"{COMPARED.lookahead_h:g} h"),
        ("phase", f"{COMPARED.phase_h:g} h from local midnight"),
        ("piece of the perfect plan", f"{PIECE_DAYS} days, {AHEAD_H:g} h of look-ahead"),
        ("MIP gap", f"1e-9 relative, {Solver().mip_gap_eur:.0e} € absolute".replace("e-0", "e-")),
    ],
)
def test_the_defaults_are_those_of_the_code(row: str, says: str) -> None:
    assert default(row) == says


def test_what_has_no_number_in_the_table_is_off() -> None:
    assert Solver().mip_gap == 1e-9
    assert GridAgent() == GridAgent(max_import_kw=float("inf"), max_export_kw=float("inf"))
    assert GridAgent().demand_charge_eur_per_kw == 0
    assert CAR.max_discharge_kw == 0
    assert BATTERY.terminal_value_eur_per_kwh == 0
    assert not ASSETS.curtailable_pv
    assert inspect.signature(EVAgent).parameters["efficiency"].default == CAR.efficiency
