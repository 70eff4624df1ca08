"""What a person is told of a table that is not as described."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from ems.checked import Entry, check
from ems.errors import DataError


class Inner(Entry):
    share: float = Field(ge=0, le=1, description="a share from 0 to 1")
    kind: str = "wide"

    @model_validator(mode="after")
    def _wide_is_half(self) -> Inner:
        if self.kind == "wide" and self.share < 0.5:
            raise ValueError("wide needs half")
        return self


class Outer(Entry):
    n: int
    inner: Inner = Field(default=Inner(share=1.0))
    many: tuple[Inner, ...] = Field(default=(), strict=False)


GOOD = {"n": 1, "inner": {"share": 0.5}, "many": [{"share": 1}]}


def said(**changed: Any) -> str:
    with pytest.raises(DataError) as caught:
        check(Outer, GOOD | changed, "file", DataError)
    return str(caught.value)


def test_what_fits_is_taken() -> None:
    found = check(Outer, GOOD, "file", DataError)
    assert (found.n, found.inner.share, found.many[0].share) == (1, 0.5, 1.0)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"n": True}, "file: n = True, expected a valid integer"),
        ({"n": 1.0}, "file: n = 1.0, expected a valid integer"),
        ({"m": 1}, "file: unknown key 'm', known are n, inner, many"),
        ({"inner": 3}, "file: inner = 3, expected a table"),
        ({"inner": {}}, "file, inner: share is missing, expected a share from 0 to 1"),
        ({"inner": {"share": 2}}, "file, inner: share = 2, expected a share from 0 to 1"),
        ({"inner": {"share": "1"}}, "file, inner: share = '1', expected a share from 0 to 1"),
        ({"inner": {"share": float("nan")}}, "file, inner: share = nan, expected a share from 0"),
        ({"inner": {"share": 0.1}}, "file, inner: wide needs half"),
        ({"many": [{"share": 1}, 5]}, "file: many 2 = 5, expected a table"),
        ({"many": [{"share": 1, "x": 1}]}, "file, many 1: unknown key 'x', known are share, kind"),
    ],
)
def test_what_does_not_fit_is_said(changed: dict[str, Any], says: str) -> None:
    assert said(**changed).startswith(says)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from(list(GOOD)), value=JSON)
def test_any_value_is_taken_or_refused_in_one_line_that_names_its_key(key: str, value: Any) -> None:
    try:
        check(Outer, GOOD | {key: value}, "file", DataError)
    except DataError as error:
        told = str(error)
    else:
        return
    assert key in told
    assert len(told.splitlines()) == 1
