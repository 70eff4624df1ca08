"""The playback as HTML: template, style and script with the data in their midst."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ems.pipelines.community import CommunityPiece, CommunitySpec
from ems.pipelines.community_totals import CommunityResult
from ems.report.community import FairPoint
from ems.report.figures.page import Origin
from ems.report.page.page import templates, write_whole
from ems.report.playback.data import playback_data


def render_playback(data: Mapping[str, Any]) -> str:
    """The page as HTML without external resources; it may not even ask for any."""
    page = templates(Path(__file__).parent).get_template("playback.html.j2")
    return page.render(data=data, embedded=embedded(data))


def embedded(data: Mapping[str, Any]) -> Markup:
    """Data as JSON that cannot end the element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # Within JSON these letters stand only in strings, where they may be written as numbers.
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def write_playback(
    pieces: Sequence[CommunityPiece],
    result: CommunityResult,
    spec: CommunitySpec,
    file: Path,
    *,
    origin: Origin,
    points: Sequence[FairPoint] = (),
) -> Path:
    """Write the page of a community; returns ``file``.

    ``points``: rules and keys to compare by their Gini, ``FairPoint.of`` each. Raises
    ``InvalidSpec`` without pieces and ``DataError`` if it cannot be written.
    """
    data = playback_data(pieces, result, spec, origin=origin, points=points)
    return write_whole(render_playback(data), file)
