"""Libraries that only some parts need: one line that names the file which brings them."""

from __future__ import annotations

from importlib.util import find_spec

from ems.errors import EmsError


class MissingLibrary(EmsError):
    """A library that this part needs is not installed."""


def require(module: str, file: str) -> None:
    """Raise ``MissingLibrary`` if ``module`` cannot be imported; ``file`` brings it.

    >>> require("numpy", "requirements.txt")
    >>> require("numpi", "requirements.txt")
    Traceback (most recent call last):
        ...
    ems.extras.MissingLibrary: numpi is not installed; pip install -r requirements.txt
    """
    if find_spec(module) is None:
        raise MissingLibrary(f"{module} is not installed; pip install -r {file}")
