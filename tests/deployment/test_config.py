"""A configuration says what is wrong with it before anything else happens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.deployment.config import ADDRESS, AzureConfig, read_config
from ems.errors import InvalidSpec

EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.json"
GOOD: dict[str, Any] = {
    **json.loads(EXAMPLE.read_text(encoding="utf-8")),
    "subscription_id": "01234567-89ab-cdef-0123-456789abcdef",
    "resource_group": "energy",
    "workspace_name": "homes",
    "compute": "cpu-cluster",
}


def written(folder: Path, **changed: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(GOOD | changed), encoding="utf-8")
    return file


def test_the_example_names_every_field_and_no_real_workspace() -> None:
    config = read_config(EXAMPLE)
    assert set(json.loads(EXAMPLE.read_text(encoding="utf-8"))) == set(AzureConfig.model_fields)
    assert config.placeholders == (*ADDRESS, "compute")
    assert config.n_trials == 20
    says = "subscription_id, resource_group, workspace_name, compute still hold a placeholder"
    with pytest.raises(InvalidSpec, match=says):
        config.require_address()


def test_a_filled_in_config_may_be_submitted(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, device="ev", database="azureml:meters:3"))
    config.require_address()
    assert (config.placeholders, config.device, config.database) == ((), "ev", "azureml:meters:3")
    assert config.lr_tau_values == (5, 10, 20, 30, 50)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("subscription_id", "mine", "a GUID"),
        ("subscription_id", None, "a GUID"),
        ("resource_group", "a b", "letters, digits and . _ - ( )"),
        ("workspace_name", "x", "3 to 33"),
        ("compute", 4, "2 to 32 letters"),
        ("building", "home; rm -rf /", "letters, digits and . _ -"),
        ("building", "", "letters"),
        ("device", "$(date)", "or null for all"),
        ("device", ["ev"], "or null for all"),
        ("database", "meters.duckdb", "azureml:NAME:VERSION"),
        ("database", "azureml:a && b", "azureml:NAME:VERSION"),
        ("n_days", 0, "a whole number 1 to 36500"),
        ("n_days", 1.5, "a whole number"),
        ("n_days", True, "a whole number"),
        ("max_concurrent_trials", -1, "a whole number 1 to 1000"),
        ("lr_tau_values", [], "numbers above 0"),
        ("lr_tau_values", 5, "in brackets"),
        ("lr_tau_values", [5, "x"], "numbers above 0"),
        ("lr_tau_values", [5, 5.0], "name each once"),
        ("lr_max_values", [1.2], "up to 1"),
        ("lr_max_values", [False], "numbers above 0"),
        ("timeout_h", 0, "a number above 0"),
        ("timeout_h", float("nan"), "a number above 0"),
    ],
)
def test_what_a_field_may_not_be(tmp_path: Path, field: str, value: Any, allowed: str) -> None:
    file = written(tmp_path, **{field: value})
    with pytest.raises(InvalidSpec, match=re.escape(allowed)) as caught:
        read_config(file)
    assert str(caught.value).startswith(f"config {file}")
    assert field in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_and_missing_fields_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="unknown key 'gpu', known are subscription_id, "):
        read_config(written(tmp_path, gpu=1))
    file = tmp_path / "config.json"
    file.write_text(json.dumps({k: v for k, v in GOOD.items() if k != "compute"}))
    with pytest.raises(InvalidSpec, match="compute is missing, expected 2 to 32 letters"):
        read_config(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"compute": "cpu",\n oops}', r"no JSON: .* in line 2, column 2"),
        (b"[1]", "expected an object"),
        (b"\xff", "not UTF-8"),
        (b"", "no JSON: .* line 1"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, text: bytes, says: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(text)
    with pytest.raises(InvalidSpec, match=says):
        read_config(file)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"No such file.*copy config\.example\.json"):
        read_config(tmp_path / "none.json")
    with pytest.raises(InvalidSpec, match="Is a directory"):
        read_config(tmp_path)


def test_a_grid_beyond_what_azure_starts_is_refused(tmp_path: Path) -> None:
    taus = [float(i) for i in range(1, 252)]
    with pytest.raises(InvalidSpec, match="grid: 1004 trials, allowed are at most 1000"):
        read_config(written(tmp_path, lr_tau_values=taus))


@given(text=st.text())
def test_a_text_that_is_taken_can_go_into_a_shells_command(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    for field in ("building", "device", "database", "compute", "experiment_name"):
        try:
            read_config(written(tmp_path_factory.mktemp("any"), **{field: text}))
        except InvalidSpec:
            continue
        assert re.fullmatch(r"[A-Za-z0-9_./:@-]*|<[^<>]*>", text)
