"""What the code must show, read from its syntax tree.

Each rule is about a category of files, never about a list of them: a pipeline is a script whose
name starts with two digits, an adapter is a room of ``ems``. Each yields a finding a place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compliance.reach import Reach, reach_of
from compliance.source import Project, Source

OPTIMIZER = "ems.control.optimizer.GlobalOptimizer"
AGENT = "ems.agents.base.Agent"
SITE_DEVICE = "ems.agents.on_site.SiteDevice"
GRID = "ems.agents.grid.GridAgent"
"""No device among others: every plan has one, which takes what all others leave."""
HOME = "ems.agents.home.HomeAgent"
"""No device either: a group of agents, which a community is made of."""
BASES = (AGENT, SITE_DEVICE)
LIST_DEVICES = ("ems.site.building", "ems.site.assets", "ems.market")
"""Where a building, and a market, list what they have: the stores of a market are batteries."""
LEARNER = "ems.learning.probability_model.ProbabilityModelAgent"
TRAINS = "ems.market.learning.train.train"
"""What moves a bidder."""
TRACKED = "ems.tracking.pipeline_run"
READ = "ems.store.connection.get_con"
STORES_PLANS = "ems.store.results.append_days"
STORES_HABITS = "ems.store.results.append_pmf_updates"

GROUND_FLOOR = (
    "ems.core",
    "ems.agents",
    "ems.control.optimizer",
    "ems.control.baselines",
)
"""Where programs and schedules are made; whoever stands above asks ``GlobalOptimizer``."""
MADE_BELOW: Mapping[str, tuple[str, ...]] = {
    "ems.core.program.Program": (
        *GROUND_FLOOR,
        "ems.report.page",
    ),  # which asks for prices, not for a plan
    "ems.core.scenario_program.ScenarioProgram": GROUND_FLOOR,
    "ems.agents.dispatch_plan.DispatchPlan": GROUND_FLOOR,
    "ems.core.solve.solve": GROUND_FLOOR,
}
"""Who may make what; ``GROUND_FLOOR`` is the rooms of the optimizer and below."""
SOLVERS = (
    *("pulp", "highspy", "cvxpy", "linopy", "pyomo", "ortools", "gurobipy"),
    *("scipy.optimize.milp", "scipy.optimize.linprog"),
)
ADAPTERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(SOLVERS, ("ems.core.highs", "ems.core.pulp_model")),
    # A game among homes is no plan.
    "scipy.optimize.linprog": ("ems.core.highs", "ems.core.pulp_model", "ems.community.splits"),
    "highspy": ("ems.core.highs", "ems.core.priced", "ems.core.cutting_planes"),
    "duckdb": ("ems.store",),
    "mlflow": ("ems.tracking", "ems.deployment"),
    "matplotlib": ("ems.report",),
    **dict.fromkeys(
        ("requests", "urllib.request"), ("ems.store.ingest", "ems.tracking", "ems.deployment")
    ),
    "sqlite3": ("ems.tracking", "ems.store.ingest.formats"),
    "dask": ("ems.pipelines",),
    "distributed": ("ems.pipelines",),
    "azure": ("ems.deployment",),
    **dict.fromkeys(
        ("fastapi", "starlette", "uvicorn", "httpx", "prometheus_client"), ("ems.services",)
    ),
}
"""Libraries that only their own rooms of ``ems`` may import, and no pipeline's script."""

WRITES_FILES = ("ems.store.export", "ems.store.ingest.formats")
"""Where tables become files that were asked for, and files become the text of a table."""
CSV_WRITERS = frozenset({".to_csv", ".write_csv", "csv.writer", "csv.DictWriter", "numpy.savetxt"})
WRITING = frozenset({".open", ".write_text", ".write_bytes"})
CSV_NAME = re.compile(r"\.(csv|tsv)(\.gz)?$")
WRITE_MODE = re.compile(r"[rbt]*[wax+][rwaxbt+]*")
COPY_TO = re.compile(r"\bCOPY\b.+\bTO\b", re.IGNORECASE | re.DOTALL)
TABLE_READERS = ("csv", "excel", "parquet", "feather", "hdf", "json", "table", "sql", "pickle")
READERS = frozenset(
    {
        *(f"pandas.read_{kind}" for kind in TABLE_READERS),
        *("numpy.loadtxt", "numpy.genfromtxt", "numpy.load", "numpy.fromfile"),
        *("csv.reader", "csv.DictReader", "duckdb.read_csv", "duckdb.read_parquet"),
    }
)
READ_BY = ("ems.store.ingest", "ems.market.learning.policy")
"""Only what fills the database reads files and the network; a learned policy is no data."""
CONNECTS = ("ems.store",)


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """A place in the code and what is wrong there."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: what it is called, what it says, and how it is checked."""

    name: str
    says: str
    check: Callable[[Project], Iterator[Finding]]


