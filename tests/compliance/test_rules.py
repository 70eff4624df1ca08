"""Each rule of the compliance run on a small program that keeps it and on some that break it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from compliance.rules import Rule, rules
from compliance.source import Project, texts_below

ROOT = Path(__file__).resolve().parents[2]
SOLVER_ROOMS = "ems.core.highs and ems.core.pulp_model"
RULES = {rule.name: rule for rule in rules()}

HOUSE = {
    "ems/agents/base.py": """
        class Agent:
            def contribute(self, block): ...
            def audit(self, plan): ...
    """,
    "ems/agents/battery.py": """
        from ems.agents.base import Agent
        class BatteryAgent(Agent):
            def contribute(self, block): return 1
    """,
    "ems/agents/__init__.py": "from ems.agents.battery import BatteryAgent",
    "ems/core/program.py": "class Program:\n    def solve(self): ...",
    "ems/agents/dispatch_plan.py": "class DispatchPlan: ...",
    "ems/control/optimizer.py": """
        from ems.core.program import Program
        from ems.agents.dispatch_plan import DispatchPlan
        class GlobalOptimizer:
            def __init__(self, agents): self.agents = agents
            def optimize_centralized(self):
                for agent in self.agents:
                    agent.contribute(Program())
                return DispatchPlan()
    """,
    "ems/learning/habit.py": "class PmfUpdate: ...",
    "ems/learning/probability_model.py": """
        from ems.learning.habit import PmfUpdate
        class ProbabilityModelAgent:
            def train(self, runs): return [self.update(day) for day in runs]
            def update(self, day): return PmfUpdate()
            def predict(self, day): ...
    """,
    "ems/store/connection.py": """
        import duckdb
        def get_con(path): return duckdb.connect(path)
    """,
    "ems/store/results.py": """
        def append_days(rows): ...
        def append_pmf_updates(rows): ...
    """,
    "ems/tracking.py": """
        from contextlib import contextmanager
        import mlflow
        @contextmanager
        def pipeline_run(name):
            try:
                yield mlflow
            except Exception:
                raise
    """,
    "ems/site/building.py": """
        from ems.agents import BatteryAgent
        def devices(): return [BatteryAgent()]
    """,
    "ems/pipelines/days.py": """
        from ems.control.optimizer import GlobalOptimizer
        from ems.site.building import devices
        class Days:
            def run(self):
                return GlobalOptimizer(devices()).optimize_centralized()
    """,
}
PLANNING = """
    from console import run
    def main():
        from ems.pipelines.days import Days
        from ems.store.connection import get_con
        from ems.store.results import append_days
        from ems.tracking import pipeline_run
        con = get_con("x")
        tracked = pipeline_run("mine")
        with tracked as run_:
            append_days(Days().run())
    run(main)
"""
LEARNING = """
    from ems.learning.probability_model import ProbabilityModelAgent
    from ems.store.connection import get_con
    from ems.store.results import append_pmf_updates
    from ems.tracking import pipeline_run
    def main():
        with pipeline_run("mine"):
            append_pmf_updates(ProbabilityModelAgent().train(get_con("x")))
"""


def project(files: Mapping[str, str] = {}, **pipeline: str) -> Project:
    """The small house with a pipeline that plans, one that learns, and some files of its own."""
    texts = {
        **HOUSE,
        "scripts/01_plan.py": pipeline.get("plan", PLANNING),
        "scripts/02_learn.py": pipeline.get("learn", LEARNING),
        **files,
    }
    return Project.of({path: dedent(text) for path, text in texts.items()})


def found(rule: str, of: Project) -> list[str]:
    return [str(finding) for finding in RULES[rule].check(of)]


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) >= 1, old
    return text.replace(old, new)


@pytest.fixture(scope="module")
def ours() -> Project:
    return Project.read(ROOT)


@pytest.mark.smoke
@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_our_own_code_keeps_every_rule(ours: Project, rule: Rule) -> None:
    assert len(ours.pipelines) >= 3
    assert [str(finding) for finding in rule.check(ours)] == []


@pytest.mark.parametrize(
    ("rule", "pattern", "new", "line"),
    [
        (
            "plans",
            r"\bGlobalOptimizer\(",
            "Planner(",
            "scripts/01_run.py:1: stores plans that GlobalOptimizer did not make",
        ),
        (
            "failures",
            r"raise (SolveError|Infeasible)\(f.\{where\}.*",
            "return",
            "ems/pipelines/comparison.py",
        ),
        ("tracking", r"\bpipeline_run\(", "other_run(", "scripts/03_"),
        ("learning", r"\.train\(", ".learn(", "scripts/02_integrated_pipeline.py:1: stores habits"),
        ("data", r"\bget_con\b", "connect", "scripts/01_run.py:1: does not read its data"),
    ],
)
def test_our_own_code_would_be_caught(rule: str, pattern: str, new: str, line: str) -> None:
    texts = {path: re.sub(pattern, new, text) for path, text in texts_below(ROOT).items()}
    assert any(finding.startswith(line) for finding in found(rule, Project.of(texts)))


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_small_house_keeps_every_rule(rule: str) -> None:
    assert found(rule, project()) == []


ASKED = """
    import ems.agents as of
    def f(a): return isinstance(a, (int, of.BatteryAgent))
