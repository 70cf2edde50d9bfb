"""A PV forecast: its form, and how it and the learnt hours come together."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.pv_forecast import BadForecast, expected, parse, spread_after

UTC_ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
PROFILE = tuple(100.0 if 8 <= hour < 16 else 0.0 for hour in range(24))
SPREAD = (30.0,) * 24
JSON = '{"hours": [{"start": "2026-07-01T12:00:00Z", "pv_wh": 180, "low_wh": 120}, {"start": "2026-07-01T15:00:00+02:00", "pv_wh": 60}]}'
CSV = "start,pv_wh,low_wh\n2026-07-01T12:00:00Z,180,120\n2026-07-01T15:00:00+02:00,60,\n"


@pytest.mark.parametrize("text", [JSON, CSV])
def test_both_forms_say_the_same(text):
    first, second = (int(NOON.timestamp()) // 3600 + i for i in (0, 1))
    assert parse(text) == {first: (180.0, 120.0), second: (60.0, 30.0)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no hours"),
        ("{", "not JSON"),
        ('{"hours": 5}', "names no hours"),
        ('{"hours": [5]}', "hour 1"),
        ("start,pv_wh\n2026-07-01T12:00:00,5\n", "RFC 3339 on the hour"),
        ("start,pv_wh\n2026-07-01T12:30:00Z,5\n", "RFC 3339 on the hour"),
        ("start,pv_wh\n2026-07-01T12:00:00Z,-5\n", "pv_wh '-5'"),
        ("start,pv_wh\n2026-07-01T12:00:00Z,nan\n", "pv_wh 'nan'"),
        ("start,pv_wh\n2026-07-01T12:00:00Z,inf\n", "pv_wh 'inf'"),
        ("when,much\n1,2\n", "pv_wh 'None'"),
        ("start,pv_wh\n" + "2026-07-01T12:00:00Z,5\n" * 400, "at most"),
    ],
)
def test_what_cannot_be_used_is_refused_by_place_and_value(text, said):
    with pytest.raises(BadForecast) as refused:
        parse(text)
    assert said in str(refused.value)


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_refused(text):
    with contextlib.suppress(BadForecast):
        parse(text)


def test_forecast_hours_count_before_learnt_ones_and_partial_hours_by_their_share():
    found = expected(PROFILE, SPREAD, parse(JSON), NOON + timedelta(minutes=30), NOON + timedelta(hours=3), UTC_ZONE)
    assert found.wh == pytest.approx(90 + 60 + 100)
    assert found.low_wh == pytest.approx(60 + 30 + 70)


def test_without_a_forecast_the_local_hours_hold():
    found = expected(PROFILE, SPREAD, None, NOON, NOON + timedelta(hours=24), ZoneInfo("Asia/Tokyo"))
    assert (found.wh, found.low_wh) == (pytest.approx(800.0), pytest.approx(560.0))


def test_changeable_hours_have_a_wider_spread_than_steady_ones():
    steady: tuple[float, ...] = (0.0,) * 24
    changeable = steady
    for day in range(20):
        steady = spread_after(steady, PROFILE, 10, 100.0)
        changeable = spread_after(changeable, PROFILE, 10, 40.0 if day % 2 else 160.0)
    assert steady[10] == pytest.approx(0.0)
    assert changeable[10] == pytest.approx(60.0, rel=0.1)
