"""The arithmetic of the INA260's registers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ina260_reader.chip import LONGEST_POLL_S, Averaging, amperes, averaging_for, is_ina260, swapped, volts
from services.ina260_reader.errors import BadReading
from services.ina260_reader.sensor import Reading


@pytest.mark.parametrize(
    ("word", "current_a"), [(0x0000, 0.0), (0x0001, 0.00125), (0xFFFF, -0.00125), (0x2EE0, 15.0), (0xD120, -15.0), (0x7FFE, 40.9575)]
)
def test_the_current_is_signed_in_steps_of_an_eighth_of_ten_milliamperes(word, current_a):
    assert amperes(word) == pytest.approx(current_a)


@pytest.mark.parametrize("word", [0x7FFF, 0x8000])
def test_a_current_at_the_end_of_the_range_says_nothing(word):
    with pytest.raises(BadReading, match="current_a"):
        amperes(word)


def test_the_voltage_has_no_sign_and_ends_where_the_chip_does():
    assert volts(0x4B00) == pytest.approx(24.0)
    assert volts(28_800) == pytest.approx(36.0)
    with pytest.raises(BadReading, match="at most 36 V"):
        volts(28_801)


def test_power_is_in_watts_not_milliwatts():
    # 24 V and 5 A: a panel gives 120, and somebody's software once called it 120 000.
    assert Reading(volts(0x4B00), amperes(4000)).power_w == pytest.approx(120.0)


def test_power_has_the_sign_of_the_current():
    assert Reading(volts(0x4B00), amperes(0xFFFF & -80)).power_w == pytest.approx(-2.4)


@given(st.integers(0, 0xFFFF))
def test_swapping_bytes_twice_changes_nothing(word):
    assert swapped(swapped(word)) == word
    assert swapped(word).to_bytes(2, "little") == word.to_bytes(2, "big")


@given(st.floats(0.1, LONGEST_POLL_S))
def test_the_chip_averages_over_most_of_the_period_and_never_over_more(period_s):
    averaging = averaging_for(period_s)
    assert averaging.span_s * 1.1 <= period_s
    assert averaging.span_s >= 0.64 * period_s
    assert averaging.current_time >= averaging.voltage_time


@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 7))
def test_the_configuration_word_says_what_it_was_made_of(average, voltage_time, current_time):
    averaging = Averaging(average, voltage_time, current_time)
    assert Averaging.of(averaging.word) == averaging
    assert averaging.word & 0xF007 == 0x6007


def test_at_one_second_512_conversions_are_averaged():
    assert (averaging_for(1.0).conversions, hex(averaging_for(1.0).word)) == (512, "0x6ce7")


@pytest.mark.parametrize(
    ("manufacturer", "die", "known"),
    [(0x5449, 0x2270, True), (0x5449, 0x2273, True), (0x5449, 0x2260, False), (0x4954, 0x2270, False), (0xFFFF, 0xFFFF, False)],
)
def test_any_revision_of_an_ina260_is_known_and_nothing_else(manufacturer, die, known):
    assert is_ina260(manufacturer, die) is known
