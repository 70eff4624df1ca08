"""Small figures drawn into the page itself, so that it needs nothing else and follows its colours.

A colour is the name of a CSS class of the page (``sun``, ``grid``, …). Texts are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup, escape

from ems.errors import InvalidSpec
from ems.types import Floats

WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 480.0, 36.0, 6.0, 8.0, 24.0
_LETTER, _LONGEST_NAME = 8.6, 34
"""Width of a letter, and how many of them a name beside a bar may have."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """One quantity over the steps, shape ``(n_steps,)``; a stack takes those above and below 0."""

    label: str
    colour: str
    values: Floats


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """From steps and values to places in the picture."""

    n_steps: int
    low: float
    high: float
    height: float

    def x(self, step: float) -> float:
        return _LEFT + step * (WIDTH - _LEFT - _RIGHT) / self.n_steps

    def y(self, value: float) -> float:
        span = self.height - _TOP - _BOTTOM
        return _TOP + span * (self.high - value) / (self.high - self.low)


def stacked(
    bands: Sequence[Band], ticks: Sequence[tuple[int, str]], *, unit: str, title: str
) -> Markup:
    """Bands stacked in each step, positive ones upwards from 0 and negative ones downwards."""
    _require(bands)
    values = np.array([band.values for band in bands])
    up, down = np.maximum(values, 0.0), np.minimum(values, 0.0)
    frame = _frame(float(down.sum(axis=0).min()), float(up.sum(axis=0).max()), values, 190.0)
    parts = []
    for part in (up, down):
        base = np.zeros(values.shape[1])
        for band, heights in zip(bands, part, strict=True):
            parts += _bars(frame, band.colour, base, base + heights)
            base = base + heights
    return _picture(frame, parts, [("key", band) for band in bands], ticks, unit, title)


def steps(
    bands: Sequence[Band], ticks: Sequence[tuple[int, str]], *, unit: str, title: str
) -> Markup:
    """Each band as a line that is level within a step."""
    _require(bands)
    values = np.array([band.values for band in bands])
    frame = _frame(min(0.0, float(values.min())), max(0.0, float(values.max())), values, 130.0)
    parts = [_line(frame, band) for band in bands]
    return _picture(frame, parts, [("dash", band) for band in bands], ticks, unit, title)


def beside(
    area: Band, line: Band, ticks: Sequence[tuple[int, str]], *, unit: str, title: str
) -> Markup:
    """One quantity twice: as an area from 0, and as a line over it with an edge to stand out."""
    _require([area, line])
    values = np.array([area.values, line.values])
    frame = _frame(min(0.0, float(values.min())), max(0.0, float(values.max())), values, 104.0)
    zero = np.zeros(values.shape[1])
    edged = [_line(frame, replace(line, colour="halo")), _line(frame, line)]
    parts = [*_bars(frame, area.colour, zero, area.values), *edged]
    keys = [("key", area), ("dash", line)]
    return _picture(frame, parts, keys, ticks, unit, title)


def bars(
    rows: Sequence[tuple[str, float]], *, say: Callable[[float], str], title: str, unit: str
) -> Markup:
    """A horizontal bar for each named value, from 0; ``say`` writes the value beside it."""
    if not rows:
        raise InvalidSpec(f"figure {title}: no rows, give at least one")
    row_h, numbers = 24.0, 78.0
    names = 12 + _LETTER * min(_LONGEST_NAME, max(len(name) for name, _ in rows))
    low, high = min(0.0, *(v for _, v in rows)), max(0.0, *(v for _, v in rows))
    left = numbers if low < 0 else 0.0
    scale = (WIDTH - names - left - (numbers if any(v >= 0 for _, v in rows) else _RIGHT)) / max(
        high - low, 1e-9
    )
    zero = names + left - low * scale
    height = row_h * len(rows) + 4
    parts = []
    for i, (name, value) in enumerate(rows):
        y, end, said = i * row_h + 4, zero + value * scale, escape(say(value))
        anchor, at = ("start", end + 5) if value >= 0 else ("end", end - 5)
        x, width = min(zero, end), abs(end - zero)
        middle, colour = y + 14, "saved" if value >= 0 else "lost"
        parts += [
            f'<text x="{names - 8:.1f}" y="{middle:.1f}" text-anchor="end">'
            f"{escape(_shortened(name))}</text>",
            f'<rect class="fill {colour}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            'height="17"/>',
            f'<text x="{at:.1f}" y="{middle:.1f}" text-anchor="{anchor}">{said}</text>',
        ]
    parts.append(f'<path class="axis" d="M{zero:.1f} 0V{height:.1f}"/>')
    head = f"<figcaption><b>{escape(title)}</b> [{escape(unit)}]</figcaption>"
    return Markup(f"<figure>{head}{_svg(parts, height, title)}</figure>")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _require(bands: Sequence[Band]) -> None:
    if not bands or not len(bands[0].values):
        raise InvalidSpec("figure: no bands, give at least one with a step")


def _frame(low: float, high: float, values: Floats, height: float) -> _Frame:
    if high - low < 1e-9:
        high = low + 1.0
    room = 0.04 * (high - low)
    return _Frame(
        n_steps=values.shape[1], low=low - room * (low < 0), high=high + room, height=height
    )


def _bars(frame: _Frame, colour: str, base: Floats, top: Floats) -> list[str]:
    """Runs of equal bars are one path, so that the page stays small."""
    path = [
        f"M{frame.x(t):.1f} {frame.y(base[t]):.1f}V{frame.y(top[t]):.1f}"
        f"H{frame.x(t + 1):.1f}V{frame.y(base[t]):.1f}Z"
        for t in range(len(base))
        if abs(top[t] - base[t]) > 1e-3
    ]
    return [f'<path class="fill {colour}" d="{"".join(path)}"/>'] if path else []


def _line(frame: _Frame, band: Band) -> str:
    path = "".join(
        f"{'L' if t else 'M'}{frame.x(t):.1f} {frame.y(value):.1f}H{frame.x(t + 1):.1f}"
        for t, value in enumerate(band.values.tolist())
    )
    return f'<path class="line {band.colour}" d="{path}"/>'


def _picture(
    frame: _Frame,
    parts: Sequence[str],
    keyed: Sequence[tuple[str, Band]],
    ticks: Sequence[tuple[int, str]],
    unit: str,
    title: str,
) -> Markup:
    """Grid, data, axes and legend; ``keyed``: the CSS class of each band's key in it."""
    grid = []
    for value in _round_values(frame.low, frame.high):
        y = frame.y(value)
        grid += [
            f'<path class="level" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>',
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>',
        ]
    bottom = frame.height - 5
    hours = [
        f'<text x="{frame.x(t):.1f}" y="{bottom}" text-anchor="middle">{escape(text)}</text>'
        for t, text in ticks
    ]
    zero = f'<path class="axis" d="M{_LEFT} {frame.y(0):.1f}H{WIDTH - _RIGHT}"/>'
    seen = dict.fromkeys((key, band.colour, band.label) for key, band in keyed)
    keys = "".join(
        f'<span><i class="{key} {colour}"></i>{escape(label)}</span>' for key, colour, label in seen
    )
    head = f'<figcaption><b>{escape(title)}</b> [{escape(unit)}] <span class="keys">{keys}</span>'
    body = _svg([*grid, *parts, zero, *hours], frame.height, title)
    return Markup(f"<figure>{head}</figcaption>{body}</figure>")


def _svg(parts: Sequence[str], height: float, title: str) -> Markup:
    inside = "".join(parts)
    return Markup(
        f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{inside}</svg>"
    )


def _round_values(low: float, high: float) -> list[float]:
    """Three to six round numbers between two values."""
    rough = (high - low) / 4
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(m * power) for m in (1, 2, 5, 10) if m * power >= rough)
    first = int(np.ceil(low / step))
    return [i * step for i in range(first, int(np.floor(high / step)) + 1)]


def _number(value: float) -> str:
    return f"{round(value, 6) + 0.0:g}".replace("-", "−")
