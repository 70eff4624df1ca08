"""The parts of a report on how well habits can be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ems.pipelines.probability import DeviceSearch
from ems.report.page import words
from ems.report.page.page import Section, Table
from ems.report.page.svg import bars
from ems.site.meters import MeterData


@dataclass(frozen=True, kw_only=True)
class _Naming:
    """How devices are called on a page: buildings and priors only where there are several."""

    buildings: bool
    priors: bool

    @classmethod
    def of(cls, found: Sequence[DeviceSearch]) -> _Naming:
        return cls(
            buildings=len({result.history.building for result in found}) > 1,
            priors=len({result.prior for result in found}) > 1,
        )

    @property
    def heads(self) -> tuple[str, ...]:
        return ("device", "prior") if self.priors else ("device",)

    def cells(self, result: DeviceSearch) -> tuple[str, ...]:
        device = words.device_title(result.history.device)
        who = f"{result.history.building} {device}" if self.buildings else device
        return (who, result.prior) if self.priors else (who,)


def known_days_section(history: MeterData, found: Sequence[DeviceSearch]) -> Section:
    """How many days and starts each device was learned from and scored on."""
    naming = _Naming.of(found)
    places = "; ".join(dict.fromkeys(str(result.history.place) for result in found))
    profile = any(result.history.category == "partial_usage" for result in found)
    return Section(
        title="The data and their quality",
        paragraphs=(
            f"Source: {history.source}. Place: {places}. Fingerprint of the data: "
            f"{history.data_hash}.",
            "A day is known where the device's own meter is believed in all of its steps; other "
            "days are neither learned nor scored."
            + (
                " A heat pump starts itself: for it the day's energy by hour counts as one start."
                if profile
                else ""
            ),
        ),
        tables=(
            Table(
                caption="known days, and the starts on the scored ones",
                heads=(*naming.heads, "known days", "scored days", "starts"),
                rows=[
                    (
                        *naming.cells(result),
                        f"{len(result.history)}",
                        f"{len(result.forecasts.days)}",
                        f"{result.log_loss.weight:.0f}",
                    )
                    for result in found
                ],
                n_texts=len(naming.heads),
            ),
        ),
    )


def search_section(found: Sequence[DeviceSearch]) -> Section:
    """The best learning rate of each device, and whether it beats knowing nothing."""
    naming = _Naming.of(found)
    gains = [(", ".join(naming.cells(result)), result.gain_bits.mean) for result in found]
    return Section(
        title="The result",
        paragraphs=(
            f"{_beaten(found, naming.priors)} Log loss: bits a start, 4.585 for the uniform "
            "distribution, less is better. Counting: all starts so far weigh alike, from the "
            "uniform prior.",
            f"{_rates(found)} The cell of each device was chosen on the days on which it is "
            "scored, so that its gain is a little too good.",
        ),
        figures=(
            bars(
                gains,
                say=lambda bits: f"{words.number(bits, 2)}{words.NBSP}bit",
                title="Gain against the uniform distribution",
                unit="bit a start",
            ),
        ),
        tables=(
            Table(
                caption="best cell of each device (95 % interval)",
                heads=(
                    *naming.heads,
                    "verdict",
                    "lr_tau / lr_max",
                    "log loss, bit",
                    "gain vs uniform, bit",
                    "gain vs counting, bit",
                ),
                rows=[(*naming.cells(result), *_row(result)) for result in found],
                n_texts=len(naming.heads) + 1,
            ),
            Table(
                caption="where the learning score would choose otherwise",
                heads=(*naming.heads, "why not"),
                rows=[(*naming.cells(result), result.disagreement) for result in found],
                words=True,
                folded=True,
            ),
        ),
    )


def _beaten(found: Sequence[DeviceSearch], several: bool) -> str:
    beats = sum(result.gain_bits.low > 0 for result in found)
    of = "pairs of device and prior" if several else "devices"
    if len(found) == 1:
        does = "saves" if beats else "does not provably save"
        return f"Learning {does} bits against knowing nothing, with 95 % confidence."
    return (
        f"Learning saves bits against knowing nothing on {beats} of {len(found)} {of}, each with "
        "95 % confidence."
    )


def _rates(found: Sequence[DeviceSearch]) -> str:
    low = min(result.rate.lr_tau for result in found)
    high = max(result.rate.lr_tau for result in found)
    if low == high:
        return f"The best lr_tau is {low:g} days."
    return f"The best lr_tau lies between {low:g} and {high:g} days."


def _row(result: DeviceSearch) -> tuple[str, ...]:
    rate, counting = result.rate, result.rivals[f"rate:{result.prior}"].gain_bits["all_history"]
    figures = (result.log_loss, result.gain_bits, counting)
    return (
        result.verdict,
        f"{rate.lr_tau:g} / {rate.lr_max:g}",
        *(str(figure).replace("-", "−") for figure in figures),
    )
