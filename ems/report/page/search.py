"""Report sections on how well habits can be learned."""

from __future__ import annotations

from collections.abc import Sequence

from ems.pipelines.probability import DeviceSearch
from ems.report.figures.amounts import Amount, amount_bars
from ems.report.figures.page import Origin
from ems.report.figures.paper import PAGE
from ems.report.inline import Picture
from ems.report.page import words
from ems.report.page.page import Section, Table
from ems.site.meters import MeterData

_BEST_HEADS = (
    *("verdict", "lr_tau / lr_max", "log loss, bit"),
    *("gain vs uniform, bit", "gain vs counting, bit"),
)


def _heads(found: Sequence[DeviceSearch]) -> tuple[str, ...]:
    """Buildings and priors are named only if there are several."""
    return ("device", "prior") if len({result.prior for result in found}) > 1 else ("device",)


def _named(found: Sequence[DeviceSearch]) -> list[tuple[DeviceSearch, tuple[str, ...]]]:
    several = len({result.history.building for result in found}) > 1
    rows = []
    for result in found:
        device = words.spoken(result.history.device)
        names = (f"{result.history.building} {device}" if several else device, result.prior)
        rows.append((result, names[: len(_heads(found))]))
    return rows


def known_days_section(history: MeterData, found: Sequence[DeviceSearch]) -> Section:
    """Number of days and starts each device was learned from and scored on."""
    heads = _heads(found)
    places = "; ".join(dict.fromkeys(str(result.history.place) for result in found))
    profile = any(result.history.category == "partial_usage" for result in found)
    source = (
        f"Source: {history.source}. Place: {places}. Fingerprint of the data: {history.data_hash}."
    )
    known = (
        "A day is known where the device's own meter is believed in all of its steps; other days "
        "are neither learned nor scored."
    )
    itself = " A heat pump starts itself: for it the day's energy by hour counts as one start."
    rows = [
        (
            *names,
            f"{len(result.history)}",
            f"{len(result.forecasts.days)}",
            f"{result.log_loss.weight:.0f}",
        )
        for result, names in _named(found)
    ]
    table = Table(
        "known days, and the starts on the scored ones",
        (*heads, "known days", "scored days", "starts"),
        rows,
        n_texts=len(heads),
    )
    return Section(
        "The data and their quality",
        (source, f"{known}{itself if profile else ''}"),
        tables=(table,),
    )


def search_section(found: Sequence[DeviceSearch], origin: Origin) -> Section:
    """The best learning rate of each device, and whether it beats knowing nothing."""
    heads, named = _heads(found), _named(found)
    paragraphs = (
        f"{_beaten(found, len(heads) > 1)} Log loss: bits a start, 4.585 for the uniform "
        "distribution, less is better. Counting: all starts so far weigh alike, from the uniform "
        "prior.",
        f"{_rates(found)} The cell of each device was chosen on the days on which it is scored, so "
        "that its gain is a little too good.",
    )
    tables = (
        Table(
            "best cell of each device (95 % interval)",
            (*heads, *_BEST_HEADS),
            [(*names, *_row(result)) for result, names in named],
            n_texts=len(heads) + 1,
        ),
        Table(
            "where the learning score would choose otherwise",
            (*heads, "why not"),
            [(*names, result.disagreement) for result, names in named],
            n_texts=None,
            folded=True,
        ),
    )
    gains = [
        Amount(
            ", ".join(names),
            result.gain_bits.mean,
            f"{words.number(result.gain_bits.mean, 2)} bit",
            (result.gain_bits.low, result.gain_bits.high),
        )
        for result, names in named
    ]
    return Section("The result", paragraphs, [_gains(gains, origin)], tables)


def _gains(gains: Sequence[Amount], origin: Origin) -> Picture:
    title = "Gain against the uniform distribution"
    figure = amount_bars(gains, unit="bit a start", title=title, origin=origin, paper=PAGE)
    return Picture(figure, title, "bit a start, with the 95 % interval")


def _beaten(found: Sequence[DeviceSearch], several: bool) -> str:
    beats = sum(result.gain_bits.low > 0 for result in found)
    if len(found) == 1:
        does = "saves" if beats else "does not provably save"
        return f"Learning {does} bits against knowing nothing, with 95 % confidence."
    of = "pairs of device and prior" if several else "devices"
    return (
        f"Learning saves bits against knowing nothing on {beats} of {len(found)} {of}, each with "
        "95 % confidence."
    )


def _rates(found: Sequence[DeviceSearch]) -> str:
    taus = sorted({result.rate.lr_tau for result in found})
    if len(taus) == 1:
        return f"The best lr_tau is {taus[0]:g} days."
    return f"The best lr_tau lies between {taus[0]:g} and {taus[-1]:g} days."


def _row(result: DeviceSearch) -> tuple[str, ...]:
    rate, counting = result.rate, result.rivals[f"rate:{result.prior}"].gain_bits["all_history"]
    scores = (result.log_loss, result.gain_bits, counting)
    shown = (str(score).replace("-", "−") for score in scores)
    return result.verdict, f"{rate.lr_tau:g} / {rate.lr_max:g}", *shown
