"""Run a tracked run again from what it logged, and check that it comes to the same figures."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import (
    DEFAULT_DB,
    DEFAULT_TRACKING,
    NotNegative,
    PathName,
    Unnamed,
    command,
    given,
    option,
    parsed,
)
from console import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    ROOT,
    console,
    doing,
    run,
    say,
    show_table,
)

from ems.errors import DataError, InvalidSpec, TrackingError

if TYPE_CHECKING:
    from rich.console import Console

    from ems.tracking.compare import Disagreement
    from ems.tracking.read import RunStore, TrackedRun

EXIT_DIFFERENT = 1
ROWS = 20
"""Maximum number of disagreeing figures shown."""

PIPELINE = "(pipeline)"
"""Key of the pipeline's own figures; its name could equal that of a run below it."""

RUN = ("RUN", "the run or one below it; the first characters of its id are enough")
EPILOG = (
    f"Exit: 0 when every figure agrees, {EXIT_DIFFERENT} when one does not, {EXIT_BAD_INPUT} when "
    "it cannot be run. Timings are not compared. See docs/tracking.md."
)


@command
class Options:
    """The command line of this script."""

    words: Unnamed = ()
    tracking_uri: str = option("its MLflow store", DEFAULT_TRACKING)
    to_tracking_uri: str | None = option("store of the new run [default: the same]", None)
    results: PathName | None = option("results folder [default: as it was]", None)
    folder: PathName | None = option("start there [default: where it was started]", None)
    tolerance: NotNegative = option("share of its size by which a figure may differ", 0.0)
    anyway: bool = option("run it although the data have changed", False)
    dry_run: bool = option("only show the command and what differs", False)


def main() -> None:
    """Rebuild the command, say what is not as it was, run it, and compare."""
    args = parsed(Options, __doc__, EPILOG, config=False, words=RUN)
    if len(args.words) != 1:
        raise InvalidSpec(f"RUN: {len(args.words)} are given, one is needed (see rerun.py --help)")
    out = console()
    with doing(out, "asking MLflow"):
        from ems.tracking.read import RunStore

        store = RunStore(args.tracking_uri)
        before = store.pipeline_of(store.get(args.words[0]))
    command, folder = rebuilt(before, args)
    say(out, f"run       {before.run_id} ({before.experiment}: {before.name})")
    out.print(f"command   python {shlex.join(command)}", soft_wrap=True)
    tell_software(out, before)
    require_same_data(before, command, folder, args, out)
    if args.dry_run:
        return
    started_utc = datetime.now(UTC)
    repeat(command, folder, before.run_id)
    now_store = RunStore(args.to_tracking_uri or args.tracking_uri)
    after = made_since(now_store, before, started_utc)
    tell_parameters(out, before, after)
    found, n_figures = compare(store, before, now_store, after, args.tolerance)
    tell(out, found, n_figures, before, after, args.tolerance)
    if found:
        raise SystemExit(EXIT_DIFFERENT)


def rebuilt(before: TrackedRun, args: Options) -> tuple[list[str], Path]:
    """The command of a finished run with new output places, and its folder."""
    from ems.tracking.parameters import LONGEST_TAG

    said = before.tags.get("command", "")
    if not said:
        raise TrackingError(
            f"run {before.short_id} has no command: a script of scripts/ did not make it, or it is "
            "older than this; start again what made it"
        )
    # A tag of full length was cut, and half a command must not be run.
    if len(said) >= LONGEST_TAG:
        raise TrackingError(f"run {before.short_id}: its command is longer than what is kept of it")
    if before.status != "FINISHED":
        raise TrackingError(
            f"run {before.short_id} is {before.status}, so there is nothing whole to compare with; "
            f"to run it: python {said}"
        )
    script, *options = shlex.split(said)
    if not _is_ours(script):
        raise TrackingError(f"run {before.short_id}: '{script}' is no script of this checkout")
    folder = args.folder or Path(before.tags.get("folder", "."))
    if not folder.is_dir():
        raise InvalidSpec(f"folder {folder}, where it was started, is not there; give --folder")
    kept, given = _without(options, "--tracking_uri"), []
    if args.results is not None:
        kept, given = _without(kept, "--results"), ["--results", str(args.results.resolve())]
    uri = args.to_tracking_uri or args.tracking_uri
    return [script, *kept, *given, "--tracking_uri", _absolute(uri)], folder


def _is_ours(script: str) -> bool:
    """Whether it is a file in this checkout's ``scripts``; a store may contain anything."""
    file = (ROOT / script).resolve()
    return file.parent == ROOT / "scripts" and file.suffix == ".py" and file.is_file()


def _absolute(uri: str) -> str:
    from ems.tracking import store_uri

    return store_uri(uri)


def _without(options: Sequence[str], name: str) -> list[str]:
    """The options without one and its value."""
    kept, skip = [], False
    for word in options:
        if skip:
            skip = False
        elif word == name:
            skip = True
        elif not word.startswith(f"{name}="):
            kept.append(word)
    return kept


def tell_software(out: Console, before: TrackedRun) -> None:
    """Warn about versions that differ from the run, and about uncommitted changes."""
    different = software_differences(before.parameters)
    for line in different:
        say(out, f"warning   {line}", style="yellow")
    commit = before.parameters.get("software.git_commit", "")
    if commit.endswith("-dirty"):
        say(
            out,
            "warning   it was made from files changed since that commit, so the commit does not "
            "say all",
            style="yellow",
        )
    if not different:
        say(out, "software  python, packages and commit are those of the run")


