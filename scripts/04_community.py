"""Run homes as a community: what sharing is worth, who gets it, and is anyone worse off.

``verify LEDGER --root HEX`` checks a ledger that a run has written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from command_line import (
    Count,
    Day,
    Days,
    NotNegative,
    Numbers,
    Paths,
    Switch,
    Unnamed,
    Whole,
    among,
    as_path,
    command,
    group,
    option,
    options,
    parsed,
)
from console import (
    SYNTHETIC,
    console,
    counted,
    doing,
    near,
    number,
    percent_text,
    progress_bar,
    run,
    say,
    show_table,
)
from planning import AssetOptions, Solving, Where, assets_of, count_of, data_parameters
from runs import KeptRun, kept_run, open_database, start_tracking

from ems.core.solve import require_available
from ems.core.solver import Solver
from ems.economics.tariff import built_in_tariffs
from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console

    from ems.economics.tariff import Tariff
    from ems.pipelines.community import CommunityPiece, CommunitySpec
    from ems.pipelines.community_totals import CommunityResult, HomeRow, ModeRow
    from ems.pipelines.comparison import Window
    from ems.report.community import FairPoint
    from ems.report.figures.page import Origin
    from ems.site.building import Building
    from ems.site.meters import MeterData

EXPERIMENT = "community"
RuleName = Literal[
    "mid_market", "supply_demand_ratio", "double_auction", "competitive", "bill_sharing"
]
KeyName = Literal["dynamic", "equal", "static", "priority"]
SplitName = Literal["none", "equal", "shapley", "nucleolus"]
MODES = ("rule_alone", "alone", "rule_together", "at_price", "together", "decomposed")
NEAR = 1e-4
"""A larger part of the cost that is not proven to be the least is said [1]."""
EPILOG = (
    "Plans know the true load, sun and prices (perfect foresight: upper bounds), with --foresight "
    "forecast homes also live on what they know. Homes made "
    "from measured ones are made up, and said so. Rules, keys and what the figures do not say: "
    "docs/community.md."
)
HOME_CELLS: Mapping[str, Callable[[HomeRow], str]] = {
    "alone €": lambda home: number(home.alone_eur, 2),
    "here €": lambda home: number(home.here_eur, 2),
    "handed €": lambda home: number(home.handed_eur, 2),
    "gain €": lambda home: number(home.gain_eur, 2),
    "import kWh": lambda home: number(home.kpis.import_kwh, 0),
    "of neighbours kWh": lambda home: number(home.received_kwh, 0),
    "export kWh": lambda home: number(home.kpis.export_kwh, 0),
    "to neighbours kWh": lambda home: number(home.supplied_kwh, 0),
    "used here": lambda home: percent_text(home.self_consumption),
    "self-suff.": lambda home: percent_text(home.self_sufficiency),
}
MODE_CELLS: Mapping[str, Callable[[ModeRow], str]] = {
    "cost €": lambda row: number(row.cost_eur, 2),
    "bill €": lambda row: number(row.bill_eur, 2),
    "wear €": lambda row: number(row.wear_eur, 2),
    "discomfort €": lambda row: number(row.discomfort_eur, 2),
    "shared kWh": lambda row: number(row.shared_kwh, 0),
    "bought kWh": lambda row: number(row.bought_kwh, 0),
    "sold kWh": lambda row: number(row.sold_kwh, 0),
    "peak kW": lambda row: number(row.peak_import_kw, 1),
}


@group("the community")
class Who:
    """Which homes, which days, and how they share."""

    homes: Count = option("how many; up to the measured ones they are those, else made", 6)
    buildings: str | None = option(
        "names or ends of names, with commas [default: every home of the database]", None
    )
    join: Paths = option(
        "databases of other homes, with commas, such as one for each own meter", ()
    )
    home_seed: Whole = option("of the homes that are made", 0)
    start: Day | None = option("first day [default: the first that all homes can plan]", None)
    n_days: Days = option("days, or all to the end", 7)
    tariff: str = option(
        f"{', '.join(built_in_tariffs())}, or a TOML file, as scripts/tariff.py writes", "dynamic"
    )
    mode: Annotated[tuple[str, ...], among(*MODES, "all")] = option(
        f"{', '.join(MODES)} or all, with commas; the four that explain a result always run",
        ("together",),
    )
    rule: RuleName = option("price of a shared kWh", "mid_market")
    key: KeyName = option("who shares how much", "dynamic")
    foresight: Literal["perfect", "forecast"] = option(
        "the truth, or what is known, which needs history before the first day", "perfect"
    )
    forecaster: Literal["learned", "persistence"] = option("of load, sun and price", "learned")
    split: SplitName = option(
        "of what sharing gains, instead of its price: none, equal, shapley, nucleolus", "none"
    )
    guarantee: Switch = option("top losers up to what they paid alone, out of others' gains", "off")
    static_shares: Numbers | None = option(
        "of the key static, one a home, that sum to one [default: equal]", None
    )
    law: str | None = option(
        "under which the homes share, by name or a TOML file; it says the fee [default: none]", None
    )
    fee_ct: NotNegative = option("on each kWh that is shared, to grid and operator [ct/kWh]", 0.0)
    pv_share: NotNegative = option("of the made homes, with a roof (assumed) [1]", 0.5)
    battery_share: NotNegative = option("of these roofs, with a battery (assumed) [1]", 0.5)
    ev_share: NotNegative = option("of the made homes, with a car (assumed) [1]", 0.2)


@group("what is planned")
class CommunityAssets(AssetOptions):
    """The assets of the homes, and whose the batteries are."""

    battery: Literal["simple", "central", "shared", "off"] = option(  # type: ignore[assignment]
        "simple: each home its own; central: one of the same size in all, a member of its own; "
        "shared: the same, owned by the homes by their kWh; off",
        "simple",
    )


@command
class Options:
    """The command line of this script."""

    who: Who = options(Who)
    assets: CommunityAssets = options(CommunityAssets)
    solving: Solving = options(Solving)
    where: Where = options(Where)


def main() -> None:
    """Make or read the homes, run them in every way, settle, show, store and track it."""
    if sys.argv[1:2] == ["verify"]:
        verify()
        return
    asked = parsed(Options, __doc__, EPILOG)
    out = console()
    spec = specification(asked)
    start_tracking(asked.where)
    with open_database(asked.where.db, out) as con, doing(out, "reading the measurements"):
        homes = homes_of(con, asked.who, spec, joining(asked.who.join))
        if asked.assets.battery in ("central", "shared"):
            from ems.community.sampling import owners, with_central_battery

            moved = with_central_battery(homes)
            owned = owners(homes) if asked.assets.battery == "shared" else ()
            homes, spec = moved, replace(spec, homes=len(moved), owned=owned)
    from ems.pipelines.community import common_window

    window = common_window(homes, asked.who.start, count_of(asked.who.n_days))
    describe(out, spec, homes, window)
    require_law(out, asked.who, window, homes[0].history.step_h)
    from ems.report.figures.page import Origin

    with kept_run(
        EXPERIMENT,
        name=f"{len(homes)} homes {spec.rule} {spec.key}",
        building="community",
        options=asked,
        parameters=run_parameters(asked, spec, homes, window),
        synthetic=homes[0].history.synthetic,
        out=out,
    ) as kept:
        pieces = share(asked.solving, spec, homes, window, kept)
        from ems.pipelines.community_totals import community_result

        result = community_result(pieces, spec)
        show(out, result, spec)
        keep(kept, pieces, result, spec)
        close(kept, pieces, spec)
        origin = Origin.of(homes[0].history)
        rules = compared(kept, pieces, spec)
        kept.illustrate(
            lambda folder: draw(folder, pieces, result, spec, origin, rules),
            lambda file: play(file, pieces, result, spec, origin, rules),
        )


def specification(asked: Options) -> CommunitySpec:
    """The specification; raises ``InvalidSpec`` if the options contradict each other."""
    who, solving = asked.who, asked.solving
    if who.homes < 2:
        raise InvalidSpec("homes is 1; sharing needs at least two, plan one with 01_run.py")
    if asked.assets.battery_start_kwh is not None:
        raise InvalidSpec("--battery_start_kwh: the batteries of a community begin empty; leave it")
    if who.law is not None and who.fee_ct != 0.0:
        raise InvalidSpec("--law says the fee of a shared kWh; leave --fee_ct out")
    if who.static_shares is not None and who.key != "static":
        raise InvalidSpec(f"--static_shares belong to --key static, the key is {who.key}")
    from ems.community.sampling import Shares
    from ems.economics.tariff_file import load_tariff
    from ems.pipelines.community import ASKED, CommunitySpec

    solver = Solver(
        name=solving.solver,
        mip_gap=solving.mip_gap,
        time_limit_s=solving.time_limit,
        seed=solving.seed,
    )
    require_available(solver)
    tariff = load_tariff(who.tariff)
    fields_: dict[str, Any] = {
        "modes": ASKED if "all" in who.mode else tuple(m for m in ASKED if m in who.mode),
        "rule": who.rule,
        "key": who.key,
        "split": who.split,
        "foresight": who.foresight,
        "forecaster": who.forecaster,
    }
    return CommunitySpec(
        tariff=tariff,
        assets=assets_of(own_assets(asked.assets)).under(tariff),
        shares=Shares(pv=who.pv_share, battery=who.battery_share, ev=who.ev_share),
        homes=who.homes,
        seed=who.home_seed,
        static_shares=who.static_shares or (),
        fee_eur_per_kwh=fee_of(who, tariff),
        guaranteed=who.guarantee == "on",
        solver=solver,
        **fields_,
    )


def own_assets(asked: CommunityAssets) -> AssetOptions:
    """What each home has at first; a central battery is put together from theirs."""
    told = {item.name: getattr(asked, item.name) for item in fields(asked)}
    return AssetOptions(**told | {"battery": "off" if asked.battery == "off" else "on"})


def fee_of(who: Who, tariff: Tariff) -> float:
    """What is due on a shared kWh, by option or by law [€/kWh]."""
    if who.law is None:
        return who.fee_ct / 100.0
    from ems.community.law import read_law

    return read_law(who.law).fee_eur_per_kwh(tariff)


def require_law(out: Console, who: Who, window: Window, step_h: float) -> None:
    """Say the law, and refuse days on which it does not hold."""
    if who.law is None:
        return
    from ems.community.law import read_law

    law = read_law(who.law)
    law.require_in_force(window.days[0], window.days[-1])
    say(out, f"law       {law.name}: {law.description}")
    for figure in law.figures:
        say(out, f"          {figure.name} {figure.value:g} {figure.unit} ({figure.source})")
    if law.settlement_min is not None and law.settlement_min < 60.0 * step_h:
        say(
            out,
            f"          it compares every {law.settlement_min} minutes, the meters every "
            f"{60.0 * step_h:g}: more seems shared than would be",
            style="bold",
        )


def joining(files: Sequence[Path]) -> list[MeterData]:
    """The homes of other databases."""
    from contextlib import closing

    from ems.store.connection import get_con
    from ems.store.read import list_buildings, read_history

    found = []
    for file in files:
        with closing(get_con(file)) as con:
            found += [read_history(con, name) for name in list_buildings(con)]
    return found


def homes_of(
    con: DuckDBPyConnection, who: Who, spec: CommunitySpec, others: Sequence[MeterData]
) -> tuple[Building, ...]:
    """The homes: those of the databases, or made from them.

    Raises ``InvalidSpec`` for a home that is in two of them.
    """
    from planning import building_named

    from ems.agents.base import named_twice
    from ems.community.sampling import made_homes
    from ems.site.building import Building
    from ems.store.read import list_buildings, read_history

    known = list_buildings(con)
    if who.buildings is not None:
        named = [building_named(known, name.strip()) for name in who.buildings.split(",")]
        twice = [name for name in named if named.count(name) > 1]
        if twice:
            raise InvalidSpec(f"--buildings names {twice[0]} twice; name each once")
    else:
        named = list(known)
    histories = [*(read_history(con, name) for name in named), *others]
    names = [history.building for history in histories]
    again = named_twice(names)
    if again is not None:
        raise InvalidSpec(f"{again}: the home is in two databases; it can share in one community")
    if who.buildings is None:
        histories = [history for history in histories if history.kind == "residential"]
    if not histories:
        raise InvalidSpec("the database has no home; name buildings with --buildings")
    measured = [Building(history, spec.tariff, spec.assets) for history in histories]
    return made_homes(measured, who.homes, who.home_seed, spec.shares)


def describe(out: Console, spec: CommunitySpec, homes: Sequence[Building], window: Window) -> None:
    """What is run, before it is."""
    if homes[0].history.synthetic:
        out.print(SYNTHETIC, style="bold yellow")
    made = homes[0].history.source.startswith("made from")
    told = "made from other days of the measured ones" if made else "as measured"
    say(out, f"homes     {len(homes)}, {told}")
    roofs = sum(any(feed.role == "pv" for feed in home.history.feeds) for home in homes)
    batteries = sum(home.assets.battery is not None for home in homes)
    say(out, f"          {roofs} with sun, {batteries} with a battery, which begins empty")
    first, last = window.days[0], window.days[-1]
    left_out = f", {counted(len(window.skipped), 'day')} left out" if window.skipped else ""
    say(out, f"days      {first} to {last}: {counted(len(window.days), 'day')}{left_out}")
    fee = f"fee {100 * spec.fee_eur_per_kwh:g} ct/kWh"
    say(out, f"sharing   rule {spec.rule}, key {spec.key}, {fee}, tariff {spec.tariff.name}")
    if spec.hands_over:
        split = f"split {spec.split} of what sharing gains" if spec.split != "none" else ""
        guarantee = "losers are topped up to what they paid alone" if spec.guaranteed else ""
        say(out, f"at the end {', '.join(filter(None, (split, guarantee)))}")


def run_parameters(
    asked: Options, spec: CommunitySpec, homes: Sequence[Building], window: Window
) -> dict[str, object]:
    """Everything needed to repeat the run."""
    return {
        "building": "community",
        "homes": len(homes),
        "start": str(window.days[0]),
        "n_days": asked.who.n_days,
        "n_days_planned": len(window.days),
        "n_days_left_out": len(window.skipped),
        "workers": asked.solving.workers,
        "spec": spec,
        "data": data_parameters(homes[0].history, asked.where),
    }


def share(
    solving: Solving,
    spec: CommunitySpec,
    homes: Sequence[Building],
    window: Window,
    kept: KeptRun,
) -> list[CommunityPiece]:
    """Run the window piece by piece."""
    from ems.pipelines.community import run_community

    pieces = []
    with progress_bar(kept.out, "days") as bar:
        task = bar.add_task("planning and settling", total=len(window.days))
        for piece in run_community(homes, spec, window, solving.workers, solving.scheduler):
            pieces.append(piece)
            bar.update(task, advance=len(piece.days))
    return pieces


def keep(
    kept: KeptRun, pieces: Sequence[CommunityPiece], result: CommunityResult, spec: CommunitySpec
) -> None:
    """Store the results and track a run for every way of running the homes."""
    kept.community(pieces, result, spec.settled_mode)
    for row in result.modes:
        told = [item.name for item in fields(row) if item.name not in ("mode", "how")]
        figures = {name: getattr(row, name) for name in told}
        kept.tracked.summary("community", row.mode, {**figures, "cost_eur": row.cost_eur})


def compared(
    kept: KeptRun, pieces: Sequence[CommunityPiece], spec: CommunitySpec
) -> list[FairPoint]:
    """The plans under every rule and key; none if neither figures nor report are wanted."""
    from ems.pipelines.community_rules import every_rule
    from ems.report.community import FairPoint

    if kept.where.figures == kept.where.report == "off":
        return []
    with doing(kept.out, "settling the plans under every rule and key"):
        return [FairPoint.of(found) for found in every_rule(pieces, spec)]


def draw(
    folder: Path,
    pieces: Sequence[CommunityPiece],
    result: CommunityResult,
    spec: CommunitySpec,
    origin: Origin,
    points: Sequence[FairPoint],
) -> list[Path]:
    """Flows, price, gain per home, the costs that explain it, and how even the gains are."""
    from ems.report.community import CommunitySteps
    from ems.report.figures.community import (
        community_flows,
        community_price,
        four_costs,
        gain_per_home,
        gini_against_cost,
    )
    from ems.report.figures.page import save

    steps = CommunitySteps.of(pieces, spec.settled_mode)
    known = "on forecasts" if spec.foresight == "forecast" else "perfect foresight"
    said: dict[str, Any] = {
        "what": counted(len(result.homes), "home"),
        "note": f"{spec.rule}, {spec.key}, tariff {spec.tariff.name}, {known}",
        "origin": origin,
    }
    figures = {
        "community_flows": community_flows(steps, **said),
        "community_price": community_price(steps, **said),
        "gain_per_home": gain_per_home(result, **said),
        "four_costs": four_costs(result, spec, **said),
        "gini_against_cost": gini_against_cost(points, **said),
    }
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def play(
    file: Path,
    pieces: Sequence[CommunityPiece],
    result: CommunityResult,
    spec: CommunitySpec,
    origin: Origin,
    points: Sequence[FairPoint],
) -> Path:
    """The page that plays the community back."""
    from ems.report.playback import write_playback

    return write_playback(pieces, result, spec, file, origin=origin, points=points)


def close(kept: KeptRun, pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> None:
    """Write the ledger of the way that is settled, and say its root."""
    from ems.pipelines.community import booked

    ledger = booked(pieces, spec.settled_mode)
    file = ledger.write(kept.where.results / "ledgers" / f"community_{kept.row.run_id}.jsonl")
    kept.tracked.artifact(file)
    say(kept.out, f"ledger    {near(file)}")
    say(kept.out, f"root      {ledger.root}")
    checked_by = f"python scripts/04_community.py verify {near(file)} --root {ledger.root}"
    kept.out.print(f"check it  {checked_by}", soft_wrap=True)  # one line, to be copied


@command
class VerifyOptions:
    """The command line of ``verify``."""

    words: Unnamed = option("", ())
    root: str | None = option("the root that others hold: the ledger must end with it", None)


def verify() -> None:
    """Check every line of a ledger, its daily roots and, if given, the last of them."""
    from ems.community.ledger import Ledger

    sys.argv.pop(1)
    asked = parsed(
        VerifyOptions, verify.__doc__, config=False, words=("LEDGER", "a file of results/ledgers")
    )
    if len(asked.words) != 1:
        raise InvalidSpec(f"verify needs one LEDGER file, {len(asked.words)} are given")
    ledger = Ledger.read(as_path(asked.words[0]))
    if asked.root is not None:
        ledger.require_root(asked.root)
    out = console()
    told = "" if asked.root is not None else "; give --root to compare it with what others hold"
    say(
        out, f"{counted(len(ledger.lines), 'line')}, {counted(len(ledger.roots), 'day')}: unchanged"
    )
    say(out, f"root      {ledger.root}{told}")


def show(out: Console, result: CommunityResult, spec: CommunitySpec) -> None:
    """The homes, the costs that explain the result, and whether it is fair."""
    from ems.community.community import LABELS

    title = f"{counted(len(result.homes), 'home')}, {LABELS[spec.settled_mode]}, {spec.rule}"
    cells = HOME_CELLS if any(home.handed_eur for home in result.homes) else _without_handed()
    rows = [[home.name, *(cell(home) for cell in cells.values())] for home in result.homes]
    show_table(out, title, ["home", *cells], rows)
    costs = [
        [LABELS[row.mode], *(cell(row) for cell in MODE_CELLS.values())] for row in result.modes
    ]
    show_table(out, "what it costs all homes, stores put back", ["way", *MODE_CELLS], costs)
    for row in result.modes:
        if row.how:
            say(out, f"rules     {LABELS[row.mode]}: {row.how}")
    for row in result.modes:
        if row.gap_eur > NEAR * abs(row.cost_eur):
            say(
                out,
                f"gap       {LABELS[row.mode]}: its plans cost at most {number(row.gap_eur, 2)} € "
                "more than the least possible",
            )
    say(out, explained(result, spec))
    if spec.foresight == "forecast":
        say(out, lived_words(result))
    say(out, fair_words(result))
    say(
        out,
        f"loads     coincidence {result.coincidence:.2f} (peak of the sum by sum of the peaks)",
    )
    if result.worthless_steps:
        say(
            out,
            f"pool      worthless in {result.worthless_steps} of {result.n_steps} steps: the fee "
            "is at least what sharing could gain",
            style="bold",
        )


def _without_handed() -> Mapping[str, Callable[[HomeRow], str]]:
    """The columns where nobody hands anything over."""
    return {head: cell for head, cell in HOME_CELLS.items() if head != "handed €"}


def lived_words(result: CommunityResult) -> str:
    """What planning on forecasts is worth, alone and together, against the same rules."""
    alone_eur, shared_eur = (result.cost_eur(mode) for mode in ("rule_alone", "rule_together"))
    told = (
        ("alone", alone_eur - result.cost_eur("forecast_alone"), "the best rules alone"),
        ("shared", shared_eur - result.cost_eur("forecast_shared"), "the best rule together"),
        ("together", shared_eur - result.cost_eur("forecast_together"), "the best rule together"),
    )
    worth = (f"{what} {number(eur, 2)} € against {bar}" for what, eur, bar in told)
    return f"forecasts {'; '.join(worth)}"


def explained(result: CommunityResult, spec: CommunitySpec) -> str:
    """What planning and what sharing is worth against the best rules alone."""
    alone_eur = result.cost_eur("rule_alone")
    told = (
        ("planning alone", "alone"),
        ("sharing with the best rule", "rule_together"),
        ("sharing as planned alone", "alone_shared"),
        ("planning together", spec.settled_mode),
    )
    worth = (f"{what} {number(alone_eur - result.cost_eur(mode), 2)} €" for what, mode in told)
    return f"worth     {', '.join(worth)}"


def fair_words(result: CommunityResult) -> str:
    """Whether anyone is worse off than alone, how unequal the gains are, who would leave."""
    from ems.pipelines.community_totals import LEAST_LOSS_EUR

    least = min(result.homes, key=lambda home: home.gain_eur)
    losers = [home for home in result.homes if home.gain_eur < -LEAST_LOSS_EUR]
    if losers:
        told = ", ".join(f"{h.name} {number(h.gain_eur, 2)} €" for h in losers[:3])
        told = f"{len(losers)} of {len(result.homes)} worse off than alone: {told}"
    else:
        gain = f"{least.name} {number(least.gain_eur, 2)} €"
        told = f"nobody is worse off than alone; least gain {gain}; Gini of gains {result.gini:.2f}"
    return f"fairness  {told}; {leaving_words(result)}"


def leaving_words(result: CommunityResult) -> str:
    """Whether some homes would have more of what sharing gains on their own."""
    leaving = result.leaving
    if leaving.coalitions:
        first = " and ".join(result.homes[place].name for place in leaving.coalitions[0])
        return f"{first} would share {number(leaving.more_eur[0], 2)} € more on their own"
    if leaving.in_core:
        return "no group would gain more on its own (core)"
    return "no home or pair would gain more on its own"


if __name__ == "__main__":
    run(main)
