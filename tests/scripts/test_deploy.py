"""``scripts/deploy_learning_pipeline.py`` as a person would call it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from called_script import ROOT, Done, in_process, one_line

EXAMPLE = ROOT / "config.example.json"
AZURE = importlib.util.find_spec("azure") is not None and importlib.util.find_spec("azure.ai.ml")
needs_azure = pytest.mark.skipif(not AZURE, reason="pip install -r requirements-azure.txt")


def call(folder: Path, *args: str, **environment: str) -> Done:
    with pytest.MonkeyPatch.context() as patch:
        for name, text in environment.items():
            patch.setenv(name, text)
        return in_process("deploy_learning_pipeline.py", *args, cwd=folder)


def filled(folder: Path) -> str:
    """The example with a workspace of nobody."""
    config = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    config |= {
        "subscription_id": "01234567-89ab-cdef-0123-456789abcdef",
        "resource_group": "energy",
        "workspace_name": "homes",
        "compute": "cpu-cluster",
    }
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--config", "none.json"), r"config none\.json: No such file.*copy config\.example\.json"),
        (("--config", str(EXAMPLE)), "subscription_id, .*, compute still hold a placeholder"),
        (("--config", str(EXAMPLE), "--objective", "x"), "objective is only for --publish"),
        (("--publish", "mlflow.db"), "MLFLOW_TRACKING_URI, .* not set; this step runs inside"),
    ],
)
def test_bad_input_takes_one_line(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    one_line(call(tmp_path, *args), says)


def test_without_the_sdk_one_line_says_what_to_install(tmp_path: Path) -> None:
    if AZURE:  # hide it
        (tmp_path / "azure.py").write_text("")
    done = call(tmp_path, "--config", filled(tmp_path), PYTHONPATH=str(tmp_path))
    one_line(done, r"azure\S* is not installed: pip install -r requirements-azure\.txt")


@needs_azure
def test_a_dry_run_shows_both_jobs_without_a_workspace(tmp_path: Path) -> None:
    done = call(tmp_path, "--config", str(EXAMPLE), "--dry_run")
    assert (done.code, done.err) == (0, "")
    assert re.findall(r"(?m)^type: (\w+)", done.out) == ["command", "sweep"]
    assert "# valid; the image is built from" in done.out
    assert "# to replace before submitting: subscription_id, resource_group" in done.out
    only_b = call(tmp_path, "--config", filled(tmp_path), "--dry_run", "--pipeline", "B")
    assert re.findall(r"(?m)^type: (\w+)", only_b.out) == ["command"]
    assert "to replace" not in only_b.out


@needs_azure
def test_without_credentials_one_line_says_so(tmp_path: Path) -> None:
    alone = {"PATH": str(tmp_path), "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}
    one_line(call(tmp_path, "--config", filled(tmp_path), **alone), "no Azure credentials: run")
