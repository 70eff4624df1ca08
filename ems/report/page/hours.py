"""The hours of an explained day, those in which the same happens together.

The same happens in neighbouring hours if the same devices do the same: what their sentences say up
to the first reason differs in nothing but amounts. Amounts that vary are told as a range. A reason
that holds for some of the hours only is told with these hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import pandas as pd

from ems.report.page import words
from ems.report.page.explain import ExplainedHour

_MIDNIGHT = "24:00"
_AMOUNT = re.compile(rf"−?\d+\.\d(?={words.NBSP}(?:ct|kWh|kW)\b)")
_CLOCK = r"\d\d:\d\d(?: [A-Z]\w+)?(?: the next day| \d+ days later)?"
_ALIKE = re.compile(
    rf" (?P<named>{_CLOCK}(?:, {_CLOCK})*)(?: and (?:(?P<last>{_CLOCK})|(?P<more>\d+) more times))?"
    r" would (?P<be>do as well: the same worth|cost the same)\."
)
"""A sentence that names other hours as good as this one; of many, the first and their number."""


_REASON = re.compile(r"[:;,.]")
"""What ends the part of a sentence that says what happens, once it has no amounts."""
_STILL = " still "
"""Begins what a device goes on doing, for the reason already told."""


@dataclass(frozen=True, kw_only=True)
class ToldHours:
    """One or several hours of the day as they stand on the page.

    ``local``: their begin; ``clock``: begin, or begin and end; ``worth``: of a kWh; ``came``: what
    came otherwise than planned.
    """

    local: pd.Timestamp
    clock: str
    worth: str
    sentences: tuple[str, ...]
    came: tuple[str, ...]


def told_together(hours: Sequence[ExplainedHour]) -> tuple[ToldHours, ...]:
    """The hours of a day in groups; an hour that has no like neighbour stays alone."""
    groups = [list(group) for _, group in groupby(hours, key=_what_happens)]
    clocks = [[hour.clock for hour in group] for group in groups]
    # Of each hour its end: the clock of the next one.
    ends = iter([*chain.from_iterable(clocks), _MIDNIGHT][1:])
    return tuple(
        _told(group, own, [next(ends) for _ in own])
        for group, own in zip(groups, clocks, strict=True)
    )


def _what_happens(hour: ExplainedHour) -> tuple[str, ...]:
    """What each device does, without amounts and reasons."""
    plain = (_without_amounts(text).replace(_STILL, " ") for text in hour.sentences)
    return tuple(_REASON.split(text, maxsplit=1)[0] for text in plain)


def _without_amounts(text: str) -> str:
    return _AMOUNT.sub("#", _ALIKE.sub("", text))


def _told(group: Sequence[ExplainedHour], begins: Sequence[str], ends: Sequence[str]) -> ToldHours:
    columns = zip(*(hour.sentences for hour in group), strict=True)
    sentences = [line for column in columns for line in _lines(column, begins, ends)]
    return ToldHours(
        local=group[0].local,
        clock=_span(begins, ends),
        worth=_merged([words.ct(hour.worth_ct) for hour in group], begins),
        sentences=tuple(sentences),
        came=tuple(_lines([hour.came for hour in group], begins, ends)),
    )


def _span(begins: Sequence[str], ends: Sequence[str]) -> str:
    return begins[0] if len(begins) == 1 else f"{begins[0]}–{ends[-1]}"


def _lines(texts: Sequence[str], begins: Sequence[str], ends: Sequence[str]) -> Iterator[str]:
    """What is said of one device in some hours: a line for each reason, with its hours."""
    for steps in _runs(texts):
        told = [texts[t] for t in steps if _STILL not in texts[t]] or [texts[steps[0]]]
        if told[0]:
            own, line = [begins[t] for t in steps], _merged(told, begins)
            whole = len(steps) == len(texts)
            yield line if whole else f"{_span(own, [ends[t] for t in steps])}: {line}"


def _runs(texts: Sequence[str]) -> list[list[int]]:
    """Neighbouring steps whose texts differ in nothing but amounts, or go on."""
    runs: list[list[int]] = []
    for t, text in enumerate(texts):
        alike = t > 0 and _without_amounts(text) == _without_amounts(texts[t - 1])
        if t > 0 and (alike or _STILL in text):
            runs[-1].append(t)
        else:
            runs.append([t])
    return runs


def _merged(texts: Sequence[str], own: Sequence[str]) -> str:
    """One sentence for all: amounts as ranges, and other hours than their own as alternatives."""
    if len(texts) == 1:
        return texts[0]
    found = [_AMOUNT.findall(_ALIKE.sub("", text)) for text in texts]
    ranges = iter([_range(amounts) for amounts in zip(*found, strict=True)])
    others = [match for text in texts for match in _ALIKE.finditer(text)]
    told = _AMOUNT.sub(lambda _: next(ranges), _ALIKE.sub("", texts[0]))
    return f"{told}{_alternatives(others, own)}"


def _range(amounts: Sequence[str]) -> str:
    """From the least to the most of the amounts.

    >>> _range(["0.3", "0.1", "0.2"]), _range(["1.0", "1.0"]), _range(["−0.1", "0.2"])
    ('0.1–0.3', '1.0', '−0.1 to 0.2')
    """
    least, most = (of(amounts, key=_value) for of in (min, max))
    if least == most:
        return least
    return f"{least} to {most}" if "−" in f"{least}{most}" else f"{least}–{most}"


def _value(amount: str) -> float:
    return float(amount.replace("−", "-"))


def _alternatives(others: Sequence[re.Match[str]], own: Sequence[str]) -> str:
    """Which hours beside their own would have done as well, if any."""
    if not others:
        return ""
    would = f"would {others[0]['be']}."
    named = [_clocks(match) for match in others]
    n_of = [len(c) + int(match["more"] or 0) for c, match in zip(named, others, strict=True)]
    # More than the hours told here: there are others, though not all of them are named.
    if any(match["more"] for match in others) and max(n_of) >= len(own):
        return f" Other hours {would}"
    left = [clock for clock in dict.fromkeys(chain.from_iterable(named)) if clock not in own]
    return f" {words.listed(left)} {would}" if left else ""


def _clocks(match: re.Match[str]) -> list[str]:
    return [*match["named"].split(", "), *([match["last"]] if match["last"] else [])]
