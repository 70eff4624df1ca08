"""A pipeline run: its measurements, and everything kept of it, from MLflow to config.toml."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import DEFAULT_DB, DEFAULT_TRACKING, as_toml
from console import SYNTHETIC, counted, doing, near, say

if TYPE_CHECKING:
    import duckdb
    from planning import Chosen, Where
    from rich.console import Console

    from ems.learning.habit import PmfUpdate
    from ems.market.account import MarketAccount
    from ems.pipelines.community import CommunityPiece
    from ems.pipelines.community_totals import CommunityResult
    from ems.pipelines.comparison import DayRecord
    from ems.store.read import PortfolioRow
    from ems.store.results import RunRow, Status
    from ems.tracking import PipelineRun


RESEARCH_SIZES, RESEARCH_FORMATS = ("column",), ("png", "svg")
"""Of the figures that every run leaves for a paper."""
KINDS = {".html": "report", ".md": "health", ".png": "figure"}
"""What a file of a run is, by its ending."""
SHORT_ID = 8
"""Characters of a run's id in folder names, as in ``ems.report.stored``."""


@contextmanager
def open_database(file: Path, out: Console) -> Iterator[duckdb.DuckDBPyConnection]:
    """The measurements, read-only; a missing default database is built from the twin."""
    if file == DEFAULT_DB and not file.exists():
        with doing(out, "no database yet: making the synthetic twin of seven buildings"):
            from ems.store.build import build_database
            from ems.store.ingest.twin import twin_dataset

            dataset = twin_dataset()
        with doing(out, f"writing it into {near(file)}"):
            build_database(dataset, file)
        out.print("for real data: python scripts/build_duckdb.py --source opsd")
    from ems.store.connection import get_con

    con = get_con(file)
    try:
        yield con
    finally:
        con.close()


def read_portfolio(where: Where, out: Console) -> tuple[PortfolioRow, ...]:
    """The contents of the database by building; empty if neither figures nor report are wanted."""
    from ems.store.read import portfolio

    if where.figures == where.report == "off":
        return ()
    with open_database(where.db, out) as con:
        return portfolio(con)


@dataclass(frozen=True, kw_only=True)
class KeptRun:
    """A run in both stores; everything passed to it is stored at once."""

    pipeline: str
    where: Where
    row: RunRow
    tracked: PipelineRun
    out: Console

    @property
    def figure_folder(self) -> Path:
        """Folder of the run's figures, including those drawn later."""
        return self.where.results / "visualizations" / self.row.run_id[:SHORT_ID]

    @property
    def report_file(self) -> Path:
        """File of the run's report."""
        return self.where.results / "reports" / f"{self.pipeline}_{self.row.run_id}.html"

    @property
    def health_file(self) -> Path:
        """File on the health of the run's data."""
        return self.where.results / "health" / f"{self.pipeline}_{self.row.run_id}.md"

    @property
    def config_file(self) -> Path:
        """File of the run's options, for repeating it with ``--config``."""
        return self.where.results / "runs" / self.row.run_id[:SHORT_ID] / "config.toml"

    def days(self, records: Sequence[DayRecord]) -> None:
        """Store the results and plans of some days."""
        from ems.store.frames import day_tables
        from ems.store.results import append_days

        append_days(self.where.results_db, self.row, day_tables(records))

    def updates(self, building: str, model: str, updates: Sequence[PmfUpdate]) -> None:
        """Store how the usage PMFs of a model moved."""
        from ems.store.frames import pmf_frame
        from ems.store.results import append_pmf_updates

        append_pmf_updates(self.where.results_db, self.row, pmf_frame(building, model, updates))

    def community(
        self, pieces: Sequence[CommunityPiece], result: CommunityResult, mode: str
    ) -> None:
        """Store what the homes of a community pay, and what they share step by step."""
        from ems.store.community_frames import community_step_frame, home_frame
        from ems.store.results import append_community

        frames = home_frame(result, mode), community_step_frame(pieces)
        append_community(self.where.results_db, self.row, *frames)

    def market(self, account: MarketAccount) -> None:
        """Store the auctions of a market, its orders and messages, and what each bidder came to."""
        from ems.store.market_frames import market_frames
        from ems.store.results import append_market

        append_market(self.where.results_db, self.row, market_frames(account))

    def track_days(self, days: Sequence[DayRecord], mode: str, numbers: Sequence[int]) -> None:
        """Track some days of a building and mode, by their numbers in the window."""
        from ems.tracking import day_metrics

        kpis = day_metrics([day.kpis for day in days])
        self.tracked.days(days[0].building, mode, kpis, numbers)

    def illustrate(
        self,
        draw: Callable[[Path], list[Path]] | None,
        report: Callable[[Path], Path] | None,
        chosen: Sequence[Chosen] = (),
    ) -> None:
        """Draw and write what is wanted, store it with the run, and print where everything is.

        ``chosen``: the buildings on whose data a health report is written beside the page.
        """
        files = []
        if self.where.figures == "on" and draw is not None:
            with doing(self.out, "drawing the figures"):
                files += draw(self.figure_folder)
        if self.where.report == "on" and report is not None:
            with doing(self.out, "writing the report"):
                files.append(report(self.report_file))
        if self.where.report == "on" and chosen:
            files.append(self._health(chosen))
        for file in files:
            self.tracked.artifact(file)
            self.out.print(f"{KINDS[file.suffix]:9} {near(file)}", soft_wrap=True)
        self.out.print(f"again     --config {near(self.config_file)}", soft_wrap=True)
        self.out.print(f"results   {near(self.where.results_db)}", soft_wrap=True)

    def _health(self, chosen: Sequence[Chosen]) -> Path:
        """Write what is wrong with the measurements of the run's buildings."""
        from ems.report.health import Patient, health_report, write_health
        from ems.store.read import list_findings

        with open_database(self.where.db, self.out) as con:
            patients = [
                Patient(
                    building=item.building,
                    window=item.window,
                    findings=list_findings(con, item.window.building),
                )
                for item in chosen
            ]
        return write_health(health_report(self.row.run_id, patients), self.health_file)

    def export(self, formats: Sequence[str]) -> None:
        """Write the results as files too, if any format is wanted, and print where they are."""
        if not formats:
            return
        with doing(self.out, "exporting the results"):
            from ems.store.export import export_run

            folder = self.where.results / "exports" / self.row.run_id[:SHORT_ID]
            files = export_run(
                self.where.results_db, self.row.run_id, folder, formats, self._about()
            )
        names = ", ".join(file.name for file in files)
        self.out.print(f"export    {near(folder)}: {names}", soft_wrap=True)

    def _about(self) -> str:
        """What was run, on which data."""
        data: Any = self.row.parameters["data"]
        made_up = f"**{SYNTHETIC}.** " if self.row.synthetic else ""
        return (
            f"{made_up}Pipeline {self.pipeline}, {self.row.building}, started "
            f"{self.row.started_utc:%Y-%m-%d %H:%M} UTC by `{command_line()}`. "
            f"Data: {data['source']}."
        )

    def research(self) -> None:
        """Draw the figures of a paper from what is now stored of this run, if figures are wanted.

        For a run that has ended: some of them ask MLflow, which is told everything only then.
        """
        if self.where.figures == "off":
            return
        with doing(self.out, "drawing the research figures"):
            from ems.report.stored import (
                OF_RUNS,
                Missing,
                Wanted,
                choose_runs,
                figures,
                kept_runs,
                write_drawing,
            )

            own = choose_runs(kept_runs(self.where.results_db), [self.row.run_id])
            folder = self.where.results / "figures" / self.row.run_id[:SHORT_ID]
            made = [
                figure
                for _, figure in figures(own, Wanted(kinds=tuple(OF_RUNS)), self.where.tracking_uri)
            ]
            drawn = [figure for figure in made if not isinstance(figure, Missing)]
            for figure in drawn:
                write_drawing(figure, folder, RESEARCH_SIZES, RESEARCH_FORMATS)
        for figure in made:
            if isinstance(figure, Missing):
                say(self.out, f"left out  {figure.name}: {figure.reason}", style="yellow")
        if drawn:
            told = counted(len(drawn), "figure")
            self.out.print(f"research  {near(folder)}: {told}, captions.md", soft_wrap=True)

    def keep_config(self, options: Any) -> None:
        """Store all options of the run, including defaults, as a file and an artifact."""
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        script = Path(sys.argv[0]).name
        head = f"# python scripts/{script} --config config.toml\n"
        self.config_file.write_text(head + as_toml(options), encoding="utf-8")
        self.tracked.artifact(self.config_file)


