"""What was booked, so that a closed entry cannot be changed unseen.

A line is canonical JSON with the SHA-256 of the line before it and itself, so the first line that
was changed, cut, moved or added is found. An entry is a home's day: its energies in Wh and its
bill in µ€, step by step. A day is closed by the root of a Merkle tree over the root before it and
the day's entries (RFC 6962): whoever holds the last root can check the whole ledger, and one entry
can be proven to belong to it without showing the others.

It does not prove a meter honest, nor stop a sole operator from writing everything anew: others must
hold the daily root.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ems.errors import DataError
from ems.types import Ints

EMPTY_ROOT = hashlib.sha256(b"").hexdigest()
"""The root before the first day: of a tree without leaves."""
SERIES = ("import_wh", "export_wh", "received_wh", "supplied_wh", "bill_micro_eur")
TOTALS = ("invoice_micro_eur", "fee_micro_eur")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """That an entry is in the day that a root closes.

    ``entry``: its canonical text; ``place`` among ``n_leaves`` of the tree, the root before it
    being leaf 0; ``path``: hashes from the leaf to the root, hexadecimal.
    """

    entry: str
    place: int
    n_leaves: int
    path: tuple[str, ...]

    def root(self) -> str:
        """The root that the entry and the path lead to."""
        node = _leaf(self.entry)
        for from_left, sibling in zip(_sides(self.place, self.n_leaves), self.path, strict=True):
            other = bytes.fromhex(sibling)
            node = _node(other, node) if from_left else _node(node, other)
        return node.hex()

    def require(self, root: str) -> None:
        """Raise ``DataError`` unless the entry is in the tree with this root."""
        if self.root() != root:
            raise DataError(f"ledger: the entry is not in the day closed by root {root[:16]}…")


class Ledger:
    """The lines of a ledger, written day by day."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.roots: dict[str, str] = {}
        self._chain = EMPTY_ROOT

    @property
    def root(self) -> str:
        """The root that closed the last day."""
        return next(reversed(self.roots.values()), EMPTY_ROOT)

    def close_day(
        self,
        day: str,
        homes: Mapping[str, Mapping[str, Ints]],
        totals: Mapping[str, Ints],
        sign: Mapping[str, Callable[[bytes], bytes]] | None = None,
    ) -> str:
        """Book a day and return the root that closes it.

        ``homes``: by name, ``SERIES`` of each step; ``totals``: ``TOTALS`` of each step; ``sign``:
        of the homes that sign, what makes a signature of a message, see
        ``ems.community.signatures``. Raises ``DataError`` for a day that is closed already, and
        where the bills of a step are not what supplier and fee take.
        """
        if day in self.roots:
            raise DataError(f"ledger: {day} is closed already; a closed day is not booked again")
        entries: list[dict[str, Any]] = [
            {"day": day, "home": home, **{name: _whole(series[name]) for name in SERIES}}
            for home, series in homes.items()
        ]
        for entry in entries:
            if sign and entry["home"] in sign:
                entry["signature"] = sign[entry["home"]](message(entry)).hex()
        closing = {name: _whole(totals[name]) for name in TOTALS}
        _require_closed(day, entries, closing)
        root = merkle_root([self.root, *(canonical(entry) for entry in entries)])
        for entry in entries:
            self._append(entry)
        self._append({"closes": day, **closing, "before": self.root, "root": root})
        self.roots[day] = root
        return root

    def _append(self, content: Mapping[str, Any]) -> None:
        self._chain = _chained(self._chain, canonical(content))
        self.lines.append(canonical({**content, "chain": self._chain}))

    def proof(self, day: str, home: str) -> Proof:
        """That a home's day was booked. Raises ``DataError`` for an unknown day or home."""
        before, found = EMPTY_ROOT, list[str]()
        for line in self.lines:
            content = _content(json.loads(line))
            if content.get("closes") == day:
                break
            if "closes" in content:
                before, found = content["root"], []
            else:
                found.append(canonical(content))
        else:
            raise DataError(f"ledger: {day} is not closed; closed are {', '.join(self.roots)}")
        places = [place for place, text in enumerate(found) if json.loads(text)["home"] == home]
        if not places:
            raise DataError(f"ledger: {home} has no entry on {day}")
        leaves = [before, *found]
        place = places[0] + 1
        path = tuple(node.hex() for node in _path(place, [_leaf(text) for text in leaves]))
        return Proof(entry=leaves[place], place=place, n_leaves=len(leaves), path=path)

    def write(self, file: Path) -> Path:
        """Write the lines; ``DataError`` if that fails."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes("".join(line + "\n" for line in self.lines).encode())
        except OSError as error:
            raise DataError(f"{file}: the ledger cannot be written ({error})") from error
        return file

    @classmethod
    def read(cls, file: Path) -> Ledger:
        """The ledger of a file, verified. Raises ``DataError`` naming the first bad line."""
        try:
            *lines, rest = file.read_bytes().split(b"\n")
        except OSError as error:
            raise DataError(f"{file}: the ledger cannot be read ({error})") from error
        ledger = cls()
        entries: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            where = f"{file}: line {number}"
            content = _parsed(line, where)
            ledger._follow(content, line.decode(), where)
            if "closes" in content:
                ledger._follow_day(content, entries, where)
                entries = []
            else:
                entries.append(content)
        if rest:
            raise DataError(f"{file}: line {len(lines) + 1}: it has no end; the file was cut there")
        if entries:
            raise DataError(
                f"{file}: it ends within {entries[-1].get('day')}: the line that closes the day is "
                "missing"
            )
        return ledger

    def _follow(self, content: Mapping[str, Any], line: str, where: str) -> None:
        """Take over a line if it follows on the ones before."""
        chain = _chained(self._chain, canonical(content))
        if canonical({**content, "chain": chain}) != line:
            raise DataError(
                f"{where}: it does not follow on the lines before: this line was changed, or one "
                "before it cut, moved or added"
            )
        self._chain = chain
        self.lines.append(line)

    def _follow_day(
        self, content: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], where: str
    ) -> None:
        """Take over the root of a day if it is the root of its entries."""
        try:
            _require_closed(str(content["closes"]), entries, content)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"{where}: it closes no day of this kind ({error})") from error
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        root = merkle_root([self.root, *(canonical(entry) for entry in entries)])
        if (content.get("before"), content.get("root")) != (self.root, root):
            raise DataError(f"{where}: its root is not that of the entries of {content['closes']}")
        self.roots[str(content["closes"])] = root

    def require_root(self, root: str) -> None:
        """Raise ``DataError`` unless the ledger ends with this root."""
        if root == self.root:
            return
        known = [day for day, found in self.roots.items() if found == root]
        if known:
            raise DataError(f"ledger: {known[0]} was closed by this root; days were added after it")
        raise DataError(
            f"ledger: it ends with root {self.root}, not with {root}: it was written anew, or cut"
        )


def message(entry: Mapping[str, Any]) -> bytes:
    """What a home signs: its entry, and that it is one of a ledger."""
    unsigned = {name: value for name, value in entry.items() if name not in ("signature", "chain")}
    return b"ems ledger entry\n" + canonical(unsigned).encode()


def canonical(content: Mapping[str, Any]) -> str:
    """One text for one content: keys sorted, no spaces.

    >>> canonical({"b": 1, "a": [2, 3]})
    '{"a":[2,3],"b":1}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def merkle_root(leaves: Sequence[str]) -> str:
    """The root of a Merkle tree over texts, as of RFC 6962; hexadecimal.

    >>> merkle_root([])[:8]
    'e3b0c442'
    """
    if not leaves:
        return EMPTY_ROOT
    return _root([_leaf(text) for text in leaves]).hex()


