"""A ledger shows that and where a closed entry was changed, and proves one without the others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ems.community.ledger import EMPTY_ROOT, SERIES, Ledger, canonical, merkle_root
from ems.errors import DataError
from ems.types import Ints

HOMES = ("a", "b", "c", "d", "e")


def series(rng: np.random.Generator) -> dict[str, Ints]:
    names = ("import_wh", "export_wh", "received_wh", "supplied_wh", "bill_micro_eur")
    return {name: rng.integers(-50, 900, 3) for name in names}


def ledger(n_days: int = 3) -> Ledger:
    rng, found = np.random.default_rng(0), Ledger()
    for day in range(n_days):
        homes = {home: series(rng) for home in HOMES}
        billed = np.sum([own["bill_micro_eur"] for own in homes.values()], axis=0)
        fee = np.array([5, 0, 7])
        totals = {"invoice_micro_eur": billed - fee, "fee_micro_eur": fee}
        found.close_day(f"2016-06-0{day + 1}", homes, totals)
    return found


def test_the_roots_of_rfc_6962() -> None:
    """The published roots of trees with the inputs "", 00, 10, 2021 of its test vectors."""
    assert merkle_root([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root([]) == EMPTY_ROOT
    empty = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle_root([""]) == empty
    two = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert merkle_root(["", "\x00"]) == two
    three = "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert merkle_root(["", "\x00", "\x10"]) == three


def test_what_is_written_is_read_and_verified(tmp_path: Path) -> None:
    written = ledger()
    read = Ledger.read(written.write(tmp_path / "deep" / "ledger.jsonl"))
    assert read.lines == written.lines
    assert read.root == written.root
    read.require_root(written.root)


def broken(lines: list[str], how: str) -> tuple[list[str], str]:
    """The lines after an attack, and the complaint."""
    follow = "line {}: it does not follow on the lines before"
    flipped = lines[3].replace("1", "2", 1)
    match how:
        case "a byte":
            return [*lines[:3], flipped, *lines[4:]], follow.format(4)
        case "a line cut":
            return [*lines[:2], *lines[3:]], follow.format(3)
        case "moved":
            return [lines[1], lines[0], *lines[2:]], follow.format(1)
        case "said twice":
            return [*lines[:2], lines[1], *lines[2:]], follow.format(3)
        case "added":
            return [*lines, lines[-1]], follow.format(len(lines) + 1)
        case "the end of a day cut":
            return lines[:-1], "it ends within 2016-06-03"
        case "no JSON":
            return [*lines[:5], "{", *lines[6:]], "line 6: it is no line of a ledger"
        case "spaces":
            return [lines[0].replace(":", ": ", 1), *lines[1:]], follow.format(1)
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        *("a byte", "a line cut", "moved", "said twice", "added"),
        *("the end of a day cut", "no JSON", "spaces"),
    ],
)
def test_the_first_bad_line_is_named(how: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    lines, says = broken(ledger().lines, how)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=says):
        Ledger.read(file)


def test_whole_days_cut_or_added_show_at_the_root(tmp_path: Path) -> None:
    """Both files are whole by themselves; only who holds the root sees it."""
    two, three = ledger(2), ledger(3)
    shorter = Ledger.read(two.write(tmp_path / "two.jsonl"))
    with pytest.raises(DataError, match="written anew, or cut"):
        shorter.require_root(three.root)
    longer = Ledger.read(three.write(tmp_path / "three.jsonl"))
    with pytest.raises(DataError, match="2016-06-02 was closed by this root; days were added"):
        longer.require_root(two.root)


@pytest.mark.parametrize("home", HOMES)
def test_one_entry_is_proven_without_the_others(home: str) -> None:
    found = ledger()
    proof = found.proof("2016-06-02", home)
    proof.require(found.roots["2016-06-02"])
    assert json.loads(proof.entry)["home"] == home
    others = set(HOMES) - {home}
    assert not any(f'"{other}"' in proof.entry for other in others)
    changed = json.loads(proof.entry)
    changed["bill_micro_eur"][0] -= 1
    with pytest.raises(DataError, match="the entry is not in the day"):
        replace(proof, entry=canonical(changed)).require(found.roots["2016-06-02"])
    with pytest.raises(DataError, match="the entry is not in the day"):
        proof.require(found.roots["2016-06-01"])


def test_what_does_not_close_is_not_booked() -> None:
    found, own = Ledger(), series(np.random.default_rng(1))
    totals = {"invoice_micro_eur": own["bill_micro_eur"], "fee_micro_eur": np.array([0, 1, 0])}
    with pytest.raises(DataError, match="2016-06-01, step 1: the bills sum to"):
        found.close_day("2016-06-01", {"a": own}, totals)
    assert found.lines == []
    closing = {**totals, "fee_micro_eur": np.zeros(3, dtype=np.int64)}
    found.close_day("2016-06-01", {"a": own}, closing)
    with pytest.raises(DataError, match="closed already"):
        found.close_day("2016-06-01", {"a": own}, closing)
    with pytest.raises(DataError, match="b has no entry"):
        found.proof("2016-06-01", "b")
    with pytest.raises(DataError, match="2016-07-01 is not closed"):
        found.proof("2016-07-01", "a")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Ledger.read(tmp_path / "nothing")
    (tmp_path / "list").write_text("[1]\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: it is no line of a ledger"):
        Ledger.read(tmp_path / "list")


@pytest.mark.parametrize("flip", [0x01, 0x07, 0x20, 0x80])  # 0x07 makes a return of a line's end
def test_every_flipped_byte_names_its_line(tmp_path: Path, flip: int) -> None:
    file = ledger(1).write(tmp_path / "ledger.jsonl")
    good = file.read_bytes()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= flip
        file.write_bytes(bytes(bad))
        with pytest.raises(DataError, match=f"line {good[:place].count(10) + 1}: "):
            Ledger.read(file)


def test_names_may_hold_any_sign(tmp_path: Path) -> None:
    """U+2028 is a line's end to some readers, and not to a ledger."""
    found = Ledger()
    one = {name: np.array([0]) for name in SERIES}
    nothing = {"invoice_micro_eur": np.array([0]), "fee_micro_eur": np.array([0])}
    found.close_day("2016-06-01", {"Haus\u2028Süd": one}, nothing)
    assert Ledger.read(found.write(tmp_path / "ledger.jsonl")).root == found.root
