"""Pipelines B and C as Azure ML jobs: the only importer of ``azure``.

A job is built, written as YAML for Azure ML's command line and read back through the SDK's schema
(``render``), all without network access. What is submitted is what was shown.

The workspace builds the image from the ``Dockerfile``; it contains all code, so nothing else is
uploaded. A job leaves its results in its ``outputs`` folder, which Azure ML keeps, and copies its
runs to the workspace's MLflow (see ``publish``).
"""

from __future__ import annotations

import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from azure.ai.ml import Input, MLClient, command, load_job
from azure.ai.ml.entities import BuildContext, Environment
from azure.ai.ml.exceptions import MlException, ValidationException
from azure.ai.ml.sweep import Choice
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import DefaultAzureCredential
from marshmallow import ValidationError

from ems.deployment import CloudError
from ems.deployment.config import AzureConfig
from ems.errors import InvalidSpec

IMAGE_SOURCES = ("Dockerfile", "requirements.txt", "ems", "scripts")
"""Sources of the ``Dockerfile``; only these are sent to the workspace."""

APP = "/app"
"""Path of the code in the image."""

OBJECTIVE = "log_loss_bits"
"""What a sweep minimises [bit per start]: the mean over the devices of a trial."""

_SCOPE = "https://management.azure.com/.default"
_NOT_SENT = ("__pycache__", "*.pyc", "*.duckdb*")


def stage_image(root: Path, folder: Path) -> Path:
    """Copy the sources of the image into ``folder``; returns it."""
    for name in IMAGE_SOURCES:
        source, target = root / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_NOT_SENT))
        else:
            shutil.copyfile(source, target)
    return folder


def integrated_job(config: AzureConfig, image: Path) -> Any:
    """Pipeline B: learn habits, plan with them, and show the cost of comfort."""
    run = _script(
        "02_integrated_pipeline.py",
        f"--building {config.building} --n_days {config.n_days} {_stores(config)}",
    )
    steps = [*_twin(config), run, _publish()]
    job = command(
        command=" && ".join(steps),
        inputs=_inputs(config),
        timeout=_seconds(config),
        **_common(config, image, f"ems B {config.building}"),
    )
    # Converted now, so that `render` shows what `submit` sends.
    return job._to_job()


def probability_sweep(config: AzureConfig, image: Path) -> Any:
    """Pipeline C: one trial for each cell of the learning grid, all cells."""
    device = "" if config.device is None else f"--target_device {config.device} "
    run = _script(
        "03_probability_learning_optimization.py",
        # Four braces become two in an f-string; Azure ML replaces ${{…}}.
        f"--building {config.building} {device}--lr_tau_values ${{{{inputs.lr_tau}}}} "
        f"--lr_max_values ${{{{inputs.lr_max}}}} --figures off {_stores(config)}",
    )
    steps = [*_twin(config), run, _publish(f" --objective {OBJECTIVE}")]
    # The SDK wants a value before it accepts a choice; the sweep replaces it.
    cell = {"lr_tau": config.lr_tau_values[0], "lr_max": config.lr_max_values[0]}
    common = _common(config, image, f"ems C {config.building}")
    trial = command(command=" && ".join(steps), inputs={**_inputs(config), **cell}, **common)
    chosen = trial(
        lr_tau=Choice(list(config.lr_tau_values)), lr_max=Choice(list(config.lr_max_values))
    )
    sweep = chosen.sweep(primary_metric=OBJECTIVE, goal="minimize", sampling_algorithm="grid")
    sweep.compute = config.compute
    sweep.experiment_name = config.experiment_name
    sweep.display_name = common["display_name"]
    sweep.set_limits(
        max_total_trials=config.n_trials,
        max_concurrent_trials=min(config.max_concurrent_trials, config.n_trials),
        timeout=_seconds(config),
        trial_timeout=_seconds(config),
    )
    return sweep._to_job()


def render(job: Any) -> str:
    """The job as YAML, verified by reading it back through the SDK's schema; no network access.

    Raises ``InvalidSpec`` with the SDK's error.
    """
    with _one_line("the job is not valid"), _quiet():
        job._to_rest_object()  # resolves every ${{…}} of the command
        text = io.StringIO()
        job.dump(text)
        read = load_job(io.StringIO(text.getvalue()))
        if read.type != job.type:
            raise InvalidSpec(f"the job is not valid: a {job.type} reads back as a {read.type}")
    return text.getvalue()


def submit(job: Any, config: AzureConfig) -> str:
    """Send the job to the workspace; returns the address of its page.

    Raises ``InvalidSpec`` for placeholders, ``CloudError`` without credentials or network.
    """
    config.require_address()
    with _quiet():
        credential = DefaultAzureCredential()
        try:
            # Asked for first: the client would only fail later, with a longer message.
            credential.get_token(_SCOPE)
            client = MLClient(
                credential,
                config.subscription_id,
                config.resource_group,
                config.workspace_name,
                enable_telemetry=False,
            )
            return str(client.jobs.create_or_update(job).studio_url)
        except ClientAuthenticationError as error:
            raise CloudError(
                "no Azure credentials: run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
                "AZURE_CLIENT_SECRET"
            ) from error
        except (AzureError, MlException) as error:
            raise CloudError(
                f"workspace {config.workspace_name}: {_first_line(error)}; check the config, your "
                "rights and the network"
            ) from error


def _common(config: AzureConfig, image: Path, title: str) -> dict[str, Any]:
    return {
        "display_name": title,
        "experiment_name": config.experiment_name,
        "compute": config.compute,
        "environment": Environment(
            build=BuildContext(path=str(image), dockerfile_path="Dockerfile")
        ),
    }


def _inputs(config: AzureConfig) -> dict[str, Any]:
    if config.database is None:
        return {}
    return {"database": Input(type="uri_file", path=config.database, mode="download")}


def _twin(config: AzureConfig) -> list[str]:
    """The step that builds the synthetic database if none is given."""
    return [_script("build_duckdb.py", "--db twin.duckdb")] if config.database is None else []


def _stores(config: AzureConfig) -> str:
    database = "twin.duckdb" if config.database is None else "${{inputs.database}}"
    return f"--db {database} --results outputs/results --tracking_uri sqlite:///outputs/mlflow.db"


def _publish(more: str = "") -> str:
    return _script("deploy_learning_pipeline.py", f"--publish outputs/mlflow.db{more}")


def _script(name: str, arguments: str) -> str:
    return f"python {APP}/scripts/{name} {arguments}"


def _seconds(config: AzureConfig) -> int:
    return round(config.timeout_h * 3600)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    try:
        yield
    except (ValidationError, ValidationException) as error:
        raise InvalidSpec(f"{what}: {' '.join(str(error).split())}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the SDK, which prints hints and logs what it also raises."""
    loggers = [logging.getLogger(name) for name in ("azure", "azure.identity", "azure.ai.ml")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
