"""States as points: what a dashboard reads, and that telling twice is telling once."""

import json
from datetime import datetime
from itertools import pairwise

import pytest
from influxdb_client.client.write.point import _escape_key, _escape_string

from services.bus import contract
from services.bus.contract import CHANNELS
from services.bus.examples import example
from services.recorder.influx_states import AT_LOWEST, lines, standing, vitals

AT = 1_800_000_000_000


def told(topic: str, **said) -> list[str]:
    return list(lines([(topic, AT, json.dumps(said))], "demo"))


def test_every_message_of_the_bus_is_taken_and_told_again_is_the_same() -> None:
    parameters = {"position": "p1", "event_id": "e1", "service": "controller", "load": "washer"}
    rows = [(channel.pattern.format(**parameters), AT, example(channel).model_dump_json()) for channel in CHANNELS]
    found = list(lines(rows, "demo"))
    assert found == list(lines(rows, "demo"))
    assert {line.split(",")[0] for line in found} == {
        "controller", "relay", "battery_link", "event", "event_window", "event_interval", "service", "fault",
    }  # fmt: skip


def test_an_unknown_figure_has_no_field() -> None:
    (line,) = told("relay/p1/state", on=None, fault=None)
    assert line == f"relay,position=p1,station=demo faulty=0.0,timer_fired=0.0 {AT}"
    assert vitals("demo", "recorder", AT) is None
    assert vitals("demo", "recorder", AT, memory_mb=48.25) == f"vitals,service=recorder,station=demo memory_mb=48.25 {AT}"


def test_a_relays_fault_is_a_fault_too() -> None:
    relay, fault = told("relay/p2/state", on=False, fault='says "no", twice')
    assert relay.startswith("relay,position=p2,station=demo on=0.0,faulty=1.0")
    assert fault == rf'fault,source=relay\ p2,station=demo text="relay p2: says \"no\", twice" {AT}'


def test_a_deferrable_loads_relay_is_one_by_its_name() -> None:
    relay, fault = told("load/washer/state", on=None, fault="not answering", timer_fired=True)
    assert relay == f'relay,position=washer,station=demo faulty=1.0,timer_fired=1.0,fault="not answering" {AT}'
    assert fault.startswith(r"fault,source=load\ washer,station=demo ")
    (again,) = standing([("load/washer/state", AT, json.dumps({"on": True}))], "demo", AT + 1)
    assert again.startswith("relay,position=washer,station=demo on=1.0")


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"state": "online"}, ["online=1.0,ok=1.0"]),
        ({"state": "online", "health": "degraded", "detail": "no radio"}, ["online=1.0,ok=0.0", 'text="gateway: no radio"']),
        ({"state": "offline"}, ["online=0.0,ok=0.0", 'text="gateway: offline"']),
    ],
)
def test_a_service_that_is_away_or_unwell_is_a_fault(said, fields) -> None:
    found = told("service/gateway/status", **said)
    assert len(found) == len(fields)
    assert all(field in line for field, line in zip(fields, found, strict=True))


@pytest.mark.parametrize("code", sorted(AT_LOWEST))
def test_the_reserve_is_told_by_the_controllers_reason_code(code) -> None:
    (line,) = told("controller/state", phase="ongoing", mode_commanded=2, reason="battery at 20 %", reason_code=code)
    assert "at_lowest=1.0" in line
    (line,) = told("controller/state", phase="ongoing", mode_commanded=5, reason="holding", reason_code="holding")
    assert "at_lowest=0.0" in line


def test_those_reason_codes_are_the_controllers() -> None:
    from services.controller.reasons import _WORDS  # noqa: PLC0415

    assert {code for code in _WORDS if code.endswith("_reached")} == AT_LOWEST


def test_only_an_event_that_took_place_has_a_window() -> None:
    said = json.loads(example(contract.EVENT).model_dump_json())
    for status, points in (("scheduled", 1), ("cancelled", 1), ("ongoing", 2), ("completed", 2)):
        assert len(told("event/e1", **{**said, "status": status})) == points
    window = told("event/e1", **said)[1]
    assert window.endswith(str(round(datetime.fromisoformat(said["start"]).timestamp() * 1000)))


