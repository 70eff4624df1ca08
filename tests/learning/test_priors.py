from __future__ import annotations

import numpy as np
import pytest
from learning.made_habits import EVENING, HABIT, drawn, history_of, one_start

from ems.errors import DataError, InvalidSpec
from ems.learning.pmf import UNIFORM, circular_mean_h, js_distance
from ems.learning.priors import Prior, learned, prior_named, transfer, uniform


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("device", "hours"),
    [
        ("dishwasher", {13, 19, 20}),
        ("heat_pump", {6, 7, 8, 18, 19, 20, 21}),
        ("washing_machine", set(range(9, 17))),
        ("ev", {22, 23, 0, 1, 2, 3, 4, 5}),
    ],
)
def test_the_learned_prior_has_its_windows(device: str, hours: set[int]) -> None:
    pmf = learned(device).hours[0]
    inside = np.array([hour in hours for hour in range(24)])
    assert set(np.flatnonzero(pmf > UNIFORM)) == hours
    assert pmf[~inside].sum() == pytest.approx(0.5 * (24 - len(hours)) / 24)
    assert np.ptp(pmf[inside]) == pytest.approx(0.0)


def test_a_device_without_windows_lists_those_with() -> None:
    with pytest.raises(InvalidSpec, match="'sauna', known are dishwasher, ev, heat_pump"):
        learned("sauna")


def test_transfer_leaves_out_the_building_itself() -> None:
    home = drawn(400, 1, habit=HABIT[::-1], building="home")
    others = [drawn(400, seed, building=f"other{seed}") for seed in (2, 3)]
    prior = transfer("home", [home, *others])
    assert js_distance(prior.hours[0], EVENING) < 0.12
    np.testing.assert_allclose(prior.use_probability, 0.7, atol=0.08)
    np.testing.assert_allclose(prior.mean_starts, 1.0, atol=0.01)
    assert abs(circular_mean_h(prior.hours[1]) - circular_mean_h(HABIT[1])) < 1.0


def test_transfer_gives_each_building_one_vote_whatever_the_order() -> None:
    long, short = drawn(1000, 1, building="a"), drawn(50, 2, habit=HABIT[::-1], building="b")
    prior = transfer("home", [long, short])
    again = transfer("home", [short, long])
    votes = [transfer("home", [one]).hours for one in (long, short)]
    np.testing.assert_allclose(prior.hours, np.mean(votes, axis=0))
    np.testing.assert_allclose(prior.hours, again.hours)


def test_transfer_does_not_learn_shifted_hours() -> None:
    shifted = drawn(100, 1, building="a").with_shifted(np.ones(100, dtype=bool))
    prior = transfer("home", [shifted])
    np.testing.assert_allclose(prior.hours, uniform().hours)
    np.testing.assert_allclose(prior.use_probability, 0.7, atol=0.12)


def test_transfer_needs_another_building() -> None:
    with pytest.raises(DataError, match="home: no other building has this device"):
        transfer("home", [drawn(10, 1, building="home")])


def test_priors_by_name() -> None:
    target = history_of(one_start(7))
    other = drawn(50, 1, building="other")
    sauna = drawn(50, 1, building="other", device="sauna")
    assert prior_named("uniform", target, []).name == "uniform"
    assert prior_named("learned", target, []).name == "learned"
    found = prior_named("transfer", target, [target, other, sauna]).hours
    np.testing.assert_allclose(found, transfer("home", [other]).hours)
    with pytest.raises(InvalidSpec, match="'guess' is unknown"):
        prior_named("guess", target, [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hours": np.full((2, 24), 0.05)}, "sum to 1.2"),
        ({"hours": np.eye(24)[:2]}, "an hour has probability 0"),
        ({"hours": UNIFORM}, r"expected \(2, 24\)"),
        ({"use_probability": np.array([0.5, 1.5])}, "use_probability"),
        ({"mean_starts": np.array([1.0, 0.0])}, "mean_starts"),
    ],
)
def test_bad_priors(change: dict[str, np.ndarray], text: str) -> None:
    good = uniform()
    fields = {
        "hours": good.hours,
        "use_probability": good.use_probability,
        "mean_starts": good.mean_starts,
    }
    with pytest.raises(InvalidSpec, match=text):
        Prior(name="mine", **(fields | change))
