"""Who signed what: only the home itself can have written an entry in its name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ems.community.ledger import SERIES, Ledger
from ems.community.signatures import require_signatures
from ems.errors import DataError

KEYS = {home: Ed25519PrivateKey.generate() for home in "ab"}
PUBLIC = {home: key.public_key() for home, key in KEYS.items()}


def ledger(signers: str, bill: int = 5) -> Ledger:
    """Of two homes and one step; ``signers`` sign, each with the key at its place in ``KEYS``."""
    keys = {home: key.sign for home, key in zip(signers, KEYS.values(), strict=False)}
    homes = {home: {name: np.array([bill]) for name in SERIES} for home in "ab"}
    totals = {"invoice_micro_eur": np.array([2 * bill]), "fee_micro_eur": np.array([0])}
    found = Ledger()
    found.close_day("2016-06-01", homes, totals, keys)
    return found


def test_signed_entries_are_read_and_verified(tmp_path: Path) -> None:
    read = Ledger.read(ledger("ab").write(tmp_path / "ledger.jsonl"))
    require_signatures(read, PUBLIC)
    require_signatures(ledger(""), {})
    proof = read.proof("2016-06-01", "a")
    assert "signature" in json.loads(proof.entry)
    proof.require(read.root)


def test_who_did_not_sign_is_named() -> None:
    with pytest.raises(DataError, match="line 2: b, 2016-06-01: the entry is not signed"):
        require_signatures(ledger("a"), PUBLIC)
    require_signatures(ledger("a"), {"a": PUBLIC["a"]})


def test_a_signature_of_another_home_or_entry_is_refused() -> None:
    not_his = "line 1: a, 2016-06-01: the signature is not that of the home's key"
    with pytest.raises(DataError, match=not_his):
        require_signatures(ledger("ba"), PUBLIC)
    forged, other = ledger("ab"), ledger("ab", bill=6)
    first = json.loads(forged.lines[0]) | {"signature": json.loads(other.lines[0])["signature"]}
    forged.lines[0] = json.dumps(first)
    with pytest.raises(DataError, match=not_his):
        require_signatures(forged, PUBLIC)
    forged.lines[0] = json.dumps(first | {"signature": "no"})
    with pytest.raises(DataError, match=not_his):
        require_signatures(forged, PUBLIC)
