"""Write drawings at several sizes and formats, with their captions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ems.errors import DataError
from ems.report.figures.page import save
from ems.report.figures.paper import PAPERS
from ems.report.stored.drawing import Drawing

CAPTIONS = "captions.md"


def write_drawing(
    drawing: Drawing, place: Path, sizes: Sequence[str], formats: Sequence[str]
) -> list[str]:
    """One figure at every size in every format below ``place``, its caption in ``captions.md``.

    ``sizes``: names of ``PAPERS``. Returns the endings of the files, such as ``column.png``. Raises
    ``DataError`` if a file cannot be written.
    """
    ends, caption = [], ""
    for size in sizes:
        paper = PAPERS[size]
        figure = drawing.on(paper)
        caption = str(figure.get_label())
        for kind in formats:
            end = f"{size}.{kind}"
            save(figure, place / f"{drawing.file_stem}_{end}", paper)
            ends.append(end)
    keep_caption(place / CAPTIONS, drawing.name, caption)
    return ends


def keep_caption(file: Path, name: str, caption: str) -> None:
    """Add a figure's caption to those of its folder."""
    begin = f"**{name}.** "
    try:
        old = file.read_text(encoding="utf-8").split("\n\n") if file.exists() else []
        others = [text.strip() for text in old if not text.startswith(begin)]
        beside = file.with_name(f".{file.name}.tmp")
        text = "\n\n".join(sorted([*others, f"{begin}{caption}"]))
        beside.write_text(f"{text}\n", encoding="utf-8")
        beside.replace(file)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: the captions cannot be written ({error}); move it away"
        ) from error