def plans_through_agents(project: Project) -> Iterator[Finding]:
    """Every pipeline plans with ``GlobalOptimizer`` and agents; nobody makes a plan beside them."""
    reach = reach_of(project)
    contributes = {
        project.methods(agent).get("contribute") for agent in project.subclasses(AGENT)
    } - {f"{AGENT}.contribute", None}
    for source in project.pipelines:
        within = reach.from_nodes(source, source.tree.body)
        plans, learns = within & _planning(project), within & _learning(project)
        if not plans and not learns:
            yield _at(source, 1, "neither plans through GlobalOptimizer nor trains a habit model")
        if STORES_PLANS in within and not plans:
            yield _at(source, 1, "stores plans that GlobalOptimizer did not make")
        if plans and not within & contributes:
            yield _at(source, 1, "plans without any agent")
    for source in project.sources:
        for call, called in source.calls:
            made = project.resolve(called) or ""
            if made in MADE_BELOW and not _within(source, MADE_BELOW[made]):
                yield _at(source, call.lineno, f"{_last(called)} is for GlobalOptimizer alone")


def learns_through_train(project: Project) -> Iterator[Finding]:
    """What is stored as learned was learned by ``ProbabilityModelAgent.train``."""
    reach = reach_of(project)
    for source in project.pipelines:
        within = reach.from_nodes(source, source.tree.body)
        if STORES_HABITS in within and f"{LEARNER}.train" not in within:
            yield _at(source, 1, "stores habits that ProbabilityModelAgent.train did not learn")
    for source in project.sources:
        if not _within(source, ("ems.learning", "ems.store.frames")):  # which reads them back
            for call, called in source.calls:
                if (project.resolve(called) or "").endswith(".PmfUpdate"):
                    yield _at(source, call.lineno, "PmfUpdate is for ems.learning alone")


def failures_are_raised(project: Project) -> Iterator[Finding]:
    """No ``try`` around a plan or a training goes on after a failure."""
    reach = reach_of(project)
    guarded = _agents_calls(project) | _planning(project) | _learning(project)
    for source in project.sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Try | ast.TryStar) and _covers(
                reach, source, node.body, guarded
            ):
                for handler in node.handlers:
                    if not _always_raises(handler.body):
                        yield _at(source, handler.lineno, "goes on after a failed plan or training")
                if any(isinstance(n, ast.Return | ast.Continue) for n in _inside(node.finalbody)):
                    yield _at(source, node.lineno, "its finally hides a failed plan or training")
            suppresses = isinstance(node, ast.With) and any(
                isinstance(item.context_expr, ast.Call)
                and source.called(item.context_expr) == "contextlib.suppress"
                for item in node.items
            )
            if suppresses and _covers(reach, source, node.body, guarded):  # type: ignore[attr-defined]
                yield _at(source, node.lineno, "suppresses a failed plan or training")  # type: ignore[attr-defined]


def no_csv_is_written(project: Project) -> Iterator[Finding]:
    """Results are rows of a database; as files they are written on request, in one place."""
    for source in project.sources:
        if _within(source, WRITES_FILES):
            continue
        for call, called in source.calls:
            if _writes_csv(call, called):
                yield _at(source, call.lineno, f"{_last(called)} writes a CSV")
        for text, line in _strings(source.tree):
            if COPY_TO.search(text):
                yield _at(source, line, "COPY … TO writes a file")


