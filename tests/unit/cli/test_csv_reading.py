"""Other people's CSV files: what is taken, and what is said of the rest."""

import csv
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.cli.csv_layout import LayoutError, layout_of, parse_mapping, separator_of
from services.cli.csv_reading import CsvReader

NEW_YORK = ZoneInfo("America/New_York")
UPSTREAM = [
    "datetime", "powerstation_percentage", "powerstation_inputWAC", "powerstation_inputWDC", "powerstation_outputWAC",
    "powerstation_outputWDC", "powerstation_outputMode", "powerstation_deviceType",
    *(f"relay{i}_{what}" for i in (1, 2, 3) for what in ("power", "current", "voltage", "status", "device")),
    "mode", "position",
]  # fmt: skip


def read(text, *, mappings=(), time=None, zone=NEW_YORK, time_format=None):
    """The readings of a file, and who read it."""
    header, *lines = text.strip("\n").split("\n")
    separator = separator_of(header)
    names = next(csv.reader([header], delimiter=separator))
    reader = CsvReader(names, layout_of(names, [parse_mapping(one) for one in mappings], time), separator, zone, time_format)
    return [found for i, line in enumerate(lines, start=2) if (found := reader.read(i, line)) is not None], reader


def upstream(*lines):
    made = [",".join(str(({"datetime": "2025-05-01 16:02:33.123456"} | line).get(name, "")) for name in UPSTREAM) for line in lines]
    return "\n".join([",".join(UPSTREAM), *made])


def test_a_daily_file_of_the_upstream_project() -> None:
    line = {
        "powerstation_percentage": 71, "powerstation_inputWAC": 0, "powerstation_inputWDC": 45, "powerstation_outputWAC": 80,
        "powerstation_outputWDC": 0, "relay1_power": 12.5, "relay1_current": 0.11, "relay1_voltage": 118.2, "relay1_status": True,
        "relay2_power": 0.0, "relay3_power": 79, "mode": 1, "position": 1,
    }  # fmt: skip
    (found,), reader = read(upstream(line))
    assert found.ts == datetime(2025, 5, 1, 20, 2, 33, 123456, tzinfo=UTC)
    assert found.values == {
        "soc_pct": 71, "ac_in_w": 0, "ac_out_w": 80, "dc_in_w": 45, "dc_out_w": 0, "p1_w": 12.5, "p1_v": 118.2, "p2_w": 0, "p3_w": 79,
        "p4_w": 45,
    }  # fmt: skip
    assert not reader.troubles


def test_before_upstream_had_a_third_relay_p3_is_what_the_station_gave() -> None:
    (found,), _ = read(upstream({"powerstation_outputWAC": 80, "relay3_power": ""}))
    assert found.values["p3_w"] == 80


def test_what_was_not_read_is_unknown_and_not_nought() -> None:
    (found,), _ = read(upstream({"relay1_power": "", "relay2_power": 5}))
    assert "p1_w" not in found.values
    assert read(upstream({}))[0] == []


def test_a_mapping_by_hand_with_units_alternatives_and_a_zone() -> None:
    text = "timestamp;grid;second;state\n01/07/2026 16:00;0,125;7;on\n01/07/2026 16:01;;8;off\n"
    found, reader = read(
        text,
        mappings=["p1_w=grid*1000", "p3_w=missing|second", "ac_output_on=state"],
        time="timestamp",
        zone=ZoneInfo("Europe/Paris"),
        time_format="%d/%m/%Y %H:%M",
    )
    assert [one.ts for one in found] == [datetime(2026, 7, 1, 14, minute, tzinfo=UTC) for minute in (0, 1)]
    assert [one.values for one in found] == [{"p1_w": 125.0, "p3_w": 7.0, "ac_output_on": 1.0}, {"p3_w": 8.0, "ac_output_on": 0.0}]
    assert not reader.troubles


@pytest.mark.parametrize("time", ["2026-07-01T14:00:00Z", "2026-07-01T16:00:00+02:00", "1782914400", "1782914400000", "2026-07-01 10:00"])
def test_times_of_every_usual_form(time) -> None:
    (found,), _ = read(f"time,p1_w\n{time},5\n")
    assert found.ts == datetime(2026, 7, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2026-07-01T12:01:00Z,5", "it has 2 columns instead of 3: is it cut off?"),
        ("yesterday,5,6", "its time 'yesterday' is neither ISO 8601"),
        ('2026-07-01T12:01:00Z,"5,6', "unexpected end of data"),
    ],
)
def test_a_broken_line_is_named_with_its_number_and_the_rest_is_read(line, why) -> None:
    found, reader = read(f"time,p1_w,p2_w\n2026-07-01T12:00:00Z,1,2\n{line}\n2026-07-01T12:02:00Z,3,4\n")
    assert [one.values["p1_w"] for one in found] == [1, 3]
    (trouble,) = reader.troubles
    assert (trouble.line, trouble.lost) == (3, True)
    assert why in trouble.what


