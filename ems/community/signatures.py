"""Signatures of homes under their entries of a ledger (Ed25519, RFC 8032).

A home signs its own day before it is booked, with a key that need not leave the home: ``sign`` of
``Ledger.close_day`` takes ``key.sign``. Whoever holds the homes' public keys can then tell that no
entry was written in their names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ems.community.ledger import Ledger, message
from ems.errors import DataError


def require_signatures(ledger: Ledger, keys: Mapping[str, Ed25519PublicKey]) -> None:
    """Raise ``DataError``, naming the line, unless all homes of ``keys`` signed all their entries.

    ``keys``: public keys by home; the entries of other homes are not looked at.
    """
    for number, line in enumerate(ledger.lines, start=1):
        entry = json.loads(line)
        key = keys.get(entry.get("home", ""))
        if key is None:
            continue
        where = f"ledger: line {number}: {entry['home']}, {entry['day']}:"
        if "signature" not in entry:
            raise DataError(f"{where} the entry is not signed")
        try:
            key.verify(bytes.fromhex(entry["signature"]), message(entry))
        except (InvalidSignature, ValueError) as error:
            raise DataError(f"{where} the signature is not that of the home's key") from error