@pytest.mark.parametrize("status", ["cancelled", "opted_out"])
@pytest.mark.parametrize(("said_at", "end"), [("17:10", "17:10"), ("18:30", "18:00"), ("15:59", None), ("16:00", None)])
def test_an_event_that_is_cut_short_ends_when_that_was_said(status, said_at, end) -> None:
    said = json.loads(example(contract.EVENT).model_dump_json())
    said |= {"start": "2027-07-01T16:00:00Z", "end": "2027-07-01T18:00:00Z", "status": status}

    def at_ms(clock: str) -> int:
        return round(datetime.fromisoformat(f"2027-07-01T{clock}:00Z").timestamp() * 1000)

    windows = [one for one in lines([("event/e1", at_ms(said_at), json.dumps(said))], "demo") if one.startswith("event_window,")]
    assert len(windows) == (end is not None)
    for window in windows:
        assert f"end_ms={float(at_ms(end))}," in window
        assert window.endswith(f" {at_ms('16:00')}"), "the same point as that of the running event"


@pytest.mark.parametrize(("reduction_wh", "met"), [(300.0, "met=1.0"), (299.96, "met=1.0"), (299.0, "met=0.0"), (None, None)])
def test_a_final_event_is_met_or_not_and_unknown_is_neither(reduction_wh, met) -> None:
    hours = ["2027-07-01T16:00:00Z", "2027-07-01T17:00:00Z", "2027-07-01T18:00:00Z"]
    intervals = [{"start": a, "end": b, "covered": 1} for a, b in pairwise(hours)]
    said = {"final": True, "intervals": intervals, "pledge_w": 150, "reduction_wh": reduction_wh, "covered": 1, "avoided_wh": 280}
    first, second, total = told("event/e1/performance", **said)
    assert "goal_wh=150.0" in first
    assert "goal_wh=150.0" in second
    assert (met in total) if met else ("met=" not in total)
    assert len(told("event/e1/performance", **{**said, "final": False})) == 2


def test_a_baseline_is_seen_before_the_event_and_its_performance_completes_the_same_point() -> None:
    hour = {"start": "2027-07-01T16:00:00Z", "end": "2027-07-01T17:00:00Z"}
    (before,) = told("event/e1/baseline", intervals=[{**hour, "import_wh": 180.0, "load_wh": 190.0}])
    (after,) = told("event/e1/performance", intervals=[{**hour, "covered": 1, "baseline_wh": 180.0, "import_wh": 30.0}])
    assert "baseline_wh=180.0,load_estimate_wh=190.0 " in before
    assert "import_wh=30.0" in after
    assert (before.split()[0], before.split()[-1]) == (after.split()[0], after.split()[-1])


@pytest.mark.parametrize("text", ["a=b", "a,b c", 'quo"te', "back\\slash"])
def test_text_is_escaped_as_the_library_does(text) -> None:
    (line,) = told("service/x/error", message=text)
    assert f'"x: {_escape_string(text)}"' in line
    if "\\" not in text:
        (line,) = [one for one in told(f"service/{text}/status", state="online") if one.startswith("service")]
        assert f"service={_escape_key(text)}" in line.replace('\\"', '"')


def test_what_stands_is_told_again_without_its_fault_and_never_before_its_time() -> None:
    rows = [
        ("relay/p1/state", AT, json.dumps({"on": True, "fault": "welded"})),
        ("service/gateway/status", AT + 2, json.dumps({"state": "online"})),
        ("event/e1", AT, json.dumps({"status": "ongoing"})),
    ]
    (relay,) = standing(rows, "demo", AT + 1)
    assert relay.startswith("relay,position=p1,station=demo on=1.0,faulty=1.0")
    assert relay.endswith(str(AT + 1))


def test_a_decision_is_marked_once_however_often_it_is_told() -> None:
    row = ("controller/state", AT, json.dumps({"phase": "normal", "mode_commanded": 2, "reason": "resting", "reason_code": "resting"}))
    (decision,) = lines([row], "demo")
    assert "decided=1.0" in decision
    (again,) = standing([row], "demo", AT + 60_000)
    assert "mode_commanded=2.0" in again
    assert "decided" not in again
