"""Does a wrong number fail a test? Each default and coefficient is changed, one at a time.

    python benchmarks/mutation.py                      # all, about an hour on one core
    python benchmarks/mutation.py battery tariffs      # files whose path holds one of these words

In a copy of the tree one number of the agents, the settlement, the tariffs' code or the tariffs'
figures is changed (24 -> 25, 0.02 -> 0.03, 0.0 -> 0.5, inf -> 10, a default True -> False), and
the quick tests run until one fails. What passes them all is printed: a test is missing, or the
change is of no matter, and then it stands in ``OF_NO_MATTER`` with the reason. POSIX only: each
run is a fork that finds the libraries already imported.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = ("ems/agents/*.py", "ems/economics/settlement.py", "ems/economics/tariff.py")
SENTENCES = ("priced.py", "store_reasons.py", "words.py")
"""Modules of the agents that only tell of a plan: the page's tests read them."""
FIGURES = "ems/economics/tariffs/*.toml"
NEEDED = ("ems", "tests", "docs", "scripts", "benchmarks", "README.md", "pyproject.toml")
TESTS = (
    "tests/economics/test_known_bills.py",
    "tests/agents/test_defaults.py",
    "tests/agents/test_known_values.py",
    "tests/economics/test_tariff.py",
    "tests/economics/test_settlement.py",
    "tests/agents",
    "tests/test_model_document.py",
    "tests/core/test_program.py",
    "tests/control",
    "tests/site",
)
"""The quickest and sharpest first: most changes fail one of them at once."""
LEFT_OUT = ("--ignore=tests/agents/test_added_agent.py",)
"""It tests the page about a device that is not ours."""
LONGEST_S = 900

OF_NO_MATTER: tuple[tuple[str, str], ...] = (
    (r"1e9|10_000", "a bound so wide that only a typing error passes it"),
    (r"ClassVar", "how it is drawn: the figures' tests look at that"),
    (r"np\.round\(", "digits far below the solver's tolerance"),
    (r"reshape\(-1\)", "any negative number means the same"),
    (r"np\.zeros\(0\)", "no power and a power of zero are the same"),
    (r"most_in, most_out", "a looser bound of the switch forbids as much"),
    (
        r"[<>]=? 1e-9|DUST_KW|> 0\.5$",
        "far from what is compared with it",
    ),
    (r'get\("(bill|demand_charge)"', "every plan has a grid, which says both"),
    (r"low_hours: tuple", "only a time-of-use tariff looks at it, and such a file must say it"),
    (r"TOLERANCE \* max", "from which bill on the audit's tolerance is relative"),
)
"""Lines whose numbers may change, as a pattern, and why."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One number of one file, changed."""

    path: str
    line: int
    begin: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.old} -> {self.new}"

    def apply(self, root: Path) -> None:
        """Write the change into the tree at ``root``; columns count bytes, as in ``ast``."""
        file = root / self.path
        lines = file.read_bytes().splitlines(keepends=True)
        text = lines[self.line - 1]
        lines[self.line - 1] = text[: self.begin] + self.new.encode() + text[self.end :]
        file.write_bytes(b"".join(lines))


def changed(value: float) -> str:
    """Another number of the same type."""
    if isinstance(value, int):
        return str(value + 1)
    return repr(1.5 * value if value else 0.5)


def of_code(root: Path, path: Path) -> Iterator[Mutant]:
    """Every number of a module, and the defaults of its classes that are True, False or inf."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # A place in an array is no coefficient, "> 0" asks whether there is any, and sentences about a
    # plan that has prices are for the tests of the page.
    others = {
        id(n) for s in ast.walk(tree) if isinstance(s, ast.Subscript) for n in ast.walk(s.slice)
    }
    others |= {
        id(side)
        for compared in ast.walk(tree)
        if isinstance(compared, ast.Compare)
        for side in (compared.left, *compared.comparators)
        if isinstance(side, ast.Constant) and side.value == 0
    }
    others |= {
        id(inner)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and any(argument.arg == "priced" for argument in function.args.args)
        for inner in ast.walk(function)
    }
    defaults = {
        id(field.value)
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for field in owner.body
        if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.unparse(field.annotation)
    }
    for node in ast.walk(tree):
        new = None
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            new = str(not node.value) if id(node) in defaults else None
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            new = changed(node.value) if id(node) not in others else None
        elif id(node) in defaults and ast.unparse(node) == "np.inf":
            new = "10.0"
        if new is not None and isinstance(node, ast.expr):
            assert node.end_col_offset is not None
            yield Mutant(
                path=str(path.relative_to(root)),
                line=node.lineno,
                begin=node.col_offset,
                end=node.end_col_offset,
                old=ast.unparse(node),
                new=new,
            )


def of_figures(root: Path, path: Path) -> Iterator[Mutant]:
    """Every figure of a tariff file."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        found = re.search(rb"(?:value|_hour) = ([\d.]+)", line)
        if found:
            old = found[1].decode()
            yield Mutant(
                path=str(path.relative_to(root)),
                line=number,
                begin=found.start(1),
                end=found.end(1),
                old=old,
                new=changed(float(old)) if "." in old else changed(int(old)),
            )


def mutants(root: Path, words: list[str]) -> Iterator[Mutant]:
    """All changes to files whose path holds one of ``words``, but for those of no matter."""
    files = [path for pattern in (*CODE, FIGURES) for path in sorted(root.glob(pattern))]
    for path in files:
        if path.name in SENTENCES:
            continue
        if words and not any(word in str(path.relative_to(root)) for word in words):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        for mutant in (of_figures if path.suffix == ".toml" else of_code)(root, path):
            text = lines[mutant.line - 1]
            if not any(re.search(pattern, text) for pattern, _ in OF_NO_MATTER):
                yield mutant


def survives(root: Path) -> bool:
    """Whether the tests pass in the tree at ``root``."""
    child = os.fork()
    if child == 0:
        os.chdir(root)
        sys.path[:0] = [str(root), str(root / "tests")]
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        signal.alarm(LONGEST_S)
        tests = [test for test in TESTS if (root / test).exists()]
        os._exit(
            pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *LEFT_OUT, *tests])
        )
    _, status = os.waitpid(child, 0)
    return status == 0


def main(words: list[str]) -> int:
    """Run all; 1 when something passed."""
    _import_libraries()
    passed: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="ems-mutation-") as folder:
        tree = Path(folder)
        for name in NEEDED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name)
        if not survives(tree):
            print("the tests fail as it is: repair them first")
            return 2
        every = list(mutants(tree, words))
        started = time.perf_counter()
        for mutant in every:
            kept = (tree / mutant.path).read_bytes()
            mutant.apply(tree)
            if survives(tree):
                passed.append(mutant)
                print(mutant, flush=True)
            (tree / mutant.path).write_bytes(kept)
        seconds = time.perf_counter() - started
    print(f"{len(every)} changes, {len(passed)} passed all tests, {seconds:.0f} s")
    return 1 if passed else 0


def _import_libraries() -> None:
    """What every run needs and no change touches."""
    import highspy
    import holidays
    import hypothesis.strategies
    import joblib
    import pandas
    import pulp
    import scipy.optimize
    import sklearn.ensemble

    assert all((highspy, holidays, hypothesis, joblib, pandas, pulp, scipy, sklearn))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
