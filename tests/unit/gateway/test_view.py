"""What the page shows is what is known now; what is too old, or cannot be known, is unknown."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.client import Received
from services.bus.messages.base import Payload
from services.bus.messages.devices import BatteryEstimate, BatteryReadingMessage, PositionReading, RelayStateMessage
from services.bus.messages.events import EventMessage, EventPerformance
from services.bus.messages.state import ControllerState, ServiceStatus
from services.core.config.hardware import StationOutput
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import GoalKind, Method
from services.gateway.heard import Heard
from services.gateway.models import PositionView, StateView
from services.gateway.view import Moment, event_view, event_views, freshness, state_view
from tests.support.gateway import station_with

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STATION = station_with()
STALE_S = STATION.control.stale_after_s
BATTERY_STALE_S = STATION.control.battery_stale_after_s

P = TypeVar("P", bound=Payload)


def received(message: P, at: float = 100.0, *, retained: bool = False, **params: str) -> Received[P]:
    return Received(message, params, "", retained, at)


def reading(power_w: float | None) -> PositionReading:
    return PositionReading(ts=NOW, power_w=power_w, voltage_v=230.0, device="test")


def battery(soc_pct: float | None) -> BatteryReadingMessage:
    return BatteryReadingMessage(ts=NOW, soc_pct=soc_pct, ac_output_on=True, device="test")


def deciding() -> ControllerState:
    return ControllerState(ts=NOW, phase="normal", mode_commanded=2, mode_confirmed=2, reason="resting", reason_code="rest")


def status(state: Any) -> ServiceStatus:
    return ServiceStatus(ts=NOW, state=state, version="1", since=NOW)


def event(event_id: str, hours: float, state: EventStatus) -> EventMessage:
    start = NOW + timedelta(hours=hours)
    goal = GoalSection(kind=GoalKind.MINIMIZE)
    return EventMessage(
        ts=NOW,
        id=event_id,
        revision=0,
        start=start,
        end=start + timedelta(hours=1),
        goal=goal,
        methods=(Method.REPLACEMENT,),
        priority=0,
        status=state,
    )


def full() -> Heard:
    """A station of which everything was heard at second 100."""
    heard = Heard()
    for position, power_w in {"p1": 200.0, "p2": 50.0, "p3": 10.0, "p4": 80.0}.items():
        heard.on_position(received(reading(power_w), position=position))
    for position in ("p1", "p2"):
        heard.on_relay(received(RelayStateMessage(ts=NOW, on=True, confirmed_by="readback"), position=position))
    heard.on_battery(received(battery(60.0)))
    heard.on_controller(received(deciding()))
    return heard


def at(seconds: float, *, connected: bool = True, heard: Heard | None = None) -> StateView:
    moment = Moment(now=NOW, speed=1.0, monotonic_s=seconds, connected=connected)
    return state_view(heard or full(), STATION, STATION.preferences.preferences(), moment)


def test_shows_what_was_heard_just_now() -> None:
    state = at(101.0)
    assert {name: view.power_w for name, view in state.positions.items()} == {"p1": 200.0, "p2": 50.0, "p3": 10.0, "p4": 80.0}
    assert (state.load_w, state.import_w, state.battery.soc_pct, state.battery.source) == (210.0, 250.0, 60.0, "reading")
    assert state.positions["p1"].relay_on is True
    assert state.positions["p1"].age_s == 1.0
    assert state.controller is not None
    assert state.controller.reason == "resting"


@given(st.floats(100.0, 1000.0))
def test_a_reading_is_either_fresh_or_unknown(seconds: float) -> None:
    state = at(seconds)
    age_s = seconds - 100.0
    assert state.positions["p1"].power_w == (200.0 if age_s <= STALE_S else None)
    assert state.battery.soc_pct == (60.0 if age_s <= BATTERY_STALE_S else None)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    heard = full()
    heard.on_position(received(reading(None), position="p1"))
    state = at(101.0, heard=heard)
    assert state.load_w is None
    assert state.import_w is None


def test_the_estimate_stands_in_for_a_silent_station() -> None:
    heard = full()
    heard.on_estimate(received(BatteryEstimate(ts=NOW, soc_pct=55, low=50, high=60), at=100.0 + BATTERY_STALE_S))
    view = at(101.0 + BATTERY_STALE_S, heard=heard).battery
    assert (view.soc_pct, view.source, view.low_pct, view.high_pct) == (55.0, "estimate", 50.0, 60.0)
    assert view.ac_output_on is None


def test_without_the_bus_nothing_live_is_known() -> None:
    state = at(100.5, connected=False)
    assert all(view.power_w is None and view.relay_on is None for view in state.positions.values())
    assert state.battery.soc_pct is None
    assert state.controller is None
    assert state.services == {}


@pytest.mark.parametrize(("service", "kept"), [("relay_bridge", "controller"), ("controller", "relay")])
def test_what_an_absent_service_left_behind_is_not_shown(service: str, kept: str) -> None:
    heard = full()
    heard.on_service(received(status("offline"), service=service))
    state = at(101.0, heard=heard)
    assert (state.controller is not None) == (kept == "controller")
    assert (state.positions["p1"].relay_on is not None) == (kept == "relay")
    heard.on_service(received(status("online"), service=service))
    assert at(101.0, heard=heard) == at(101.0).model_copy(update={"services": at(101.0, heard=heard).services})


def test_growing_stale_counts_as_a_change() -> None:
    def key(seconds: float) -> tuple[bool, ...]:
        return freshness(full(), STATION, Moment(now=NOW, speed=1.0, monotonic_s=seconds, connected=True))

    assert key(100.0) == key(100.0 + STALE_S)
    assert key(100.0 + STALE_S) != key(100.1 + STALE_S)
    assert key(100.1 + STALE_S) != key(100.1 + BATTERY_STALE_S)


def test_p3_without_a_relay_and_an_absent_panel_are_said_so() -> None:
    station = STATION.model_copy(update={"positions": STATION.positions.model_copy(update={"p4": None})})
    state = state_view(full(), station, station.preferences.preferences(), Moment(NOW, 1.0, 100.0, connected=True))
    assert not state.positions["p4"].present
    assert not state.positions["p3"].has_relay
    assert state.positions["p3"].relay_on is None


def test_an_ac_output_that_is_switched_shows_its_state_for_as_long_as_the_one_who_switches_it_is_there() -> None:
    output = StationOutput(sensor="station", switch="ac_output", deadman="none")
    station = STATION.model_copy(update={"positions": STATION.positions.model_copy(update={"p3": output})})
    heard = full()
    heard.on_relay(received(RelayStateMessage(ts=NOW, on=False, confirmed_by="readback", fault="set off by hand"), position="p3"))

    def p3() -> PositionView:
        return state_view(heard, station, station.preferences.preferences(), Moment(NOW, 1.0, 100.0, connected=True)).positions["p3"]

    assert (p3().has_relay, p3().relay_on, p3().fault) == (True, False, "set off by hand")
    heard.on_service(received(status("offline"), service="relay_bridge"))
    assert p3().relay_on is False, "it is not the relay bridge's"
    heard.on_service(received(status("offline"), service="bluetti_bridge"))
    assert (p3().has_relay, p3().relay_on) == (True, None)


def test_events_open_first_then_the_latest() -> None:
    heard = Heard()
    for name, hours, state in [
        ("done", -30, EventStatus.COMPLETED),
        ("later", 5, EventStatus.SCHEDULED),
        ("sooner", 1, EventStatus.UPCOMING),
        ("out", -3, EventStatus.OPTED_OUT),
    ]:
        heard.on_event(received(event(name, hours, state), event_id=name))
    assert [view.id for view in event_views(heard)] == ["sooner", "later", "out", "done"]
    heard.forget_event({"event_id": "sooner"})
    assert [view.id for view in event_views(heard)] == ["later", "out", "done"]


def test_an_event_carries_its_result() -> None:
    heard = Heard()
    assert event_view(heard, "a") is None
    heard.on_event(received(event("a", -2, EventStatus.COMPLETED), event_id="a"))
    before = event_view(heard, "a")
    heard.on_performance(
        received(EventPerformance(ts=NOW, event_id="a", final=True, intervals=(), avoided_wh=5, reduction_wh=None, covered=1), event_id="a")
    )
    after = event_view(heard, "a")
    assert before is not None
    assert after is not None
    assert (before.avoided_wh, before.final) == (None, False)
    assert (after.avoided_wh, after.reduction_wh, after.final) == (5.0, None, True)
