"""Run Pipelines B and C as Azure ML jobs: look at them first, then submit them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from command_line import PathName, command, option, parsed
from console import ROOT, console, doing, run

from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.deployment.config import AzureConfig

EPILOG = "pip install -r requirements-azure.txt first. How to: docs/cloud.md."


@command
class Options:
    """The command line of this script."""

    config: PathName = option("workspace and work, as config.example.json", ROOT / "config.json")
    pipeline: Literal["B", "C", "both"] = option(
        "B learns and plans, C sweeps over the learning grid", "both"
    )
    dry_run: bool = option("show and validate the jobs; needs no network", False)
    publish: PathName | None = option(
        "inside a job: copy the runs of this MLflow file and end", None
    )
    objective: str | None = option("with --publish: the metric that the sweep minimises", None)


def main() -> None:
    """Show the jobs and submit them, or publish the runs of one."""
    asked, out = parsed(Options, __doc__, EPILOG, config=False), console()
    if asked.publish is not None:
        publish(asked, out)
        return
    if asked.objective is not None:
        raise InvalidSpec("objective is only for --publish; the sweep has its own")
    from ems.deployment.config import read_config

    config = read_config(asked.config)
    # A dry run may hold placeholders; nothing is sent.
    if not asked.dry_run:
        config.require_address()
    deploy(asked, config, out)


def publish(asked: Options, out: Console) -> None:
    """Copy the runs of a finished pipeline to this job's workspace."""
    from ems.deployment import publish as runs

    count = runs.publish(asked.publish, runs.job_run(os.environ), asked.objective)
    out.print(f"published {count} runs below the run of this job")


def deploy(asked: Options, config: AzureConfig, out: Console) -> None:
    """Build, validate and show the jobs; submit them without ``--dry_run``."""
    try:
        with doing(out, "# loading the Azure SDK"):
            from ems.deployment import azure_jobs
    except ModuleNotFoundError as error:
        raise InvalidSpec(
            f"{error.name} is not installed: pip install -r requirements-azure.txt"
        ) from error
    with tempfile.TemporaryDirectory(prefix="ems-image-") as folder:
        image = azure_jobs.stage_image(ROOT, Path(folder))
        jobs = {
            name: build(config, image)
            for name, build in (
                ("B", azure_jobs.integrated_job),
                ("C", azure_jobs.probability_sweep),
            )
            if asked.pipeline in (name, "both")
        }
        # All are validated before the first is submitted.
        for name, job in jobs.items():
            text = azure_jobs.render(job)
            if asked.dry_run:
                out.print(f"# Pipeline {name}\n{text}", soft_wrap=True)
        if asked.dry_run:
            tell_dry(out, config, image)
            return
        for name, job in jobs.items():
            out.print(f"submitted {name}: {azure_jobs.submit(job, config)}", soft_wrap=True)


def tell_dry(out: Console, config: AzureConfig, image: Path) -> None:
    """What would be sent, and what is still missing."""
    files = [file for file in image.rglob("*") if file.is_file()]
    size_kb = sum(file.stat().st_size for file in files) / 1000
    out.print(f"# valid; the image is built from {len(files)} files, {size_kb:.0f} kB")
    if config.placeholders:
        out.print(f"# to replace before submitting: {', '.join(config.placeholders)}")


if __name__ == "__main__":
    run(main)
