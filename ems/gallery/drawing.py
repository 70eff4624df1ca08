"""What a gallery holds: a figure that can be drawn for any paper, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ems.plots.paper import Paper

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure by the name of its file; ``draw`` takes the paper as ``paper``."""

    name: str
    draw: Callable[..., Figure]

    def on(self, paper: Paper) -> Figure:
        """The figure on a paper."""
        return self.draw(paper=paper)


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A figure that the stored results do not hold, and why."""

    name: str
    reason: str
