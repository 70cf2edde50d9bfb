"""A simulated fortnight of a station, as its journal would hold it: events, a fault, a service that was away, and gaps."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from services.backtest.loop import Scenario, Step, simulate
from services.backtest.seed import reading_of
from services.bus.messages.devices import BatteryLink, RelayStateMessage
from services.bus.messages.events import EventMessage
from services.bus.messages.state import ControllerState, ServiceError, ServiceStatus
from services.controller.model import Settings
from services.core.config.load import parse_station
from services.core.config.station import Station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.modes import RELAYS
from services.core.observer import estimate
from services.core.programme import Rates
from services.recorder import day_table, keeping, reckoning
from services.recorder.estimates import Estimates
from services.recorder.history import History
from services.recorder.journal import Journal, StateRow, to_ms
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.sun import Panel
from services.simulator.trace import LoadTrace

SHIPPED = Path(__file__).parents[2] / "config" / "station.yaml"
DAYS = 14
STEP_S = 60
GAP_S = 600.0
REACH_MS = 600_000
SERVICES = ("bluetti_bridge", "controller", "gateway", "ina260_reader", "recorder", "relay_bridge")
_HOUR = timedelta(hours=1)


def priced_station() -> Station:
    """The shipped one, with a price for its battery and rates for its programme."""
    station = parse_station(SHIPPED.read_text(encoding="utf-8"))
    rules = reckoning.programme_of(station).model_copy(
        update={"rates": Rates(currency="USD", reservation_per_kw_month=6.0, performance_per_kwh=1.0)}
    )
    programme = station.programme.model_copy(update={"rules": rules, "pledge_w": 50.0})
    return station.model_copy(update={"programme": programme, "battery": station.battery.model_copy(update={"price": 900.0})})


def events(end: datetime) -> tuple[Event, ...]:
    """Three that are over, the last within a day, and one that runs at the end."""
    afternoon = end.replace(hour=16, minute=0)
    before = {"first": afternoon - timedelta(days=5), "second": afternoon - timedelta(days=3)}
    starts = {**before, "third": end - 20 * _HOUR, "running": end - _HOUR}
    goal = Goal(GoalKind.PLEDGE, 50.0)
    return tuple(
        Event(name, 0, start, start + 2 * _HOUR, goal, (Method.REPLACEMENT,), 0, EventStatus.SCHEDULED) for name, start in starts.items()
    )


def journal(path: Path, station: Station, end: datetime) -> Journal:
    """The journal of the fortnight before `end`, rolled up, with baselines and settlements reckoned from it."""
    begin = end - timedelta(days=DAYS)
    scenario = Scenario(
        parameters=PlantParameters.of(station),
        settings=Settings.of(station),
        preferences=station.preferences.preferences(),
        load_w=LoadTrace.of(station).load_w,
        pv_w=Panel.of(station).pv_w,
        start=begin,
        end=end,
        step_s=STEP_S,
        events=events(end),
    )
    steps = list(simulate(scenario, PlantState.initial(scenario.parameters)))
    made = Journal(path)
    made.append_rows((step.at, _row(step, station)) for step in steps if not _gap(step.at, begin))
    said = [*_decisions(steps, station), *_relays(steps, begin), *_services(begin, end), *_link(begin), *_event_states(end)]
    made.write({}, sorted(said, key=lambda row: row.ts_ms))
    while keeping.keep_up(made, GAP_S, REACH_MS) or day_table.keep_days(made, station.zone):
        pass
    for event in events(end):
        _settle(made, station, event, end)
    return made


def _gap(at: datetime, begin: datetime) -> bool:
    """Three hours on the fourth day in which nothing was recorded."""
    return begin + timedelta(days=4) <= at < begin + timedelta(days=4, hours=3)


def _row(step: Step, station: Station) -> dict[str, float | None]:
    seen = estimate(step.decision.memory.observer, Settings.of(station).battery)
    flows = step.flows
    ports = {"ac_in_w": flows.p2_w, "ac_out_w": flows.p3_w, "dc_in_w": flows.p4_w, "dc_out_w": 0.0}
    return {**reading_of(step), **ports, "estimate_pct": None if seen is None else seen[0]}


def _said(topic: str, message: ControllerState | RelayStateMessage | ServiceStatus | ServiceError | BatteryLink | EventMessage) -> StateRow:
    return StateRow(topic, to_ms(message.ts), message.model_dump_json())


def _decisions(steps: list[Step], station: Station) -> Iterator[StateRow]:
    told: object = None
    for step in steps:
        decision = step.decision
        news = (decision.phase, decision.mode, decision.reason.code, decision.event_id)
        if news != told or step is steps[-1]:
            told = news
            message = ControllerState(
                ts=step.at,
                phase=decision.phase,
                mode_commanded=int(decision.mode),
                mode_confirmed=None if decision.mode_confirmed is None else int(decision.mode_confirmed),
                reason=decision.reason.text(station.zone),
                reason_code=decision.reason.code,
                goal_w=decision.goal_w,
                duty=decision.duty,
                event_id=decision.event_id,
            )
            yield _said("controller/state", message)


def _relays(steps: list[Step], begin: datetime) -> Iterator[StateRow]:
    on: dict[str, bool] = {}
    for step in steps:
        relays = RELAYS[step.decision.mode]
        for name, now in (("p1", bool(relays.p1)), ("p2", bool(relays.p2))):
            if on.get(name) is not now:
                on[name] = now
                yield _said(f"relay/{name}/state", RelayStateMessage(ts=step.at, on=now, confirmed_by="readback"))
    at = begin + timedelta(days=6)
    yield _said("relay/p2/state", RelayStateMessage(ts=at, on=None, timer_fired=True, fault="not answering"))
    yield _said("relay/p2/state", RelayStateMessage(ts=at + timedelta(minutes=10), on=False, confirmed_by="readback"))


def _services(begin: datetime, end: datetime) -> Iterator[StateRow]:
    for name in SERVICES:
        yield _said(f"service/{name}/status", ServiceStatus(ts=begin, state="online", version="0.1.0", since=begin))
    away = begin + timedelta(days=5)
    back = away + timedelta(minutes=30)
    yield _said("service/gateway/status", ServiceStatus(ts=away, state="offline", version="0.1.0", since=begin))
    yield _said("service/gateway/status", ServiceStatus(ts=back, state="online", version="0.1.0", since=back))
    yield _said("service/relay_bridge/error", ServiceError(ts=end - 3 * _HOUR, message="message refused", remedy="send a boolean"))


def _link(begin: datetime) -> Iterator[StateRow]:
    at = begin + timedelta(days=7)
    for ts, available in ((begin, True), (at, False), (at + timedelta(minutes=20), True)):
        link = BatteryLink(ts=ts, available=available, silent=False, silent_s=0, rssi_dbm=-71, device="AC180")
        yield _said("battery/link", link)


def _event_states(end: datetime) -> Iterator[StateRow]:
    for event in events(end):
        course = [(event.start - 2 * _HOUR, EventStatus.SCHEDULED), (event.start, EventStatus.ONGOING), (event.end, EventStatus.COMPLETED)]
        for ts, status in course:
            if ts <= end:
                why = "its time is over" if status is EventStatus.COMPLETED else ""
                yield _said(f"event/{event.id}", EventMessage.of(replace(event, status=status, status_reason=why), ts))


def _settle(made: Journal, station: Station, event: Event, end: datetime) -> None:
    """As the recorder's accounts do it."""
    history, estimates = History(made.path), Estimates(History(made.path), None)
    message = EventMessage.of(replace(event, status=EventStatus.ONGOING), event.start)
    against = reckoning.baseline(message, event.start, station, history, GAP_S)
    holidays, intervals = reckoning.holidays_around(station, event.start), reckoning.intervals_for(message, station)
    if (load := estimates.make(message, intervals, event.start, holidays, station.zone, GAP_S)) is not None:
        against = reckoning.with_load(against, load)
    until = min(event.end, end)
    figures = reckoning.performance(message, against, until, history, GAP_S, ts=until, final=event.end <= end, station=station)
    assert figures is not None
    rows = [(event.start, "baseline", against.model_dump_json()), (until, "performance", figures.model_dump_json())]
    made.write({}, [StateRow(f"event/{event.id}/{name}", to_ms(ts), text) for ts, name, text in rows])