def _leaf(text: str) -> bytes:
    return hashlib.sha256(b"\x00" + text.encode()).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(n: int) -> int:
    """The largest power of two below ``n``."""
    return 1 << ((n - 1).bit_length() - 1)


def _root(nodes: Sequence[bytes]) -> bytes:
    if len(nodes) == 1:
        return nodes[0]
    k = _split(len(nodes))
    return _node(_root(nodes[:k]), _root(nodes[k:]))


def _path(place: int, nodes: Sequence[bytes]) -> list[bytes]:
    """The siblings from a leaf up to the root."""
    if len(nodes) == 1:
        return []
    k = _split(len(nodes))
    if place < k:
        return [*_path(place, nodes[:k]), _root(nodes[k:])]
    return [*_path(place - k, nodes[k:]), _root(nodes[:k])]


def _sides(place: int, n: int) -> list[bool]:
    """Whether each sibling of ``_path`` stands on the left."""
    if n == 1:
        return []
    k = _split(n)
    return [*_sides(place, k), False] if place < k else [*_sides(place - k, n - k), True]


def _chained(chain: str, text: str) -> str:
    return hashlib.sha256(bytes.fromhex(chain) + text.encode()).hexdigest()


def _whole(values: Ints) -> list[int]:
    return [int(value) for value in values]


def _content(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "chain"}


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: it is no line of a ledger ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"{where}: it is no line of a ledger")
    return _content(found)


def _require_closed(
    day: str, entries: Sequence[Mapping[str, Any]], closing: Mapping[str, Any]
) -> None:
    """Raise ``DataError`` unless the bills of every step are what supplier and fee take."""
    for step, taken in enumerate(zip(*(closing[name] for name in TOTALS), strict=True)):
        billed = sum(entry["bill_micro_eur"][step] for entry in entries)
        if billed != sum(taken):
            raise DataError(
                f"ledger: {day}, step {step}: the bills sum to {billed} µ€, supplier and fee take "
                f"{sum(taken)} µ€"
            )