def test_an_absurd_value_is_left_out_and_the_rest_of_its_line_is_read() -> None:
    (found,), reader = read("time,p1_w,soc_pct\n2026-07-01T12:00:00Z,93500,50\n")
    assert found.values == {"soc_pct": 50}
    assert "p1_w cannot be 93500: it must lie between -30000 and 30000 W" in reader.troubles[0].what
    assert "a thousandth of it could be" in reader.troubles[0].what
    assert not reader.troubles[0].lost


def test_nan_and_infinity_are_not_taken_for_numbers() -> None:
    found, reader = read("time,p1_w,p2_w\n2026-07-01T12:00:00Z,inf,5\n2026-07-01T12:01:00Z,nan,5\n")
    assert [one.values for one in found] == [{"p2_w": 5}, {"p2_w": 5}]
    assert len(reader.troubles) == 1


def minutes(values, name="p1_w"):
    return f"time,{name}\n" + "\n".join(f"{1782914400 + 60 * i},{value}" for i, value in enumerate(values))


def test_a_jump_by_a_thousand_is_suspected_and_taken_as_it_is() -> None:
    found, reader = read(minutes([95.0] * 40 + [0.095] * 20))
    assert [one.values["p1_w"] for one in found] == [95.0] * 40 + [0.095] * 20
    (trouble,) = reader.troubles
    assert "p1_w is about a thousandth of what was usual (95)" in trouble.what
    assert (trouble.line, trouble.lost) == (51, False)  # after ten in a row


def test_a_whole_file_in_kilowatts_is_suspected() -> None:
    _, reader = read(minutes([0.1, 0.12, 1.4] * 20))
    assert any("is it in kW?" in note and "--map p1_w=NAME*1000" in note for note in reader.notes())
    _, small = read(minutes([3.0, 4.5, 0.0, 12.0] * 20))
    assert not small.notes()


def test_milliwatts_are_found_out_by_voltage_and_current() -> None:
    line = {"relay1_power": 12_500, "relay1_current": 0.11, "relay1_voltage": 118.2}
    (found,), reader = read(upstream(line))
    assert found.values["p1_w"] == 12_500
    assert "1000 times voltage times current" in reader.troubles[0].what


def test_lines_out_of_order_are_counted() -> None:
    found, reader = read("time,p1_w\n1782914400,1\n1782914300,2\n1782914500,3\n")
    assert len(found) == 3
    assert reader.notes() == ["1 line(s) are older than the one before; they were sorted in"]


def test_a_heading_in_the_middle_of_joined_files_is_passed_over() -> None:
    found, reader = read("time,p1_w\n1782914400,1\ntime,p1_w\n1782914500,3\n")
    assert (len(found), reader.troubles) == (2, [])


def test_of_many_broken_lines_the_first_are_named_and_all_are_counted() -> None:
    _, reader = read("time,p1_w\n" + "\n".join(["broken"] * 100))
    assert (len(reader.troubles), reader.lost) == (20, 100)


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ("p9_w=grid", "'p9_w' is not recorded; choose from p1_w"),
        ("grid", "write COLUMN=NAME"),
        ("p1_w=grid*x", "write COLUMN=NAME"),
        ("p1_w=grid*1e", "is no factor"),
        ("p1_w=grid*0", "a factor must not be nought"),
    ],
)
def test_a_wrong_mapping_says_what_is_right(mapping, why) -> None:
    with pytest.raises(LayoutError, match=None) as caught:
        parse_mapping(mapping)
    assert why in str(caught.value)


def test_a_file_that_nobody_knows_says_how_to_map_it() -> None:
    with pytest.raises(LayoutError) as caught:
        layout_of(["when", "watts"], [], None)
    assert "--time when --map p1_w=NAME" in str(caught.value)
    with pytest.raises(LayoutError) as caught:
        layout_of(["when", "watts"], [parse_mapping("p1_w=power")], "when")
    assert "there is no column 'power'; there are when, watts" in str(caught.value)
