"""Hours in which the same happens are told together, and nothing that differs is lost."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from ems.report.page.explain import ExplainedHour
from ems.report.page.hours import ToldHours, told_together

NBSP = "\u00a0"
BUYS = "0.9 kW are bought at {} ct a kWh."


def hours(*sentences: tuple[str, ...], worth_ct: float = 25.0) -> list[ExplainedHour]:
    """One hour for each, from midnight on."""
    begin = pd.Timestamp("2016-06-01", tz="Europe/Berlin")
    locals_ = [begin + pd.Timedelta(hours=t) for t in range(len(sentences))]
    return [
        ExplainedHour(
            local=local,
            clock=f"{local:%H:%M}",
            import_ct=25.0,
            export_ct=8.0,
            worth_ct=worth_ct + t / 10,
            sentences=tuple(hard(text) for text in told),
        )
        for t, (local, told) in enumerate(zip(locals_, sentences, strict=True))
    ]


def hard(text: str) -> str:
    for unit in ("kWh", "kW", "ct"):
        text = text.replace(f" {unit}", f"{NBSP}{unit}")
    return text


def plain(told: ToldHours) -> tuple[str, ...]:
    texts = (told.clock, told.worth, *told.sentences, *told.came)
    return tuple(text.replace(NBSP, " ") for text in texts)


def test_amounts_that_vary_become_ranges_and_the_rest_stays() -> None:
    made = hours(*((f"The car charges {kw} kW.", BUYS.format(ct)) for kw, ct in TAKEN))
    assert [plain(one) for one in told_together(made)] == [
        (
            "00:00–24:00",
            "25.0–25.2 ct",
            "The car charges 2.3–3.6 kW.",
            "0.9 kW are bought at −1.0 to 4.5 ct a kWh.",
        )
    ]


TAKEN = (("2.3", "4.0"), ("3.6", "−1.0"), ("2.5", "4.5"))


def test_an_hour_in_which_something_else_happens_stands_alone() -> None:
    made = hours(
        ("The battery gives 1.0 kW: why.",),
        ("The battery gives 1.5 kW: why.", "The washing machine starts."),
        ("The battery gives 1.2 kW: why.",),
        ("The battery takes 1.2 kW: why.",),
    )
    clocks = [one.clock for one in told_together(made)]
    assert clocks == ["00:00", "01:00", "02:00", "03:00"]
    assert told_together(made[:1] * 2)[0].clock == "00:00–24:00"


def test_a_reason_of_some_hours_is_told_with_these_hours() -> None:
    pumps = ("0.7 kW, as metered.", "0.8 kW, as metered.", "0.9 kW, 0.1 kW more than metered.")
    made = hours(*((f"The heat pump draws {text}",) for text in pumps))
    assert plain(told_together(made)[0])[2:] == (
        "00:00–02:00: The heat pump draws 0.7–0.8 kW, as metered.",
        "02:00: The heat pump draws 0.9 kW, 0.1 kW more than metered.",
    )


def test_what_goes_on_needs_no_second_reason() -> None:
    made = hours(
        ("The battery is full; it gives next at 18:00.",),
        ("The battery is still full.",),
        ("The battery is still full.",),
    )
    (told,) = told_together(made)
    assert told.sentences == ("The battery is full; it gives next at 18:00.",)
    (later,) = told_together(made[1:])
    assert later.sentences == ("The battery is still full.",)


@pytest.mark.parametrize(
    ("alternatives", "said"),
    [
        (("01:00 would", "00:00 would"), ""),
        (("01:00 and 05:00 would", "00:00 and 05:00 would"), " 05:00 would"),
        (("01:00, 05:00 and 06:00 the next day would",) * 2, " 05:00 and 06:00 the next day would"),
        (("02:00 CEST, 02:00 CET would",) * 2, " 02:00 CEST and 02:00 CET would"),
        (("01:00, 05:00, 06:00 and 2 more times would",) * 2, " Other hours would"),
    ],
)
@pytest.mark.parametrize("be", ["do as well: the same worth.", "cost the same."])
def test_hours_told_together_are_no_alternatives_of_each_other(
    alternatives: tuple[str, str], said: str, be: str
) -> None:
    made = hours(*((f"The car charges 2.0 kW: why. {text} {be}",) for text in alternatives))
    (told,) = told_together(made)
    assert plain(told)[2:] == (f"The car charges 2.0 kW: why.{said}{f' {be}' if said else ''}",)


def test_what_came_does_not_part_the_hours_but_is_told_with_them() -> None:
    made = hours(*((("The building is expected to use 1.0 kW."),),) * 3)
    made[1] = replace(made[1], came="Really: the sun gave nothing.")
    (told,) = told_together(made)
    assert told.came == ("01:00: Really: the sun gave nothing.",)
    assert told_together(hours(("It rests.",)))[0].came == ()


def test_the_repeated_hour_keeps_its_zone() -> None:
    made = hours(("It rests.",), ("It rests.",), ("It gives.",))
    zones = ("01:00", "02:00 CEST", "02:00 CET")
    autumn = [replace(hour, clock=clock) for hour, clock in zip(made, zones, strict=True)]
    assert [one.clock for one in told_together(autumn)] == ["01:00–02:00 CET", "02:00 CET"]
