"""The jobs are what Azure ML's own schema allows, and run what the image holds."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("azure.ai.ml", reason="pip install -r requirements-azure.txt")

import yaml
from deployment.test_image import copied

from ems.deployment import CloudError
from ems.deployment.azure_jobs import (
    APP,
    IMAGE_SOURCES,
    integrated_job,
    probability_sweep,
    render,
    stage_image,
    submit,
)
from ems.deployment.config import AzureConfig, read_config
from ems.errors import InvalidSpec

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stage_image(ROOT, tmp_path_factory.mktemp("image"))


@pytest.fixture
def config() -> AzureConfig:
    return changed(
        read_config(ROOT / "config.example.json"),
        subscription_id="01234567-89ab-cdef-0123-456789abcdef",
        resource_group="energy",
        workspace_name="homes",
        compute="cpu-cluster",
    )


def changed(config: AzureConfig, **values: Any) -> AzureConfig:
    return config.model_copy(update=values)


def shown(job: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(render(job))
    return found


def test_the_workspace_gets_what_the_image_is_built_from_and_no_more(image: Path) -> None:
    assert set(IMAGE_SOURCES) == {"Dockerfile", *copied()}
    assert {file.name for file in image.iterdir()} == set(IMAGE_SOURCES)
    sent = {file.suffix for file in image.rglob("*") if file.is_file()}
    assert sent <= {"", ".py", ".pyi", ".typed", ".txt", ".sql", ".toml", ".j2"}


def test_pipeline_b_is_a_command_job(config: AzureConfig, image: Path) -> None:
    job = shown(integrated_job(config, image))
    assert (job["type"], job["compute"]) == ("command", "azureml:cpu-cluster")
    assert job["experiment_name"] == "ems-learning"
    assert job["environment"]["build"] == {"dockerfile_path": "Dockerfile", "path": str(image)}
    assert job["limits"] == {"timeout": 7200}
    assert "02_integrated_pipeline.py --building DE_KN_residential4 --n_days 60" in job["command"]
    assert job["command"].endswith("--publish outputs/mlflow.db")


def test_pipeline_c_sweeps_over_the_whole_grid(config: AzureConfig, image: Path) -> None:
    job = shown(probability_sweep(changed(config, device="ev"), image))
    assert (job["type"], job["sampling_algorithm"]) == ("sweep", "grid")
    assert job["objective"] == {"goal": "minimize", "primary_metric": "log_loss_bits"}
    assert job["search_space"] == {
        "lr_tau": {"type": "choice", "values": [5, 10, 20, 30, 50]},
        "lr_max": {"type": "choice", "values": [0.05, 0.1, 0.15, 0.2]},
    }
    assert job["limits"]["max_total_trials"] == 20
    assert job["limits"]["max_concurrent_trials"] == 4
    run = job["trial"]["command"]
    for part in ("tau_values ${{search_space.lr_tau}}", "max_values ${{search_space.lr_max}}"):
        assert part in run
    assert "--target_device ev " in run
    assert run.endswith("--publish outputs/mlflow.db --objective log_loss_bits")


def test_a_data_asset_takes_the_place_of_the_twin(config: AzureConfig, image: Path) -> None:
    real = changed(config, database="azureml:meters:3")
    for build in (integrated_job, probability_sweep):
        text = render(build(real, image))
        job = yaml.safe_load(text)
        assert job["inputs"]["database"]["path"] == "azureml:meters:3"
        assert "--db ${{inputs.database}} " in job.get("command", "") + str(job.get("trial"))
        assert "build_duckdb" not in text
        assert "build_duckdb.py --db twin.duckdb && " in render(build(config, image))


def test_the_image_understands_every_command(config: AzureConfig, image: Path) -> None:
    """Each script is called as the job calls it, with a database that is not there."""
    for build in (integrated_job, probability_sweep):
        job = shown(build(config, image))
        text = job.get("command") or job["trial"]["command"]
        text = re.sub(r"\$\{\{search_space\.(\w+)\}\}", "0.1", text)
        for step in text.split(" && ")[1:]:
            python, script, *args = shlex.split(step)
            assert python == "python"
            file = image / Path(script).relative_to(APP)
            done = subprocess.run(
                [sys.executable, str(file), *args],
                capture_output=True,
                text=True,
                check=False,
                cwd=image.parent,
            )
            assert done.returncode == 2
            assert re.search(r"twin.duckdb|TRACKING_URI|no MLflow file", done.stderr), done.stderr
            assert "unrecognized" not in done.stderr


def test_a_job_that_breaks_the_schema_is_refused(config: AzureConfig, image: Path) -> None:
    job = integrated_job(config, image)
    job.command = "python ${{inputs.nothing}}"
    with pytest.raises(InvalidSpec, match=r"the job is not valid: .*nothing"):
        render(job)
    job = probability_sweep(config, image)
    job.objective.goal = "be happy"
    with pytest.raises(InvalidSpec, match=r"the job is not valid: .*'be happy'"):
        render(job)
    job = probability_sweep(config, image)
    job.trial.environment = None
    with pytest.raises(InvalidSpec, match=r"SweepJobSchema failed: .*environment.*Missing data"):
        render(job)


def test_without_credentials_one_line_says_so(
    config: AzureConfig, image: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("PATH", "")  # no az
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    with pytest.raises(CloudError, match="no Azure credentials: run `az login`"):
        submit(integrated_job(config, image), config)
    assert capfd.readouterr() == ("", "")


def test_a_placeholder_is_never_submitted(config: AzureConfig, image: Path) -> None:
    with pytest.raises(InvalidSpec, match="workspace_name still hold a placeholder"):
        submit(integrated_job(config, image), changed(config, workspace_name="<yours>"))