def start_tracking(where: Where) -> None:
    """Start loading MLflow and opening its store while the measurements are read."""
    from ems.tracking import prepare

    prepare(where.tracking_uri)


@contextmanager
def kept_run(
    pipeline: str,
    *,
    name: str,
    building: str,
    options: Any,
    parameters: Mapping[str, object],
    synthetic: bool,
    out: Console,
    tags: Mapping[str, str] | None = None,
    mode_tags: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[KeptRun]:
    """A run in MLflow and in the results, marked FINISHED, KILLED or FAILED at its end.

    Both stores are checked before the run starts, so that a wrong path leaves no failed run.
    """
    from ems.store.results import RunRow, require_results, save_run, set_status
    from ems.tracking import check_store, pipeline_run, store_uri
    from ems.tracking.parameters import plain

    where: Where = options.where
    tracked = pipeline_run(
        where.tracking_uri,
        experiment=pipeline,
        name=name,
        parameters=parameters,
        tags={"synthetic": str(synthetic).lower(), **(tags or {})},
        mode_tags=mode_tags,
    )
    with ExitStack() as stack:
        with doing(out, "opening MLflow"):
            check_store(store_uri(where.tracking_uri))
            require_results(where.results_db)
            run_ = stack.enter_context(tracked)
        row = RunRow(
            run_id=run_.run_id,
            pipeline=pipeline,
            building=building,
            started_utc=datetime.now(UTC).replace(tzinfo=None),
            parameters=plain(parameters),
            status="RUNNING",
            synthetic=synthetic,
            mlflow_run_id=run_.run_id,
        )
        kept = KeptRun(pipeline=pipeline, where=where, row=row, tracked=run_, out=out)
        save_run(where.results_db, row)
        try:
            kept.keep_config(options)
            yield kept
        # BaseException: also Ctrl-C and an early exit must leave a final status.
        except BaseException as error:
            status: Status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            set_status(where.results_db, row.run_id, status)
            raise
        set_status(where.results_db, row.run_id, "FINISHED")
    out.print(f"mlflow    run {run_.run_id}; open it: {_opened_by(where, run_)}", soft_wrap=True)


def _opened_by(where: Where, run_: PipelineRun) -> str:
    """How to open the run: a command, or the page of a server."""
    if where.tracking_uri == DEFAULT_TRACKING:
        return "python scripts/launch_mlflow.py"
    if where.tracking_uri.startswith("sqlite:"):
        store = shlex.quote(where.tracking_uri)
        return f"python scripts/launch_mlflow.py --tracking_uri {store}"
    return _without_password(f"{where.tracking_uri.rstrip('/')}{run_.page}")


def command_line() -> str:
    """The command to repeat this run, without passwords in addresses."""
    script, *options = sys.argv
    return shlex.join(["python", f"scripts/{Path(script).name}", *map(_without_password, options)])


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", text)
