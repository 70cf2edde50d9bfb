"""What is made by the million behaves like the frozen dataclass that the type checker takes it for."""

from dataclasses import asdict, dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.core.record import record


@dataclass(frozen=True, slots=True)
class Plain:
    power_w: float | None
    name: str = "p1"


@record(frozen=True, slots=True)
class Quick:
    power_w: float | None
    name: str = "p1"


FIGURES = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(FIGURES, FIGURES)
def test_a_record_compares_hashes_is_replaced_and_stored_like_a_frozen_dataclass(one, other):
    for made in (Plain, Quick):
        assert (made(one) == made(other)) is (one == other)
        assert replace(made(one), power_w=other) == made(other)
        adapter = TypeAdapter(made)
        assert adapter.validate_json(adapter.dump_json(made(one))) == made(one)
    assert hash(Quick(one)) == hash(Plain(one))
    assert asdict(Quick(one)) == asdict(Plain(one))
    assert TypeAdapter(Quick).dump_json(Quick(one)) == TypeAdapter(Plain).dump_json(Plain(one))


def test_a_record_takes_no_field_that_it_does_not_have():
    with pytest.raises(AttributeError):
        Quick(1.0).powr_w = 2.0  # type: ignore[attr-defined]
