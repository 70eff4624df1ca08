"""Who can call whom: rapid type analysis (Bacon and Sweeney 1996, doi:10.1145/236337.236371).

A method can be called where a call of its name and a use of its class are both within reach.
Annotations are no use. What is passed on by its name alone is within reach, as callbacks are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from compliance.source import Project, Source

PROPERTIES = ("property", "cached_property")


@dataclass(frozen=True, kw_only=True)
class Uses:
    """What a piece of code uses: definitions, methods it calls, attributes it reads."""

    definitions: frozenset[str]
    called: frozenset[str]
    read: frozenset[str]


class Reach:
    """Answers what can be reached from where in one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._uses: dict[str, Uses] = {}
        self._found: dict[frozenset[str], frozenset[str]] = {}

    def of(self, *starts: str) -> frozenset[str]:
        """Every definition that can be reached from ``starts``, themselves among them."""
        key = frozenset(starts)
        if key not in self._found:
            self._found[key] = self._follow(key)
        return self._found[key]

    def from_nodes(self, source: Source, nodes: Iterable[ast.AST]) -> frozenset[str]:
        """Every definition that can be reached from a piece of code.

        A method whose receiver is unknown may be of any class that the file names.
        """
        uses = uses_of(self.project, source, nodes)
        known = {self.project.resolve(origin) for origin in source.names.values()}
        classes = [node for node in source.tree.body if isinstance(node, ast.ClassDef)]
        own = {f"{source.module}.{node.name}" for node in classes}
        methods = {
            self.project.methods(name).get(method)
            for name in known | own
            if name is not None
            for method in uses.called
        }
        return self.of(*uses.definitions, *(name for name in methods if name is not None))

    def _follow(self, starts: frozenset[str]) -> frozenset[str]:
        found: set[str] = set()
        called: set[str] = set()
        read: set[str] = set()
        waiting = {*starts, *(_owner(name, self.project) for name in starts)} - {""}
        while waiting:
            for name in waiting:
                uses = self._uses_of(name)
                called |= uses.called
                read |= uses.read
            found |= waiting
            named = {used for name in waiting for used in self._uses_of(name).definitions}
            waiting = (named | set(self._methods(found | named, called, read))) - found
        return frozenset(found)

    def _methods(self, live: set[str], called: set[str], read: set[str]) -> Iterator[str]:
        for name in live:
            for method, full in self.project.methods(name).items():
                _, node = self.project.definitions[full]
                is_dunder = method.startswith("__") and method.endswith("__")
                if is_dunder or method in called or (method in read and _is_property(node)):
                    yield full

    def _uses_of(self, name: str) -> Uses:
        if name not in self._uses:
            source, node = self.project.definitions[name]
            nodes: list[ast.AST] = [node]
            own = self.project.methods(_owner(name, self.project))
            if isinstance(node, ast.ClassDef):  # its methods are followed where they are called
                body = [i for i in node.body if not isinstance(i, ast.FunctionDef)]
                nodes = [*node.bases, *node.decorator_list, *body]
            uses = uses_of(self.project, source, nodes)
            handed_on = {own[name] for name in uses.read if name in own}
            self._uses[name] = replace(uses, definitions=uses.definitions | handed_on)
        return self._uses[name]


@lru_cache(maxsize=1)
def reach_of(project: Project) -> Reach:
    """The reach of one project, shared by all that ask."""
    return Reach(project)


def uses_of(project: Project, source: Source, nodes: Iterable[ast.AST]) -> Uses:
    """What the nodes use, without their annotations."""
    definitions, called, read = set(), set(), set()
    for node in nodes:
        for inner in _without_annotations(node):
            if isinstance(inner, ast.Name | ast.Attribute):
                found = project.resolve(source.dotted(inner))
                definitions |= {found} if found else set()
            if isinstance(inner, ast.Attribute):
                read.add(inner.attr)
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                called.add(inner.func.attr)
    return Uses(definitions=frozenset(definitions), called=frozenset(called), read=frozenset(read))


def _without_annotations(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST):
                yield from _without_annotations(inner)


def _owner(name: str, project: Project) -> str:
    """The class whose method ``name`` is, or nothing."""
    before = name.rpartition(".")[0]
    return before if before in project.definitions else ""


def _is_property(node: ast.AST) -> bool:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(isinstance(d, ast.Name) and d.id in PROPERTIES for d in decorators)