"""
MATCHED = """
    from ems.agents import BatteryAgent
    match a:
        case BatteryAgent(name="x"): pass
"""
BROKEN = {
    "a pipeline that does nothing": (
        "plans",
        project(plan=changed(PLANNING, "append_days(Days().run())", "print(Days)")),
        "scripts/01_plan.py:1: neither plans through GlobalOptimizer nor trains a habit model",
    ),
    "rows from nowhere": (
        "plans",
        project(
            learn=LEARNING + "    from ems.store.results import append_days\n    append_days(1)"
        ),
        "scripts/02_learn.py:1: stores plans that GlobalOptimizer did not make",
    ),
    "no agent": (
        "plans",
        project({"ems/agents/battery.py": "class BatteryAgent: ..."}),
        "scripts/01_plan.py:1: plans without any agent",
    ),
    "a program of its own": (
        "plans",
        project(
            {"ems/pipelines/mine.py": "from ems.core.program import Program\nProgram().solve()"}
        ),
        "ems/pipelines/mine.py:2: Program is for GlobalOptimizer alone",
    ),
    "a schedule made by hand in a notebook": (
        "plans",
        Project.of(
            {
                **{path: dedent(text) for path, text in HOUSE.items()},
                "notebooks/x.ipynb": '{"cells": [{"cell_type": "code", "source": ["%time\\n", '
                '"from ems.agents.dispatch_plan import DispatchPlan as S\\n", "S()"]}]}',
            }
        ),
        "notebooks/x.ipynb:3: DispatchPlan is for GlobalOptimizer alone",
    ),
    "habits from nowhere": (
        "learning",
        project(learn=changed(LEARNING, "ProbabilityModelAgent().train", "list")),
        "scripts/02_learn.py:1: stores habits that ProbabilityModelAgent.train did not learn",
    ),
    "an update made by hand": (
        "learning",
        project({"ems/pipelines/mine.py": "import ems.learning.habit as h\nh.PmfUpdate()"}),
        "ems/pipelines/mine.py:2: PmfUpdate is for ems.learning alone",
    ),
    "another solver": (
        "adapters",
        project({"ems/pipelines/mine.py": "def f():\n    from scipy.optimize import milp"}),
        f"ems/pipelines/mine.py:2: uses scipy.optimize.milp, which is for {SOLVER_ROOMS}",
    ),
    "another solver by its module": (
        "adapters",
        project({"ems/pipelines/mine.py": "from scipy import optimize as o\no.linprog(1)"}),
        f"ems/pipelines/mine.py:2: uses scipy.optimize.linprog, which is for "
        f"{SOLVER_ROOMS} and ems.community.splits",
    ),
    "a pipeline with its own tracking": (
        "adapters",
        project(plan=PLANNING + "    import mlflow"),
        "scripts/01_plan.py:13: uses mlflow, which is for ems.tracking and ems.deployment",
    ),
    "the package imports a script": (
        "adapters",
        project({"ems/pipelines/mine.py": "import scripts.console"}),
        "ems/pipelines/mine.py:1: imports scripts: the package knows nothing above it",
    ),
    "a pipeline that is not tracked": (
        "tracking",
        project(plan=changed(PLANNING, "with tracked as run_", "with open('x') as run_")),
        "scripts/01_plan.py:1: has no `with pipeline_run(…)`: its runs are not tracked",
    ),
    "tracking that can be switched off": (
        "tracking",
        project(
            learn=changed(LEARNING, "    with pipe", "    if wanted:\n         with pipe").replace(
                "        append", "              append"
            )
        ),
        "scripts/02_learn.py:8: tracks only under a condition",
    ),
    "work before the tracking starts": (
        "tracking",
        project(
            plan=changed(PLANNING, "tracked = ", "days = Days().run(); tracked = ").replace(
                "append_days(Days().run())", "append_days(days)"
            )
        ),
        "scripts/01_plan.py:10: plans and trains outside `with pipeline_run(…)`",
    ),
    "data from a file": (
        "data",
        project(plan=PLANNING + "    import pandas as pd; pd.read_parquet('x')"),
        "scripts/01_plan.py:13: pandas.read_parquet reads data beside get_con()",
    ),
    "a connection of its own": (
        "data",
        project({"ems/pipelines/mine.py": "from duckdb import connect as c\nc('x')"}),
        "ems/pipelines/mine.py:2: duckdb.connect: open the database with get_con()",
    ),
    "no data from the store": (
        "data",
        project(learn=changed(LEARNING, 'get_con("x")', "[]")),
        "scripts/02_learn.py:1: does not read its data through get_con()",
    ),
    "a device that is asked for its kind": (
        "devices",
        project({"ems/report/a.py": ASKED}),
        "ems/report/a.py:3: asks whether an agent is a BatteryAgent",
    ),
    "a device that is matched": (
        "devices",
        project({"scripts/a.py": MATCHED}),
        "scripts/a.py:4: asks whether an agent is a BatteryAgent",
    ),
    "a device that is known by its class": (
        "devices",
        project({"ems/pipelines/a.py": "from ems.agents.battery import BatteryAgent"}),
        "ems/pipelines/a.py:1: imports BatteryAgent, which is for its own file",
    ),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_program_that_breaks_a_rule_is_found(name: str) -> None:
    rule, broken, line = BROKEN[name]
    assert line in found(rule, broken)


CSV = {
    "frame.to_csv('x')": "to_csv",
    "import csv\ncsv.writer(f)": "writer",
    "from csv import DictWriter as D\nD(f)": "DictWriter",
    "import numpy as np\nnp.savetxt(f, x)": "savetxt",
    "open('a.csv', 'w')": "open",
    "open('a.csv.gz', mode='xb')": "open",
    "(folder / f'{name}.csv').open('a')": "open",
    "(folder / 'a.csv').write_text(text)": "write_text",
    "con.execute(f'copy {table} to x (format csv)')": "COPY … TO",
    "con.sql('FROM t').write_csv('x')": "write_csv",
}


@pytest.mark.parametrize("text", sorted(CSV))
@pytest.mark.parametrize("path", ["scripts/look.py", "ems/report/table.py"])
def test_a_csv_that_is_written_is_found(text: str, path: str) -> None:
    (finding,) = found("no CSV", project({path: text}))
    assert finding.startswith(f"{path}:{len(text.splitlines())}: {CSV[text]} writes")


@pytest.mark.parametrize(
    "text",
    [
        '"""Never COPY a table TO a CSV."""',
        "open('a.csv')",
        "open('a.csv', 'rb')",
        "open('a.txt', 'w')",
        "(folder / 'a.svg').write_text(text)",
        "con.execute('INSERT INTO copy SELECT 1')",
    ],
)
def test_what_is_no_csv_written_is_left_alone(text: str) -> None:
    assert found("no CSV", project({"scripts/look.py": text})) == []


PLANS = "Days().run()"
SWALLOWED = {
    "a pass": f"try:\n    {PLANS}\nexcept ValueError:\n    pass",
    "a group": f"try:\n    {PLANS}\nexcept* ValueError:\n    pass",
    "a log": f"try:\n    {PLANS}\nexcept Exception as e:\n    print(e)",
    "another answer": f"def f():\n    try:\n        return {PLANS}\n"
    "    except E:\n        return None",
    "only sometimes": f"try:\n    {PLANS}\nexcept E:\n    if x:\n        raise",
    "a continue": f"for d in x:\n    try:\n        {PLANS}\n    except E:\n        if d: continue\n"
    "        raise",
    "one of two handlers": f"try:\n    {PLANS}\nexcept A:\n    raise\nexcept B:\n    x = 0",
    "an exit that says all is well": f"import sys\ntry:\n    {PLANS}\nexcept A:\n    sys.exit(0)",
    "a suppress": f"import contextlib\nwith contextlib.suppress(ValueError):\n    {PLANS}",
    "a finally that returns": f"def f():\n    try:\n        {PLANS}\n"
    "    finally:\n        return 1",
    "a method of an unknown object": "def f(days: Days):\n    try:\n        days.run()\n"
    "    except E:\n        pass",
    "through a function": f"def plan():\n    return {PLANS}\n"
    "def f():\n    try:\n        plan()\n    except E:\n        pass",
    "as a callback": f"def plan():\n    return {PLANS}\n"
    "def f():\n    try:\n        list(map(plan, x))\n    except E:\n        pass",
    "a context manager": "from contextlib import contextmanager\n@contextmanager\ndef calm():\n"
    "    try:\n        yield\n    except E:\n        print('never mind')",
    "an agent": "from ems.agents import BatteryAgent\ntry:\n    BatteryAgent().audit(1)\n"
    "except E:\n    ok = False",
    "a training": "from ems.learning.probability_model import ProbabilityModelAgent as P\ntry:\n"
    "    P().train([])\nexcept E:\n    pass",
}
IMPORT = "from ems.pipelines.days import Days\n"


@pytest.mark.parametrize("name", sorted(SWALLOWED))
@pytest.mark.parametrize("path", ["scripts/look.py", "ems/pipelines/mine.py"])
def test_a_swallowed_failure_is_found(name: str, path: str) -> None:
    (finding,) = found("failures", project({path: IMPORT + SWALLOWED[name]}))
    assert finding.startswith(path)


@pytest.mark.parametrize(
    "text",
    [
        f"try:\n    {PLANS}\nexcept A as e:\n    raise B from e",
        f"try:\n    {PLANS}\nexcept A:\n    close()\n    raise",
        f"try:\n    {PLANS}\nexcept A:\n    if x:\n        raise\n    else:\n        raise B",
        f"try:\n    {PLANS}\nfinally:\n    close()",
        f"import sys\ntry:\n    {PLANS}\nexcept A:\n    sys.exit(2)",
        "try:\n    int(text)\nexcept ValueError:\n    x = 0",
        f"try:\n    int(text)\nexcept ValueError:\n    x = 0\nelse:\n    {PLANS}",
        "import contextlib\nwith contextlib.suppress(OSError):\n    file.unlink()",
        "def f():\n    try:\n        yield\n    except GeneratorExit:\n        pass",
    ],
)
def test_what_hides_no_failure_is_left_alone(text: str) -> None:
    assert found("failures", project({"scripts/look.py": IMPORT + text})) == []


def test_only_scripts_with_a_number_are_pipelines() -> None:
    names = ("scripts/01_run.py", "scripts/rerun.py", "ems/01_x.py", "scripts/2_x.py")
    of = Project.of(dict.fromkeys(names, ""))
    assert [source.path for source in of.pipelines] == ["scripts/01_run.py"]


def test_a_name_may_be_exported_by_its_package() -> None:
    """``ems.tracking`` as a package that hands its function on."""
    files = {path: text for path, text in HOUSE.items() if path != "ems/tracking.py"}
    files |= {
        "ems/tracking/__init__.py": "from ems.tracking.run import pipeline_run",
        "ems/tracking/run.py": HOUSE["ems/tracking.py"],
        "scripts/01_plan.py": PLANNING.replace("ems.tracking import", "ems.tracking.run import"),
        "scripts/02_learn.py": LEARNING,
    }
    of = Project.of({path: dedent(text) for path, text in files.items()})
    assert found("tracking", of) == []


def test_what_only_types_need_is_no_import() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import duckdb\n"
    assert found("adapters", project({"ems/pipelines/mine.py": text})) == []
    assert found("adapters", project({"ems/pipelines/mine.py": text + "import duckdb"})) != []
