"""A page as a browser sees it: well-formed, in sections, with its texts and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from xml.etree import ElementTree

from ems.report.page import Report, render


@dataclass(frozen=True)
class Page:
    """A page that parses; ``part`` is the whole of it or one of its sections."""

    part: ElementTree.Element

    @classmethod
    def of(cls, report: Report | str) -> Page:
        """Parse a page; a tag left open is an error."""
        html = report if isinstance(report, str) else render(report)
        closed = re.sub(r"<(meta [^>]*)>", r"<\1/>", html.removeprefix("<!doctype html>"))
        return cls(ElementTree.fromstring(closed))

    @cached_property
    def text(self) -> str:
        """What a person reads, with plain spaces."""
        return text_of(self.part.find("body") if self.part.tag == "html" else self.part)

    @cached_property
    def sections(self) -> dict[str, Page]:
        """The parts of the page under their headings."""
        return {text_of(part.find("h2")): Page(part) for part in self.part.iter("section")}

    @cached_property
    def tables(self) -> dict[str, list[tuple[str, ...]]]:
        """The rows of every table under its caption, the heads first."""
        return {
            str(box.get("aria-label")).replace("\u00a0", " "): [
                tuple(text_of(cell) for cell in line) for line in box.iter("tr")
            ]
            for box in self.part.iter("div")
            if box.find("table") is not None
        }

    @cached_property
    def pictures(self) -> dict[str, str]:
        """The texts in every picture under its title."""
        return {
            text_of(f.find(".//b")): text_of(f.find(".//svg")) for f in self.part.iter("figure")
        }

    @cached_property
    def hours(self) -> list[tuple[str, ...]]:
        """The clock of every explained hour, what a kWh is worth, and the sentences."""
        hours = [div for div in self.part.iter("div") if div.get("class") == "hour"]
        return [
            (text_of(hour.find(".//time")), *(text_of(p) for p in hour.iter("p"))) for hour in hours
        ]


def text_of(element: ElementTree.Element | None) -> str:
    """All text in an element, with plain spaces."""
    assert element is not None
    return " ".join(" ".join(element.itertext()).replace("\u00a0", " ").split())
