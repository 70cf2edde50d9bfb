"""Strict reading of what a Shelly of the second generation or later answers. Pure."""

from dataclasses import dataclass

from services.relay_bridge.drivers.shelly_json import Reply, number, parse_object, section
from services.relay_bridge.errors import BadReply, DeviceRefused
from services.relay_bridge.status import Status

__all__ = ["Reply", "RunningTimer", "moved", "parse_frame", "parse_initial_state", "parse_status"]


@dataclass(frozen=True, slots=True)
class RunningTimer:
    """The timer in a `Switch.GetStatus` reply."""

    started_at: float
    """By the device's own clock, which need not agree with ours: good only for telling one timer from the next."""
    duration_s: float


def parse_frame(body: bytes, request_id: int) -> Reply:
    """The result in a JSON-RPC response frame. Raises BadReply, or DeviceRefused for an error frame."""
    frame = parse_object(body)
    # A reply to an earlier request, left over on the connection, must not pass for this one's.
    if frame.get("id") != request_id:
        raise BadReply("id", frame.get("id"), str(request_id))
    if (refusal := frame.get("error")) is not None:
        raise DeviceRefused(f"refused by the device: {str(refusal)[:200]}")
    result = frame.get("result")
    if not isinstance(result, dict):
        raise BadReply("result", result, "a JSON object")
    return result


def parse_status(result: Reply) -> tuple[Status, RunningTimer | None]:
    """The status in a `Switch.GetStatus` result, its `timer_s` being the timer's whole duration. Raises BadReply."""
    output = result.get("output")
    if not isinstance(output, bool):
        raise BadReply("output", output, "true or false")
    timer = _timer(result)
    status = Status(
        on=output,
        power_w=number(result, "apower", -20_000, 20_000),
        voltage_v=number(result, "voltage", 0, 500),
        current_a=number(result, "current", -100, 100),
        energy_wh=number(section(result, "aenergy"), "total", 0, 1e10, "aenergy."),
        temperature_c=number(section(result, "temperature"), "tC", -60, 200, "temperature."),
        timer_s=timer.duration_s if timer else None,
    )
    return status, timer


def parse_initial_state(result: Reply) -> str:
    """`initial_state` in a `Switch.GetConfig` result. Raises BadReply."""
    state = result.get("initial_state")
    if not isinstance(state, str):
        raise BadReply("initial_state", state, "a word")
    return state


def _timer(result: Reply) -> RunningTimer | None:
    started_at = number(result, "timer_started_at", 0, 1e11)
    duration_s = number(result, "timer_duration", 0, 1e7)
    if started_at is None and duration_s is None:
        return None
    if started_at is None:
        raise BadReply("timer_started_at", None, "a number beside timer_duration")
    if duration_s is None:
        raise BadReply("timer_duration", None, "a number beside timer_started_at")
    return RunningTimer(started_at, duration_s)


def moved(frame: Reply, channel: int) -> bool:
    """Whether a frame from the WebSocket is a NotifyStatus that tells the output of `channel`. Of metering alone it says False."""
    params = frame.get("params")
    if frame.get("method") != "NotifyStatus" or not isinstance(params, dict):
        return False
    switch = params.get(f"switch:{channel}")
    return isinstance(switch, dict) and "output" in switch
