"""The whole compliance run, result by result, and its table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compliance.rules import rules
from compliance.runs import CHECKS, build_twin, ended_well, run_pipeline, ways_to_run
from compliance.source import Project


@dataclass(frozen=True, kw_only=True)
class Result:
    """A rule, what breaks it, and how long it took to find out [s]."""

    name: str
    says: str
    findings: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing breaks it."""
        return not self.findings


def check(root: Path) -> Iterator[Result]:
    """Every rule of the code, then every pipeline."""
    yield from check_code(root)
    with tempfile.TemporaryDirectory(prefix="ems-compliance-") as folder:
        yield from check_runs(root, Path(folder))


def check_code(root: Path) -> Iterator[Result]:
    """Every rule of the syntax tree on the code below ``root``."""
    project = Project.read(root)
    for rule in rules():
        started = time.perf_counter()
        yield result_of(f"code: {rule.name}", rule.says, rule.check(project), started)


def check_runs(root: Path, folder: Path) -> Iterator[Result]:
    """Every pipeline for two days of the twin, in ``folder``, in each way it can be run."""
    db = build_twin(root, folder)
    for source in Project.read(root).pipelines:
        for name, options in ways_to_run(source).items():
            started = time.perf_counter()
            ran = run_pipeline(root / source.path, db, folder / name, options)
            for checked in CHECKS:
                rule = f"{name}: {checked.__name__.replace('_', ' ')}"
                result = result_of(rule, checked.__doc__ or "", checked(ran), started)
                yield result
                if checked is ended_well and not result.passed:
                    break  # it left nothing to be checked
                started = time.perf_counter()


def result_of(name: str, says: str, findings: Iterable[object], started: float) -> Result:
    """The result of a rule whose checking began at ``started``."""
    found = tuple(sorted({str(finding) for finding in findings}))
    seconds = time.perf_counter() - started
    return Result(name=name, says=says.strip(), findings=found, seconds=seconds)


def table(results: Sequence[Result]) -> str:
    """One line a rule, its findings below it."""
    lines = []
    for result in results:
        word = "passed" if result.passed else "FAILED"
        says = result.says.replace("``", "")
        lines.append(f"{result.name:26} {word:8} {result.seconds:6.1f} s  {says}")
        lines += [f"    {finding}" for finding in result.findings]
    return "\n".join(lines)