def data_come_from_the_store(project: Project) -> Iterator[Finding]:
    """Data are read through ``get_con()``; files and the network only where it is filled."""
    reach = reach_of(project)
    for source in project.sources:
        for call, called in source.calls:
            if called == "duckdb.connect" and not _within(source, CONNECTS):
                yield _at(source, call.lineno, "duckdb.connect: open the database with get_con()")
            reads = called in READERS or called.startswith(".read_csv")
            if reads and not _within(source, READ_BY):
                yield _at(source, call.lineno, f"{called} reads data beside get_con()")
    for source in project.pipelines:
        if READ not in reach.from_nodes(source, source.tree.body):
            yield _at(source, 1, "does not read its data through get_con()")


def every_pipeline_is_tracked(project: Project) -> Iterator[Finding]:
    """A pipeline plans and trains inside ``with pipeline_run(…)``, or what opens it."""
    reach = reach_of(project)
    work = _planning(project) | _learning(project) | {TRAINS}
    for source in project.pipelines:
        tracked = list(_tracked_blocks(project, source))
        if not tracked:
            yield _at(source, 1, "has no `with pipeline_run(…)`: its runs are not tracked")
        for node, optional in tracked:
            if optional:
                yield _at(source, node.lineno, "tracks only under a condition")
            if not reach.from_nodes(source, node.body) & work:
                yield _at(source, node.lineno, "plans and trains outside `with pipeline_run(…)`")


def adapters_stand_alone(project: Project) -> Iterator[Finding]:
    """Each outside library has one room; the package knows no scripts and no tests."""
    for source in project.sources:
        if not source.path.startswith("ems/") and not source.is_pipeline:
            continue
        uses = [(called, call.lineno) for call, called in source.calls]
        for origin, line in (*source.imports, *uses):
            for library, rooms in ADAPTERS.items():
                if _below(origin, library) and not _within(source, rooms):
                    yield _at(source, line, f"uses {library}, which is for {' and '.join(rooms)}")
            outside = origin.split(".")[0] in ("scripts", "tests", "notebooks", "compliance")
            if outside and source.path.startswith("ems/"):
                yield _at(source, line, f"imports {origin}: the package knows nothing above it")


def devices_are_one_file(project: Project) -> Iterator[Finding]:
    """Outside of ``ems.agents`` nobody asks an agent for its kind, or knows one by its class."""
    concrete = {name for base in BASES for name in project.subclasses(base)} - {*BASES, GRID, HOME}
    for source in project.sources:
        if _within(source, ("ems.agents",)):
            continue
        for node, kind in _asked_kinds(source):
            known = project.resolve(source.dotted(kind))
            if known in concrete or known in (GRID, HOME):
                yield _at(source, node.lineno, f"asks whether an agent is a {_last(known)}")
        listed = source.module == "ems" or _within(source, LIST_DEVICES)
        if source.path.startswith("ems/") and not listed:
            for origin, line in source.imports:
                if project.resolve(origin) in concrete:
                    yield _at(source, line, f"imports {_last(origin)}, which is for its own file")


def rules() -> tuple[Rule, ...]:
    """Every rule of the syntax tree; that imports point one way is for import-linter to say."""
    checks: Sequence[tuple[str, Callable[[Project], Iterator[Finding]]]] = (
        ("plans", plans_through_agents),
        ("learning", learns_through_train),
        ("failures", failures_are_raised),
        ("no CSV", no_csv_is_written),
        ("data", data_come_from_the_store),
        ("tracking", every_pipeline_is_tracked),
        ("adapters", adapters_stand_alone),
        ("devices", devices_are_one_file),
    )
    return tuple(
        Rule(name=name, says=(check.__doc__ or "").strip(), check=check) for name, check in checks
    )


# --- what the rules speak of --------------------------------------------------------------------


def _planning(project: Project) -> frozenset[str]:
    """The methods of ``GlobalOptimizer`` that plan."""
    methods = project.methods(OPTIMIZER).items()
    return frozenset(full for name, full in methods if name.startswith("optimize_"))


def _learning(project: Project) -> frozenset[str]:
    """What moves a habit model."""
    learner = project.methods(LEARNER)
    return frozenset(learner[name] for name in ("train", "update", "predict") if name in learner)


def _agents_calls(project: Project) -> frozenset[str]:
    """What agents are asked to do, their audits among it."""
    return frozenset(
        full
        for agent in project.subclasses(AGENT)
        for name, full in project.methods(agent).items()
        if not name.startswith("_")
    )


