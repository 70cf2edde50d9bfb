"""One example of each message: the documents show them, and the contract tests send them over real brokers."""

from datetime import UTC, datetime, timedelta

from services.bus import contract
from services.bus.contract import Channel
from services.bus.messages import devices, events, state
from services.bus.messages.base import Payload
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.goals import GoalKind, Method
from services.core.preferences import Participation, SharingLevel

_TS = datetime(2027, 7, 1, 16, 20, 5, 250_000, tzinfo=UTC)
_START = datetime(2027, 7, 1, 16, 0, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_PLEDGE = GoalSection(kind=GoalKind.PLEDGE, reduction_w=150)
_EVENT = "20270701-1600-3f2a"

PARAMETERS = {
    "position": ("p1", "The position of the relay or sensor: p1 grid to load, p2 grid to battery, p3 battery to load, p4 PV to battery."),
    "load": ("washer", "The deferrable load's name in the station file."),
    "event_id": (_EVENT, "The event's id: 1 to 64 of A-Z a-z 0-9 . _ - and never `command`."),
    "service": ("controller", "The service's name."),
}
"""An example and a description of each placeholder."""

_EXAMPLES: tuple[tuple[Channel[Payload], Payload], ...] = (
    (
        contract.POSITION_READING,
        devices.PositionReading(ts=_TS, power_w=142.5, voltage_v=230.1, current_a=0.62, energy_wh=10412.3, device="shellyplus1pm-a8"),
    ),
    (
        contract.BATTERY_READING,
        devices.BatteryReadingMessage(ts=_TS, soc_pct=61, ac_in_w=0, ac_out_w=142, dc_in_w=35, ac_output_on=True, device="AC180"),
    ),
    (
        contract.BATTERY_LINK,
        devices.BatteryLink(
            ts=_TS,
            available=False,
            silent=True,
            silent_s=660.5,
            failures=5,
            last_failure="not heard within 5 s: asleep, out of reach, or connected to an app",
            last_failure_at=_TS,
            rssi_dbm=-71,
            device="bluetti_ble AC1802237000123456",
        ),
    ),
    (contract.BATTERY_ESTIMATE, devices.BatteryEstimate(ts=_TS, soc_pct=60.8, low=59.2, high=62.4)),
    (
        contract.RELAY_COMMAND,
        devices.RelayCommand(ts=_TS, on=False, command_id="c-00042", hold_s=30, reason="event: holding 142 W from the battery"),
    ),
    (
        contract.RELAY_STATE,
        devices.RelayStateMessage(ts=_TS, on=False, confirmed_by="power", command_id="c-00042", timer_s=58.2),
    ),
    (
        contract.LOAD_READING,
        devices.PositionReading(ts=_TS, power_w=610.0, voltage_v=230.2, current_a=2.65, energy_wh=820.4, device="shelly_gen2 washer"),
    ),
    (
        contract.LOAD_COMMAND,
        devices.RelayCommand(ts=_TS, on=False, command_id="washer-00007", hold_s=30, reason="event: shifted until 20:06"),
    ),
    (
        contract.LOAD_STATE,
        devices.RelayStateMessage(ts=_TS, on=False, confirmed_by="power", command_id="washer-00007", timer_s=57.9),
    ),
    (
        contract.LOAD_SHIFT,
        devices.LoadShift(
            ts=_TS,
            event_id=_EVENT,
            stage="off",
            off_at=_START - timedelta(minutes=2),
            resume_at=_START + timedelta(hours=4, minutes=6),
            before_w=610.0,
            deferred_wh=216.9,
            resumed_wh=0.0,
            shifted_wh=0.0,
        ),
    ),
    (contract.EVENT_COMMAND, events.EventCommand(start="16:00", duration=timedelta(hours=4), goal=_PLEDGE)),
    (
        contract.EVENT,
        events.EventMessage(
            ts=_TS,
            id=_EVENT,
            revision=0,
            start=_START,
            end=_START + 4 * _HOUR,
            goal=_PLEDGE,
            methods=(Method.REPLACEMENT,),
            priority=0,
            status=EventStatus.ONGOING,
        ),
    ),
    (
        contract.EVENT_BASELINE,
        events.EventBaseline(
            ts=_TS,
            event_id=_EVENT,
            method="mean of recent days",
            days=("2027-06-29", "2027-06-30"),
            intervals=(events.BaselineInterval(start=_START, end=_START + _HOUR, import_wh=164.2, load_wh=150.9),),
        ),
    ),
    (
        contract.EVENT_PERFORMANCE,
        events.EventPerformance(
            ts=_TS,
            event_id=_EVENT,
            final=False,
            intervals=(
                events.PerformanceInterval(
                    start=_START,
                    end=_START + _HOUR,
                    baseline_wh=164.2,
                    import_wh=14.1,
                    avoided_wh=136.8,
                    pv_wh=11.3,
                    reduction_wh=150.1,
                    covered=1,
                ),
            ),
            avoided_wh=136.8,
            reduction_wh=150.1,
            covered=1,
        ),
    ),
    (
        contract.CONTROLLER_STATE,
        state.ControllerState(
            ts=_TS,
            phase="ongoing",
            mode_commanded=5,
            mode_confirmed=5,
            reason="battery at 61 %, 3 h 40 min left, holding 142 W",
            reason_code="holding",
            goal_w=150,
            duty=0.9,
            event_id=_EVENT,
            next_change=_START + 4 * _HOUR,
            methods=(Method.REPLACEMENT, Method.SHIFTING),
            instance="kitchen-pi-4711-3f2a",
            in_charge_since=_START - 4 * _HOUR,
        ),
    ),
    (contract.OVERRIDE, state.Override(mode=2, duration=timedelta(minutes=30))),
    (contract.COMMITTED, state.Committed(ts=_TS, until=_TS - timedelta(seconds=1))),
    (
        contract.PREFERENCES,
        state.PreferencesMessage(
            ts=_TS,
            goal=_PLEDGE,
            duration=timedelta(hours=4),
            methods=(Method.REPLACEMENT,),
            participation=Participation.ALWAYS,
            backup_reserve_pct=20,
            sharing=SharingLevel.NONE,
        ),
    ),
    (contract.CLOCK, state.ClockMessage(ts=_TS, epoch_wall=_START, epoch_station=_START, speed=60)),
    (contract.SERVICE_STATUS, state.ServiceStatus(ts=_TS, state="online", version="0.1.0", since=_START)),
    (contract.SERVICE_VITALS, state.ServiceVitals(ts=_TS, rss_bytes=48_250_880)),
    (
        contract.SERVICE_ERROR,
        state.ServiceError(
            ts=_TS,
            topic="sps/demo/event/command",
            field="start",
            value="'tomorrow'",
            message="message refused",
            remedy='use "now", a local time such as "16:00", or RFC 3339 with an offset',
        ),
    ),
)


def example(channel: Channel[Payload]) -> Payload:
    """The example of `channel`."""
    return next(message for known, message in _EXAMPLES if known is channel)


def example_parameters(names: tuple[str, ...]) -> dict[str, str]:
    """An example for each placeholder."""
    return {name: PARAMETERS[name][0] for name in names}
