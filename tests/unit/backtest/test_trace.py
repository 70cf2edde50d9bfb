"""A person's CSV file becomes a trace, or an error that names the line and what to do."""

import gzip
from datetime import UTC, datetime, timedelta
from math import isnan
from zoneinfo import ZoneInfo

import pytest

from services.backtest.trace import BadTrace, beside, packaged, parse, read

PARIS = ZoneInfo("Europe/Paris")


def lines(*rows, header="time,load_w"):
    return [header, *rows]


def test_local_times_are_those_of_the_zone_and_offsets_are_kept():
    local = parse(lines("2026-07-01T12:00,100", "2026-07-01T12:01,200"), PARIS)
    aware = parse(lines("2026-07-01T12:00Z,100", "2026-07-01T12:01Z,200"), PARIS)
    assert local.start == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    assert aware.start == datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert (local.step_s, list(local.load_w)) == (60.0, [100.0, 200.0])


def test_kilowatts_pv_and_temperature_are_understood_and_others_ignored():
    found = parse(
        lines("2026-07-01T12:00,x,1.5,0.2,30", "2026-07-01T12:30,y,1,0,31", header="Time,name,load_kW,PV_kw,temperature_c"), PARIS
    )
    assert list(found.load_w) == [1500.0, 1000.0]
    assert list(found.pv_w or ()) == [200.0, 0.0]
    assert list(found.temperature_c or ()) == [30.0, 31.0]


@pytest.mark.parametrize("word", ["", "?", "NaN"])
def test_an_unknown_value_is_a_gap_and_not_zero(word):
    found = parse(lines("2026-07-01T12:00,100", f"2026-07-01T12:01,{word}", "2026-07-01T12:02,300"), PARIS)
    assert isnan(found.load_w[1])
    assert found.covered == pytest.approx(2 / 3)


def test_missing_lines_are_a_gap_for_as_long_as_they_last():
    found = parse(lines(*(f"2026-07-01T12:0{m},100" for m in (0, 1, 2, 6, 7))), PARIS)
    assert [isnan(w) for w in found.load_w] == [False, False, False, True, True, True, False, False]


def test_an_irregular_trace_is_put_on_a_grid():
    seconds = (0, 10, 21, 30, 39, 50)
    found = parse(lines(*(f"2026-07-01T12:00:{s:02d},{s}" for s in seconds)), PARIS)
    assert found.step_s == 10.0
    assert list(found.load_w) == [0.0, 10.0, 21.0, 30.0, 39.0, 50.0]


def test_the_hour_that_comes_twice_in_autumn_comes_twice():
    times = ("2026-10-25T02:00", "2026-10-25T02:30", "2026-10-25T02:00", "2026-10-25T02:30", "2026-10-25T03:00")
    found = parse(lines(*(f"{at},{i}" for i, at in enumerate(times))), PARIS)
    assert list(found.load_w) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found.end - found.start == timedelta(hours=2, minutes=30)


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        (["2026-07-01T12:00,100", "yesterday,100"], 3, "yesterday"),
        (["2026-07-01T12:00,100", "2026-07-01T12:01,lots"], 3, "lots"),
        (["2026-07-01T12:00,100", "2026-07-01T12:01,-5"], 3, "-5"),
        (["2026-07-01T12:00,100", "2026-07-01T12:01,1e9"], 3, "1e9"),
        (["2026-07-01T12:00,100", "2026-07-01T12:01,inf"], 3, "inf"),
        (["2026-07-01T12:00,100", "2026-07-01T12:01"], 3, "1 values"),
        (["2026-07-01T12:01,100", "2026-07-01T12:00,100"], 3, "not after"),
        (["2026-07-01T12:00,100", "2026-07-01T12:00,100"], 3, "not after"),
        (["2026-07-01T12:00,100"], None, "1 lines"),
        (["2026-07-01T12:00,100", "2026-07-02T12:00,100"], None, "apart"),
    ],
)
def test_a_bad_line_is_named_with_what_stands_there(rows, line, says):
    with pytest.raises(BadTrace, match=says) as error:
        parse(lines(*rows), PARIS)
    assert error.value.line == line
    assert line is None or str(error.value).startswith(f"line {line}: ")


@pytest.mark.parametrize("header", ["when,load_w", "time,power", "time,load_w,load_kw", ""])
def test_a_header_that_cannot_be_used_says_what_could(header):
    with pytest.raises(BadTrace, match="name a column 'time'"):
        parse(lines("2026-07-01T12:00,1,1", header=header), PARIS)


def test_a_file_may_be_gzipped_and_need_not_be_text_to_be_told_so(tmp_path):
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines("2026-07-01T12:00,1", "2026-07-01T12:01,2")).encode()))
    assert list(read(path, PARIS).load_w) == [1.0, 2.0]
    path.write_bytes(b"\xff\xfe\x00nonsense")
    with pytest.raises(BadTrace, match="UTF-8"):
        read(path, PARIS)


def test_a_panel_of_its_own_file_is_put_beside_the_load():
    load = parse(lines(*(f"2026-07-01T12:{m:02d},100" for m in range(4))), PARIS)
    pv = parse(lines("2026-07-01T12:00,50", "2026-07-01T12:02,70", header="time,pv_w"), PARIS, needs="pv_w")
    assert list(beside(load, pv).pv_w or ()) == [50.0, 50.0, 70.0, 70.0]
    late = parse(lines("2027-07-01T12:00,50", "2027-07-01T12:02,70", header="time,pv_w"), PARIS, needs="pv_w")
    with pytest.raises(BadTrace, match="not those of the load"):
        beside(load, late)


def test_the_packaged_trace_is_there():
    found = packaged()
    assert (found.step_s, round((found.end - found.start) / timedelta(days=1))) == (60.0, 26)
    assert found.covered > 0.999
