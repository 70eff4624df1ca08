"""What a gallery holds: a figure that can be drawn for any paper, or why there is none."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from ems.report.figures.paper import Paper

_NOT_IN_FILES = re.compile(r'[\x00-\x1f\x7f%/\\:*?"<>|]|^\.')
"""What some system does not take in the name of a file, and the dot that hides one."""

_LONGEST = 200
"""Bytes of a name; size, format and checksum follow it, and file systems take 255."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for: kinds of figures or all, one building or all, whose plan maps show."""

    kinds: Sequence[str] | None = None
    building: str | None = None
    mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure by its name; ``draw`` takes the paper as ``paper``."""

    name: str
    draw: Callable[..., Figure]

    @property
    def file_stem(self) -> str:
        """The name as one of a file: what files may not have in theirs is ``%`` and its code.

        One that is too long ends in a checksum of the whole.

        >>> Drawing(name="house a/b_modes", draw=lambda paper: None).file_stem
        'house a%2Fb_modes'
        """
        stem = _NOT_IN_FILES.sub(lambda found: f"%{ord(found[0]):02X}", self.name)
        whole = stem.encode()
        if len(whole) <= _LONGEST:
            return stem
        return f"{whole[:_LONGEST].decode(errors='ignore')}~{zlib.crc32(whole):08x}"

    def on(self, paper: Paper) -> Figure:
        """The figure on a paper."""
        return self.draw(paper=paper)


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A figure that the stored results do not hold, and why."""

    name: str
    reason: str
