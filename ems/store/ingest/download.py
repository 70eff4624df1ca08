"""Complete and verified downloads, or a clear reason why not.

``urllib3`` detects a body shorter than its ``Content-Length``; that counts as interrupted.

A file is written next to its target (``name.part``) and renamed only if its length and, if
published, its SHA-256 are right. An interrupted transfer resumes where it stopped if the server
supports it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ems.errors import DataError, InvalidSpec

OPSD_URL = (
    "https://data.open-power-system-data.org/household_data/2020-04-15/"
    "household_data_60min_singleindex.csv"
)
"""OPSD household data, hourly (DOI 10.25832/household_data/2020-04-15)."""

OPSD_SHA256 = "15956440b27465686eae2abf5895cbc3dab80f934a891bcb2f4f944428e97d60"

Progress = Callable[[int, int | None], None]
"""Receives the bytes written so far and the expected total (None if unknown)."""

_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK_BYTES = 1 << 16

logging.getLogger("stamina").addHandler(logging.NullHandler())
# Without a handler Python would print each retry to stderr, between the progress lines.


def silent(_done_bytes: int, _total_bytes: int | None) -> None:
    """Report no progress."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a download waits, and how often it retries.

    ``timeout_s``: maximum silence of the server [s]; ``first_wait_s``: pause after the first
    failure [s], doubled each time up to ``longest_wait_s``, which also limits a server's
    ``Retry-After``.
    """

    attempts: int = 5
    timeout_s: float = 30.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidSpec(f"Patience: attempts = {self.attempts}, must be at least 1")
        for name in ("timeout_s", "first_wait_s", "longest_wait_s"):
            value = getattr(self, name)
            if not value > 0:
                raise InvalidSpec(f"Patience: {name} = {value}, must be above 0")


class _TryAgain(Exception):
    """An attempt failed in a way that may succeed next time; never leaves this module."""

    def __init__(self, seen: str, asked_s: float | None = None) -> None:
        super().__init__(seen)
        self.asked_s = asked_s


def fetch(
    url: str,
    target: Path,
    *,
    remedy: str,
    params: Mapping[str, str] | None = None,
    sha256: str | None = None,
    progress: Progress = silent,
    patience: Patience | None = None,
) -> Path:
    """Download ``url`` to ``target`` and return ``target``; a finished file is not requested again.

    With ``sha256`` an existing file is used only if it has that hash, and a partial one from an
    earlier run is continued; without it, only within this call.

    ``remedy`` ends every error message: what the user can do instead (one clause).

    Raises ``DataError`` if the server refuses, keeps failing, sends another length than announced
    or another hash than ``sha256``, or ``target`` cannot be written.
    """
    if target.is_file() and (sha256 is None or sha256_of(target) == sha256):
        return target
    part = target.with_name(target.name + ".part")
    transfer = _Transfer(url, dict(params or {}), part, progress, patience or Patience(), remedy)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Without a hash nothing proves that the rest belongs to the same file.
        if sha256 is None:
            part.unlink(missing_ok=True)
        transfer.run(sha256)
        part.replace(target)
    except OSError as error:
        raise DataError(f"download: cannot write {target}: {error.strerror or error}") from error
    return target


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Transfer:
    """One URL being written to one ``.part`` file."""

    url: str
    params: Mapping[str, str]
    part: Path
    progress: Progress
    patience: Patience
    remedy: str

    def run(self, sha256: str | None) -> None:
        """Retry until the part file is complete, or raise ``DataError``."""
        import stamina  # imported here, since most starts download nothing

        attempts = stamina.retry_context(
            on=self._pause,
            attempts=self.patience.attempts,
            timeout=None,
            wait_initial=self.patience.first_wait_s,
            wait_max=self.patience.longest_wait_s,
            wait_jitter=0.0,
        )
        try:
            for attempt in attempts:
                with attempt:
                    self._attempt(sha256)
        except _TryAgain as failure:
            raise self._refusal(f"{failure} ({self.patience.attempts} attempts)") from failure

    def _pause(self, error: Exception) -> bool | float:
        """Whether to retry, or the pause requested by the server [s]."""
        if isinstance(error, _TryAgain) and error.asked_s is not None:
            return min(error.asked_s, self.patience.longest_wait_s)
        return isinstance(error, _TryAgain)

    def _refusal(self, seen: str) -> DataError:
        query = "&".join(f"{key}={value}" for key, value in self.params.items())
        asked = f"{self.url}?{query}" if query else self.url
        return DataError(f"download: {asked}: {seen}; check the network, or {self.remedy}")

    def _attempt(self, sha256: str | None) -> None:
        start = self.part.stat().st_size if self.part.exists() else 0
        # identity: Content-Length then counts the bytes that are written.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            with requests.get(
                self.url,
                params=self.params,
                headers=headers,
                stream=True,
                timeout=self.patience.timeout_s,
            ) as response:
                self._check_status(response)
                # 200 instead of 206: the server ignored the range and sends the whole file.
                self._write(response, start if response.status_code == 206 else 0)
        except requests.RequestException as error:
            raise _TryAgain(_in_short(error)) from error
        if sha256 is not None:
            self._check_hash(sha256, resumed=start > 0)

    def _check_status(self, response: Any) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        if status == 416:  # the part is longer than the file, so it is of another file
            self.part.unlink(missing_ok=True)
            raise _TryAgain("HTTP 416: the half-downloaded file does not fit")
        seen = f"HTTP {status} {response.reason or ''}".rstrip()
        if status in _TRANSIENT_STATUS:
            raise _TryAgain(seen, _seconds(response.headers.get("Retry-After")))
        raise self._refusal(seen)

    def _write(self, response: Any, start: int) -> None:
        packed = "Content-Encoding" in response.headers  # then the length is the compressed one
        announced = None if packed else response.headers.get("Content-Length")
        total = None if announced is None else start + int(announced)
        done = start
        with self.part.open("ab" if start else "wb") as file:
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                self.progress(done, total)

    def _check_hash(self, sha256: str, *, resumed: bool) -> None:
        found = sha256_of(self.part)
        if found == sha256:
            return
        self.part.unlink()
        seen = f"SHA-256 is {found}, expected {sha256}"
        if resumed:  # the first part may be of another file: once more from the start
            raise _TryAgain(seen)
        raise self._refusal(f"{seen}: the file is damaged or was changed by its publisher")


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` in seconds; the rare form with a date is ignored."""
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else None


def _in_short(error: Exception) -> str:
    """A short description of a network error, without addresses of Python objects."""
    if isinstance(error, requests.Timeout):
        return "the server fell silent"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