def software_differences(parameters: Mapping[str, str]) -> list[str]:
    """Each version, or the commit, that differs."""
    from ems.tracking import software

    now = software()
    then = {
        name.removeprefix("software."): value
        for name, value in parameters.items()
        if name.startswith("software.")
    }
    return [
        f"{name} is {now.get(name, 'not known')}, was {then.get(name, 'not known')}"
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name)
    ]


def require_same_data(
    before: TrackedRun,
    command: Sequence[str],
    folder: Path,
    args: Options,
    out: Console,
) -> None:
    """Raise ``DataError`` if the database differs from the run's, unless overridden."""
    from ems.store.connection import get_con, read_meta

    file = _database(command, folder)
    con = get_con(file)
    try:
        now = read_meta(con)["data_hash"]
    finally:
        con.close()
    then = before.parameters.get("data.hash", "not known")
    if now == then:
        say(out, f"data      {file.name} is the same, hash {now[:12]}…")
        return
    said = f"data in {file} have hash {now[:12]}…, the run's had {then[:12]}…"
    if not args.anyway:
        raise DataError(
            f"{said}: its figures cannot come out again; build that database again, or run it with "
            "--anyway"
        )
    say(out, f"warning   {said}", style="yellow")


def _database(command: Sequence[str], folder: Path) -> Path:
    """The measurements that the command reads."""
    said = given(command, "db", folder)
    return DEFAULT_DB if said is None else folder / Path(said).expanduser()


def repeat(command: Sequence[str], folder: Path, run_id: str) -> None:
    """Run the command; raises ``TrackingError`` if it does not finish.

    Ctrl-C reaches only this script, which passes it on once and waits, so that the run can mark
    itself as ended.
    """
    from ems.tracking import RERUN_OF

    script, *options = command
    # Our lines must come before those of the command.
    sys.stdout.flush()
    with subprocess.Popen(
        [sys.executable, str(ROOT / script), *options],
        cwd=folder,
        env=os.environ | {RERUN_OF: run_id},
        start_new_session=True,
    ) as run_again:
        try:
            code = run_again.wait()
        except KeyboardInterrupt:
            run_again.send_signal(signal.SIGINT)
            if run_again.wait() == EXIT_INTERRUPTED:  # it has reported that itself
                raise SystemExit(EXIT_INTERRUPTED) from None
            raise
    if code:
        raise TrackingError(
            f"the command has ended with exit code {code}; its own message stands above"
        )


def made_since(store: RunStore, before: TrackedRun, started_utc: datetime) -> TrackedRun:
    """The run that the command has just created."""
    made = store.find(f"tags.rerun_of = '{before.run_id}'", [before.experiment])
    new = [
        r
        for r in made
        # MLflow keeps milliseconds only, so the start may seem earlier.
        if r.parent_id is None and r.started_utc >= started_utc.replace(microsecond=0)
    ]
    if not new:
        raise TrackingError(f"the command has tracked no run in {store.uri}; look at its output")
    return new[0]


def tell_parameters(out: Console, before: TrackedRun, after: TrackedRun) -> None:
    """Warn if the same command now has other parameters: a default or a tariff file has changed."""
    from ems.tracking.compare import PROVENANCE, different

    for name, then, now in different(before.parameters, after.parameters):
        if not name.startswith(PROVENANCE):
            say(out, f"warning   {name} is {now}, was {then}", style="yellow")


def compare(
    before_store: RunStore,
    before: TrackedRun,
    after_store: RunStore,
    after: TrackedRun,
    tolerance: float,
) -> tuple[list[Disagreement], int]:
    """Disagreements in the runs and those below, and the number of figures."""
    from ems.tracking.compare import disagreements, is_timing

    found: list[Disagreement] = []
    n_figures = 0
    then, now = (
        {PIPELINE: s.series(one), **{r.name: s.series(r) for r in s.below(one)}}
        for s, one in ((before_store, before), (after_store, after))
    )
    for where in sorted({*then, *now}):
        a, b = then.get(where, {}), now.get(where, {})
        n_figures += sum(not is_timing(metric) for metric, _ in {*a, *b})
        found += disagreements(where, a, b, tolerance)
    return found, n_figures


def tell(
    out: Console,
    found: Sequence[Disagreement],
    n_figures: int,
    before: TrackedRun,
    after: TrackedRun,
    tolerance: float,
) -> None:
    """Print the verdict and what disagrees."""
    exactly = "exactly" if tolerance == 0 else f"within {tolerance:g} of their size"
    if not n_figures:
        raise TrackingError(f"run {before.short_id} has no figures to compare")
    if not found:
        say(
            out,
            f"same      {n_figures} figures of {before.short_id} and {after.short_id} agree "
            f"{exactly}",
        )
        return
    heads = ("where", "metric", "day", "then", "now", "difference")
    rows = [
        (
            one.where,
            one.metric,
            str(one.step),
            _cell(one.then),
            _cell(one.now),
            "–" if one.then is None or one.now is None else f"{one.now - one.then:.3g}",
        )
        for one in found[:ROWS]
    ]
    title = f"{len(found)} of {n_figures} figures do not agree {exactly}"
    show_table(out, title, heads, rows, keys=2)
    if len(found) > ROWS:
        say(out, f"          and {len(found) - ROWS} more")
    why = software_differences(before.parameters)
    if why:
        out.print(f"perhaps   {'; '.join(why)}", soft_wrap=True)
    say(
        out,
        f"different {before.short_id} and {after.short_id}: scripts/mlflow_analysis.py --compare",
    )


def _cell(value: float | None) -> str:
    return "not there" if value is None else f"{value:.9g}"


if __name__ == "__main__":
    run(main)
