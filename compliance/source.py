"""The project's code as syntax trees, with names resolved to where they are defined."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

CODE = ("ems/**/*.py", "scripts/*.py", "notebooks/*.ipynb")
"""What the rules speak of: the package, what a person runs, and what a person reads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One file: ``path`` relative to the project's root, with slashes."""

    path: str
    tree: ast.Module

    @property
    def is_pipeline(self) -> bool:
        """Whether it is a pipeline's script: a name that starts with two digits."""
        folder, _, name = self.path.rpartition("/")
        return folder == "scripts" and name.endswith(".py") and name[:2].isdigit()

    @property
    def module(self) -> str:
        """Its dotted name; scripts import each other without their folder."""
        name = self.path.rpartition(".")[0].replace("/", ".").removesuffix(".__init__")
        return name.removeprefix("scripts.")

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Every name it imports anywhere, as the dotted name of what it stands for."""
        return {
            local: origin
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for local, origin in _imported(node, self.module)
        }

    @cached_property
    def imports(self) -> tuple[tuple[str, int], ...]:
        """Dotted name and line of every import that happens when it runs."""
        only_types = {
            id(inner)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and _is_type_checking(node.test)
            for inner in ast.walk(node)
        }
        return tuple(
            (origin, node.lineno)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in only_types
            for _, origin in _imported(node, self.module)
        )

    def dotted(self, node: ast.AST) -> str | None:
        """What ``a.b.c`` stands for, with ``a`` resolved; None for anything else."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, f"{self.module}.{node.id}")
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return None if before is None else f"{before}.{node.attr}"
        return None

    @cached_property
    def calls(self) -> tuple[tuple[ast.Call, str], ...]:
        """Every call with what is called, resolved as far as names go; ``.m`` for methods."""
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        return tuple((call, self.called(call)) for call in calls)

    def called(self, call: ast.Call) -> str:
        """What a call calls: a dotted name, or ``.m`` where only the method is known."""
        root = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and (root.id in self.names or root is call.func):
            return self.dotted(call.func) or ""
        return f".{call.func.attr}" if isinstance(call.func, ast.Attribute) else ""


def _imported(node: ast.Import | ast.ImportFrom, module: str) -> Iterator[tuple[str, str]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*parents, *filter(None, [node.module]), alias.name])
            yield alias.asname or alias.name, origin
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            yield alias.name.split(".")[0], alias.name.split(".")[0]
            if "." in alias.name:
                yield alias.name, alias.name


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Project:
    """All files of a project."""

    sources: tuple[Source, ...]

    @classmethod
    def read(cls, root: Path) -> Project:
        """The code below ``root``; a notebook is its code cells."""
        return cls.of(texts_below(root))

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Project:
        """A project from the text of its files by their paths."""
        return cls(
            sources=tuple(
                Source(path=path, tree=ast.parse(_code(path, text), filename=path))
                for path, text in texts.items()
            )
        )

    @property
    def pipelines(self) -> tuple[Source, ...]:
        """The scripts of the pipelines."""
        return tuple(source for source in self.sources if source.is_pipeline)

    @cached_property
    def definitions(self) -> Mapping[str, tuple[Source, ast.AST]]:
        """Functions, classes, methods and module-level values by their dotted name."""
        found: dict[str, tuple[Source, ast.AST]] = {}
        for source in self.sources:
            for node in source.tree.body:
                for name, what in _defined(node):
                    found[f"{source.module}.{name}"] = (source, what)
        return found

    @cached_property
    def modules(self) -> Mapping[str, Source]:
        """The files by their dotted names."""
        return {source.module: source for source in self.sources}

    @cache  # noqa: B019 - a project lives as long as the run
    def resolve(self, name: str | None) -> str | None:
        """Where a dotted name is defined, followed through re-exports; None if not here."""
        seen: set[str] = set()
        modules = self.modules
        while name is not None and name not in self.definitions and name not in seen:
            seen.add(name)
            module, _, last = name.rpartition(".")
            behind = modules[module].names.get(last) if module in modules else None
            if behind is None:  # a method of a class that is itself re-exported
                owner = self.resolve(module) if module.count(".") else None
                behind = f"{owner}.{last}" if owner and owner != module else None
            name = behind
        return name if name in self.definitions else None

    @cache  # noqa: B019 - a project lives as long as the run
    def methods(self, owner: str) -> Mapping[str, str]:
        """The methods of a class by their name, its own before those of its bases."""
        source, node = self.definitions.get(owner, (None, None))
        found: dict[str, str] = {}
        if source is not None and isinstance(node, ast.ClassDef):
            for base in node.bases:
                above = self.resolve(source.dotted(base))
                found |= self.methods(above) if above and above != owner else {}
            found |= {
                item.name: f"{owner}.{item.name}"
                for item in node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            }
        return found

    def subclasses(self, base: str) -> tuple[str, ...]:
        """Every class below ``base``, itself among them."""
        return tuple(
            name
            for name, (_, node) in self.definitions.items()
            if isinstance(node, ast.ClassDef) and base in self._ancestors(name)
        )

    def _ancestors(self, name: str) -> set[str]:
        source, node = self.definitions[name]
        found = {name}
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                above = self.resolve(source.dotted(base))
                found |= self._ancestors(above) if above and above != name else set()
        return found


def texts_below(root: Path) -> dict[str, str]:
    """The text of every file that the rules speak of, by its path below ``root``."""
    files = [file for pattern in CODE for file in sorted(root.glob(pattern))]
    return {file.relative_to(root).as_posix(): file.read_text("utf-8") for file in files}


def _defined(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield node.name, node
        case ast.ClassDef():
            yield node.name, node
            for item in node.body:
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{item.name}", item
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case _:
            return


def _code(path: str, text: str) -> str:
    if not path.endswith(".ipynb"):
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)