def _asked_kinds(source: Source) -> Iterator[tuple[ast.expr | ast.pattern, ast.expr]]:
    """Every class that an ``isinstance`` or a ``case`` asks for, and where."""
    for call, called in source.calls:
        if called.endswith("isinstance") and len(call.args) == 2:
            for kind in ast.walk(call.args[1]):
                if isinstance(kind, ast.Name | ast.Attribute):
                    yield call, kind
    for node in ast.walk(source.tree):
        if isinstance(node, ast.MatchClass):
            yield node, node.cls


def _covers(
    reach: Reach, source: Source, body: Sequence[ast.stmt], guarded: frozenset[str]
) -> bool:
    """Whether a piece of code plans or trains, itself or as the body of a context manager."""
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _inside(body)):
        return _is_context_manager_body(source, body)
    return bool(reach.from_nodes(source, body) & guarded)


def _is_context_manager_body(source: Source, body: Sequence[ast.stmt]) -> bool:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef) and any(inner is body[0] for inner in ast.walk(node)):
            names = [source.dotted(decorator) for decorator in node.decorator_list]
            if "contextlib.contextmanager" in names:
                return True
    return False


def _always_raises(body: Sequence[ast.stmt]) -> bool:
    """Whether every way through ``body`` ends in an exception or a failing exit."""
    for node in _inside(body):
        if isinstance(node, ast.Return | ast.Continue | ast.Break):
            return False
    return bool(body) and _ends_raising(body[-1])


def _ends_raising(node: ast.stmt) -> bool:
    match node:
        case ast.Raise():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="exit"), args=[status, *_])):
            return not (isinstance(status, ast.Constant) and status.value in (0, None))
        case ast.If(body=body, orelse=orelse):
            return bool(orelse) and _ends_raising(body[-1]) and _ends_raising(orelse[-1])
        case ast.With(body=body):
            return _ends_raising(body[-1])
        case ast.Match(cases=cases):
            return all(_ends_raising(case.body[-1]) for case in cases)
        case _:
            return False


def _tracked_blocks(project: Project, source: Source) -> Iterator[tuple[ast.With, bool]]:
    """Each ``with`` of a pipeline run, and whether a condition stands around it."""
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        runs = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and _is_run(project, source, node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        optional = {
            id(inner)
            for node in ast.walk(function)
            if isinstance(node, ast.If | ast.Try | ast.For | ast.While)
            for inner in ast.walk(node)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.With) and any(
                _is_run(project, source, item.context_expr)
                or (isinstance(item.context_expr, ast.Name) and item.context_expr.id in runs)
                for item in node.items
            ):
                yield node, id(node) in optional


def _is_run(project: Project, source: Source, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = project.resolve(source.called(node))
    return called is not None and project.resolve(TRACKED) in reach_of(project).of(called)


def _inside(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Every node of ``body`` but those of functions defined in it."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _strings(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every text that is not a docstring, with its line; what is put into it as ``{}``."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (
                _texts(part) if isinstance(part, ast.Constant) else ["{}"] for part in node.values
            )
            yield "".join(text for part in parts for text in part), node.lineno
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield "".join(_texts(node)), node.lineno


def _writes_csv(call: ast.Call, called: str) -> bool:
    """Whether a call writes a table as text, or a file whose name says so."""
    method = f".{_last(called)}"
    if called in CSV_WRITERS or method in CSV_WRITERS:
        return True
    if method not in WRITING or not any(CSV_NAME.search(text) for text in _texts(call)):
        return False
    return method != ".open" or any(WRITE_MODE.fullmatch(text) for text in _texts(call))


def _texts(node: ast.AST) -> list[str]:
    """Every text in a piece of code."""
    constants = [inner for inner in ast.walk(node) if isinstance(inner, ast.Constant)]
    return [constant.value for constant in constants if isinstance(constant.value, str)]


def _below(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def _within(source: Source, rooms: Sequence[str]) -> bool:
    return source.path.startswith("ems/") and any(_below(source.module, room) for room in rooms)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _at(source: Source, line: int, what: str) -> Finding:
    return Finding(path=source.path, line=line, what=what)
