"""Run Pipelines B and C as Azure ML jobs: look at them first, then submit them."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from common import ROOT, Parser, console, path, run

from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.deployment.config import AzureConfig

EPILOG = "pip install -r requirements-azure.txt first. How to: docs/cloud.md."
PIPELINES = ("B", "C", "both")


def parser() -> Parser:
    """The command line of this script."""
    p = Parser(__doc__ or "", EPILOG)
    p.add_argument(
        "--config", type=path, default=ROOT / "config.json", help="workspace and work (config.json)"
    )
    p.add_argument(
        "--pipeline",
        choices=PIPELINES,
        default="both",
        help="B learns and plans, C sweeps over the learning grid (both)",
    )
    p.add_argument(
        "--dry_run", action="store_true", help="show and validate the jobs; needs no network"
    )
    inside = p.add_argument_group("inside a job")
    inside.add_argument(
        "--publish", type=path, metavar="STORE", help="copy the runs of this MLflow file and end"
    )
    inside.add_argument(
        "--objective", metavar="METRIC", help="with --publish: what the sweep minimises"
    )
    return p


def main() -> None:
    """Show the jobs and submit them, or publish the runs of one."""
    args, out = parser().parse_args(), console()
    if args.publish is not None:
        publish(args, out)
        return
    if args.objective is not None:
        raise InvalidSpec("objective is only for --publish; the sweep has its own")
    from ems.deployment.config import read_config

    config = read_config(args.config)
    if not args.dry_run:
        config.require_address()
    deploy(args, config, out)


def publish(args: argparse.Namespace, out: Console) -> None:
    """Copy the runs of a finished pipeline to the workspace of this job."""
    from ems.deployment import publish as runs

    count = runs.publish(args.publish, runs.job_run(os.environ), args.objective)
    out.print(f"published {count} runs below the run of this job")


def deploy(args: argparse.Namespace, config: AzureConfig, out: Console) -> None:
    """Build, prove and show the jobs; without ``--dry_run`` submit them."""
    try:
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
            if args.pipeline in (name, "both")
        }
        for name, job in jobs.items():
            text = azure_jobs.render(job)
            if args.dry_run:
                out.print(f"# Pipeline {name}\n{text}", soft_wrap=True)
        if args.dry_run:
            tell_dry(out, config, image)
            return
        for name, job in jobs.items():
            out.print(f"submitted {name}: {azure_jobs.submit(job, config)}", soft_wrap=True)


def tell_dry(out: Console, config: AzureConfig, image: Path) -> None:
    """What would be sent, and what is still missing for that."""
    files = [file for file in image.rglob("*") if file.is_file()]
    size_kb = sum(file.stat().st_size for file in files) / 1000
    out.print(f"# valid; the image is built from {len(files)} files, {size_kb:.0f} kB")
    if config.placeholders:
        out.print(f"# to replace before submitting: {', '.join(config.placeholders)}")


if __name__ == "__main__":
    run(main)
