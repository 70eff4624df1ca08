"""A learned policy as plain numbers: a network of a few layers, run by numpy, kept as a zip file.

Nothing is pickled and no torch is needed to follow a policy. The file says for which bidder and
which market it was learned; another market, or another version of the file, is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np

from ems.errors import InvalidSpec
from ems.market.learning.observe import Singles, Spaces
from ems.market.learning.series import AuctionSeries
from ems.types import Floats

VERSION = 1
"""Of the file."""
Output = Literal["prices", "symmetric", "share"]
"""Best of a list of prices, tanh to −1 … 1, or tanh to 0 … 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy:
    """What a bidder does with what it sees: relu layers, then ``output``.

    ``weights``, ``biases``: of each layer, ``(n_in, n_out)`` and ``(n_out,)``. ``prices``: of a
    plant [ticks], else empty. ``fingerprint``: of the market it was learned for.
    """

    bidder: str
    algorithm: str
    output: Output
    weights: tuple[Singles, ...]
    biases: tuple[Singles, ...]
    prices: Floats
    fingerprint: str
    spaces: Spaces

    def act(self, seen: Singles) -> Floats:
        """Actions as ``Runs.advance`` takes them, for observations ``(n, size)``: ``(n,)``."""
        value = seen
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value = value @ weight + bias
            if i < len(self.weights) - 1:
                value = np.maximum(value, 0.0)
        if self.output == "prices":
            best: Floats = self.prices[value.argmax(axis=1)]
            return best
        share: Floats = np.tanh(value[:, 0]).astype(np.float64)
        return share if self.output == "symmetric" else (share + 1.0) / 2.0

    def save(self, path: Path) -> None:
        """Write the file; it is whole or not there."""
        header = {
            "version": VERSION,
            "bidder": self.bidder,
            "algorithm": self.algorithm,
            "output": self.output,
            "fingerprint": self.fingerprint,
            "spaces": vars(self.spaces),
            "n_layers": len(self.weights),
        }
        layers: dict[str, Any] = {f"w{i}": w for i, w in enumerate(self.weights)}
        layers |= {f"b{i}": b for i, b in enumerate(self.biases)}
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez(file, header=np.array(json.dumps(header)), prices=self.prices, **layers)
        part.replace(path)


def load_policy(path: Path, series: AuctionSeries | None = None) -> Policy:
    """The policy of a file, for ``series`` if one is given. Raises ``InvalidSpec``."""
    try:
        with np.load(path, allow_pickle=False) as held:
            parts = {name: held[name] for name in held.files}
        header = json.loads(str(parts["header"]))
        version = header["version"]
    except OSError as reason:
        raise InvalidSpec(
            f"policy {path}: cannot be read: {reason.strerror or 'no such file'}; check the path"
        ) from reason
    except (ValueError, KeyError, TypeError, BadZipFile) as reason:
        raise InvalidSpec(f"policy {path}: is no policy file; train one") from reason
    if version != VERSION:
        raise InvalidSpec(
            f"policy {path}: has version {version}, must be {VERSION}; train it again"
        )
    if series is not None and header["fingerprint"] != series.fingerprint:
        raise InvalidSpec(
            f"policy {path}: was learned for another market ({header['fingerprint']}) than "
            f"{series.name} ({series.fingerprint}); train it on this one"
        )
    layers = range(header["n_layers"])
    return Policy(
        bidder=header["bidder"],
        algorithm=header["algorithm"],
        output=header["output"],
        weights=tuple(parts[f"w{i}"] for i in layers),
        biases=tuple(parts[f"b{i}"] for i in layers),
        prices=parts["prices"],
        fingerprint=header["fingerprint"],
        spaces=Spaces(**header["spaces"]),
    )
