"""What is so just now: told when it is known, and never made up."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from services.bus.messages.devices import BatteryEstimate
from services.bus.messages.state import ServiceVitals
from services.recorder.influx_present import Present
from services.recorder.journal import Journal, JournalError, StateRow, to_ms
from tests.support.recorder import event

NOW = datetime(2026, 7, 2, 12, tzinfo=UTC)


class Stopped:
    """A clock that stands."""

    known = True
    speed = 60.0

    def now(self):
        return NOW

    def monotonic(self):
        return 0.0

    async def sleep(self, seconds):
        raise NotImplementedError


class Switched(Present):
    """One whose broker goes and comes."""

    there = True
    journal: Journal


@pytest.fixture
def told(journal, history, station):
    present = Switched(
        station,
        history,
        Stopped(),
        committed_until=lambda: NOW - timedelta(minutes=5),
        connected=lambda: present.there,
    )
    present.journal = journal
    return present


def of(lines, measurement):
    return [line for line in lines if line.startswith(f"{measurement},")]


def test_the_journals_lag_is_real_seconds_and_memory_is_told_once(told) -> None:
    told.vitals("gateway", ServiceVitals(ts=NOW, rss_bytes=48_250_000))
    assert of(told.lines(), "vitals") == [
        f"vitals,service=gateway,station=demo memory_mb=48.25 {to_ms(NOW)}",
        f"vitals,service=recorder,station=demo journal_lag_s=5.0 {to_ms(NOW)}",
    ]
    assert len(of(told.lines(), "vitals")) == 1, "what was measured once is not told twice"


def test_the_band_of_the_state_of_charge_comes_with_it(told) -> None:
    told.estimate(BatteryEstimate(ts=NOW, soc_pct=61, low=57.5, high=64))
    assert of(told.lines(), "battery_estimate") == [f"battery_estimate,station=demo soc_pct=61.0,low_pct=57.5,high_pct=64.0 {to_ms(NOW)}"]
    assert of(told.lines(), "battery_estimate") == []


def test_what_stands_is_told_only_while_the_broker_is_there(told) -> None:
    told.state("relay/p1/state", NOW - timedelta(hours=3), '{"on": true}')
    told.state("event/e1", NOW - timedelta(hours=3), '{"status": "ongoing"}')
    assert of(told.lines(), "relay") == [f"relay,position=p1,station=demo on=1.0,faulty=0.0,timer_fired=0.0 {to_ms(NOW)}"]
    told.there = False
    assert of(told.lines(), "relay") == []


def test_a_journal_that_cannot_be_read_yet_is_asked_again(told, monkeypatch) -> None:
    def not_yet(*_):
        raise JournalError("no such table: event")

    with monkeypatch.context() as patched:
        patched.setattr(told._history, "events", not_yet)
        assert of(told.lines(), "season_month") == []
    assert of(told.lines(), "season_month")


def test_the_months_are_told_with_the_events_that_settled(told) -> None:
    start = NOW - timedelta(days=1)
    figures = (
        '{"intervals": [], "final": true, "avoided_wh": 280, "reduction_wh": 300, "covered": 1, "payment": 0.3, "performance_factor": 0.9}'
    )
    told.journal.write(
        {},
        [
            StateRow("event/e1", to_ms(start), event("e1", start, start + timedelta(hours=2), "completed")),
            StateRow("event/e1/performance", to_ms(start), figures),
            StateRow("event/e2", to_ms(start), event("e2", start, start + timedelta(hours=2), "scheduled")),
        ],
    )
    months = of(told.lines(), "season_month")
    july = [line for line in months if line.endswith(str(to_ms(datetime(2026, 6, 30, 22, tzinfo=UTC))))]
    assert len(july) == 1
    assert "events=1.0" in july[0]
    assert "reduction_wh=300.0" in july[0]
    assert "performance=0.3" in july[0]
    assert july[0].startswith("season_month,station=demo "), "under another programme it is the same point"
    assert 'programme="' in july[0]
    assert of(told.lines(), "season_month") == [], "once in a while is enough"


def say(told, topic, **said):
    told.state(topic, NOW - timedelta(hours=3), json.dumps(said))


@pytest.mark.parametrize(
    ("topic", "said", "owner", "measurement"),
    [
        ("controller/state", {"phase": "normal", "mode_commanded": 5}, "controller", "controller"),
        ("relay/p1/state", {"on": True}, "relay_bridge", "relay"),
        ("load/washer/state", {"on": True}, "relay_bridge", "relay"),
        ("battery/link", {"available": True}, "bluetti_bridge", "battery_link"),
    ],
)
def test_what_a_service_said_does_not_stand_once_it_is_away(told, topic, said, owner, measurement) -> None:
    say(told, topic, **said)
    say(told, f"service/{owner}/status", state="online")
    assert len(of(told.lines(), measurement)) == 1
    say(told, f"service/{owner}/status", state="offline")
    lines = told.lines()
    assert of(lines, measurement) == []
    assert "online=0.0" in of(lines, "service")[0], "that it is away stands"
    say(told, f"service/{owner}/status", state="online")
    assert len(of(told.lines(), measurement)) == 1


def test_the_output_of_the_power_station_is_the_word_of_its_bridge(told, station) -> None:
    p3 = station.positions.p3.model_copy(update={"switch": "ac_output"})
    told._station = station.model_copy(update={"positions": station.positions.model_copy(update={"p3": p3})})
    say(told, "relay/p3/state", on=True)
    say(told, "service/relay_bridge/status", state="offline")
    assert len(of(told.lines(), "relay")) == 1
    say(told, "service/bluetti_bridge/status", state="offline")
    assert of(told.lines(), "relay") == []


def test_what_the_station_no_longer_uses_does_not_stand(told, station) -> None:
    for service in ("simulator", "home_assistant", "ina260_reader", "bluetti_bridge", "relay_bridge"):
        say(told, f"service/{service}/status", state="offline")
    say(told, "battery/link", available=False)
    positions = station.positions.model_copy(update={"p4": None})
    battery = station.battery.model_copy(update={"driver": "none"})
    told._station = station.model_copy(update={"clock": "system", "positions": positions, "battery": battery})
    lines = told.lines()
    assert [line.split(",")[1] for line in of(lines, "service")] == ["service=relay_bridge"]
    assert of(lines, "battery_link") == []
