"""An item of a gallery: a figure that can be drawn for any paper, or why it is missing."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from ems.report.figures.paper import Paper

_NOT_IN_FILES = re.compile(r'[\x00-\x1f\x7f%/\\:*?"<>|]|^\.')
"""Characters that some system rejects in file names, and the dot that hides files."""

_LONGEST = 200
"""Maximum bytes of a name; size, format and checksum follow, and file systems allow 255."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The request: kinds of figures or all, one building or all, and the mode shown in maps."""

    kinds: Sequence[str] | None = None
    building: str | None = None
    mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A named figure; ``draw`` takes ``paper``."""

    name: str
    draw: Callable[..., Figure]

    @property
    def file_stem(self) -> str:
        """The name as a file name; forbidden characters become ``%`` and their code.

        A name that is too long ends in a checksum of the whole.

        >>> Drawing(name="house a/b_modes", draw=lambda paper: None).file_stem
        'house a%2Fb_modes'
        """
        stem = _NOT_IN_FILES.sub(lambda found: f"%{ord(found[0]):02X}", self.name)
        whole = stem.encode()
        if len(whole) <= _LONGEST:
            return stem
        # Cut by bytes, which may split a letter; its rest is dropped.
        return f"{whole[:_LONGEST].decode(errors='ignore')}~{zlib.crc32(whole):08x}"

    def on(self, paper: Paper) -> Figure:
        """Draw the figure for a paper."""
        return self.draw(paper=paper)


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A figure that the stored results do not contain, with the reason."""

    name: str
    reason: str
