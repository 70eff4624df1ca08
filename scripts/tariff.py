"""Write a tariff file from five answers about your bill, and show what a kWh then costs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from command_line import PathName, command, option, parsed, shortened, value, with_answer
from console import console, near, number, run, say, show_table

from ems.economics.tariff import DemandPeriod
from ems.economics.tariff_answers import (
    MARKET,
    QUESTIONS,
    Market,
    Pricing,
    TariffAnswers,
    Vat,
    arising,
)
from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.economics.tariff import Tariff

SHOWN_HOURS = (3, 12, 19)
MARKET_CT = (6.0, 4.0, 12.0)
"""Market prices assumed at these hours, to show what a dynamic tariff comes to [ct/kWh]."""
YEAR_KWH = 3500
"""What a home of three people buys."""
EPILOG = (
    "Five questions: how a kWh is priced, VAT, what is fed in, base fee, demand charge. On a "
    "terminal, what no option answers is asked. All amounts are in the currency of your day-ahead "
    "prices; the outputs call it €."
)


# --- answers ------------------------------------------------------------------------------------


def _within(low: float, most: float, unit: str, hint: str) -> Callable[[str], float]:
    """A number from ``low`` to ``most``, or 0; a decimal comma is read too."""

    def parse(text: str) -> float:
        found = float(text.replace(",", "."))
        if not (found == 0.0 or low <= found <= most):
            raise InvalidSpec(
                f"'{shortened(text)}' is out of range, allowed are {low:g} to {most:g} {unit} or 0"
                f"{hint}"
            )
        return found

    return parse


_ct = _within(0.5, 200.0, "ct/kWh", "; 30 cents are 30, not 0.30")


def _feed_in(text: str) -> float | Market:
    return MARKET if text == MARKET else _ct(text)


Ct = Annotated[float, value(_ct, "must be a number [ct/kWh]", "X")]
FeedIn = Annotated[float | Market, value(_feed_in, "must be a number [ct/kWh] or market", "X")]
Hour = Annotated[float, value(_within(0.0, 24.0, "h", ""), "must be an hour from 0 to 24", "H")]
Percent = Annotated[
    float,
    value(_within(1.0, 50.0, "%", "; 19 % are 19, not 0.19"), "must be a number [%]", "X"),
]
Fee = Annotated[float, value(_within(1.0, 1e5, "€", ""), "must be a number [€]", "X")]


def asked_for(name: str) -> Any:
    """The option that answers a question."""
    return option(f"{QUESTIONS[name]} [default: asked on a terminal]", None)


@command
class Options:
    """The command line of this script."""

    price: Pricing | None = asked_for("price")
    import_ct_per_kwh: Ct | None = asked_for("import_ct_per_kwh")
    night_ct_per_kwh: Ct | None = asked_for("night_ct_per_kwh")
    night_from_hour: Hour | None = asked_for("night_from_hour")
    night_to_hour: Hour | None = asked_for("night_to_hour")
    surcharge_ct_per_kwh: Ct | None = asked_for("surcharge_ct_per_kwh")
    vat: Vat | None = asked_for("vat")
    vat_pct: Percent | None = asked_for("vat_pct")
    feed_in_ct_per_kwh: FeedIn | None = asked_for("feed_in_ct_per_kwh")
    base_fee_eur_per_year: Fee | None = asked_for("base_fee_eur_per_year")
    demand_charge_eur_per_kw: Fee | None = asked_for("demand_charge_eur_per_kw")
    demand_period: DemandPeriod | None = asked_for("demand_period")
    out: PathName = option("the file to write", Path("my_tariff.toml"))
    overwrite: bool = option("replace a file that is there", False)


def main() -> None:
    """Ask what is not given, write the file, and show what it means."""
    tokens = sys.argv[1:]
    asked = _parsed(tokens)
    require_writable(asked.out, overwrite=asked.overwrite)
    while (name := _unanswered(asked)) is not None:
        tokens, asked = with_answer(_parsed, tokens, name, QUESTIONS[name])
    answers = TariffAnswers(**_answers(asked))  # type: ignore[arg-type]
    write(answers, asked.out)
    show(console(), asked.out)


def _parsed(tokens: Sequence[str]) -> Options:
    return parsed(Options, __doc__, EPILOG, tokens, config=False)


def _answers(asked: Options) -> dict[str, object]:
    return {name: getattr(asked, name) for name in QUESTIONS}


def _unanswered(asked: Options) -> str | None:
    """The next question that arises and has no answer."""
    answers = _answers(asked)
    return next((name for name in arising(answers) if answers[name] is None), None)


# --- the file -----------------------------------------------------------------------------------


def require_writable(file: Path, *, overwrite: bool) -> None:
    """Refuse, before the questions, a file that is there or has no folder."""
    if file.is_dir():
        raise InvalidSpec(f"--out: {file} is a folder; name a file in it")
    if file.exists() and not overwrite:
        raise InvalidSpec(f"--out: {file} is there; give another name, or --overwrite")
    if not file.parent.is_dir():
        raise InvalidSpec(f"--out: there is no folder {file.parent}; make it first")


def write(answers: TariffAnswers, file: Path) -> None:
    """Write the tariff of ``answers``. Raises ``InvalidSpec`` where that cannot be."""
    try:
        file.write_text(answers.toml(), encoding="utf-8")
    except OSError as error:
        raise InvalidSpec(f"--out: {file} cannot be written ({error.strerror})") from error


# --- what it means ------------------------------------------------------------------------------


def show(out: Console, file: Path) -> None:
    """What a kWh costs at three hours and in a year, so that a misunderstanding is seen."""
    import numpy as np

    from ems.economics.tariff_file import read_tariff

    tariff = read_tariff(file)
    hours, market = np.array(SHOWN_HOURS, dtype=float), 10.0 * np.array(MARKET_CT)
    bought = 100.0 * tariff.import_eur_per_kwh(market, hours)
    sold = 100.0 * tariff.export_eur_per_kwh(market)
    say(out, f"tariff    {near(file)}: {tariff.description}")
    rows = [
        ["a kWh bought costs", *(number(ct, 2) for ct in bought)],
        ["a kWh fed in earns", *(number(ct, 2) for ct in sold)],
    ]
    show_table(out, "ct/kWh", ["", *(f"{hour}:00" for hour in SHOWN_HOURS)], rows)
    if tariff.uses_spot:
        told = ", ".join(f"{ct:g}" for ct in MARKET_CT)
        say(out, f"market    {told} ct/kWh are assumed at these hours; a run has the real ones")
    for line in _yearly(tariff, float(bought.mean())):
        say(out, line)
    say(out, f"plan      python scripts/01_run.py --tariff {shlex.quote(near(file))}")


def _yearly(tariff: Tariff, mean_ct: float) -> list[str]:
    """What a home pays in a year, and what else is billed."""
    figures = {figure.name: figure for figure in tariff.figures}
    fee_eur = figures["base_fee"].value
    year_eur = YEAR_KWH * mean_ct / 100.0 + fee_eur
    lines = [
        f"a year    about {year_eur:,.0f} € for a home that buys {YEAR_KWH:,} kWh at the mean of "
        f"these prices, {fee_eur:,.0f} € of it base fee (in no plan: nothing changes it)"
    ]
    if "demand_charge" in figures:
        charge = figures["demand_charge"]
        lines.append(f"peak      {charge.value:g} {charge.unit} of the highest import")
    return lines


if __name__ == "__main__":
    run(main)
