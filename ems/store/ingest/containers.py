"""Files as people have them: plain, compressed, or several in an archive.

What a file is shows in its first bytes, never in its name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ems.errors import DataError

MOST_BYTES = 2_000_000_000
"""Most bytes that are unpacked from one file."""
_BROKEN: tuple[type[Exception], ...] = (
    *(EOFError, OSError, ValueError, RuntimeError, NotImplementedError, zlib.error),
    *(lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)
_OPENERS: Mapping[bytes, Callable[[io.BytesIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}
"""How to unpack a compressed file, by its first bytes."""
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def files_in(path: Path) -> list[tuple[str, bytes]]:
    """Name and bytes of a file, or of each file in an archive in the order of their names.

    Raises a one-line ``DataError`` for a file that cannot be read, is damaged, encrypted or too
    large, or of a kind that is not unpacked.
    """
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    try:
        return list(_unpacked(path.name, raw))
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: ends in the middle, is damaged or encrypted ({reason}); get it again or "
            "unpack it yourself"
        ) from error


def _unpacked(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    if raw.startswith(b"PK\x03\x04") and not _is_workbook(raw):
        yield from _members(_zipped(raw), name)
    elif raw[257:262] == b"ustar":
        yield from _members(_tarred(raw), name)
    elif raw.startswith(_ZSTANDARD):
        raise DataError(f"{name}: is packed with Zstandard, which is not read; unpack it yourself")
    else:
        opener = next((f for mark, f in _OPENERS.items() if raw.startswith(mark)), None)
        if opener is None:
            yield name, raw
        else:
            yield from _unpacked(name, _limited(opener(io.BytesIO(raw)), name))


def _is_workbook(raw: bytes) -> bool:
    """Whether it is an office document, which only happens to be an archive."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return "[Content_Types].xml" in archive.namelist()


def _zipped(raw: bytes) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, archive.open(member)


def _tarred(raw: bytes) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield member.name, stream


def _members(found: Iterator[tuple[str, IO[bytes]]], name: str) -> list[tuple[str, bytes]]:
    files = [
        (Path(member).name, _limited(stream, name))
        for member, stream in found
        # Hidden files, such as those that macOS adds.
        if not Path(member).name.startswith(".") and "__MACOSX" not in member
    ]
    if not files:
        raise DataError(f"{name}: the archive holds no file")
    return sorted(files)


def _limited(stream: IO[bytes], name: str) -> bytes:
    with stream:
        raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise DataError(f"{name}: unpacks to more than {MOST_BYTES / 1e9:g} GB")
    return raw
