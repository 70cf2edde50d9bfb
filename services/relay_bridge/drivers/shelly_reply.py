"""Strict reading of what a Shelly of the second generation or later answers. Pure."""

import json
from dataclasses import dataclass
from math import isfinite
from typing import NoReturn

from services.relay_bridge.errors import BadReply, DeviceRefused
from services.relay_bridge.status import Status

Reply = dict[str, object]


@dataclass(frozen=True, slots=True)
class RunningTimer:
    """The timer in a `Switch.GetStatus` reply."""

    started_at: float
    """By the device's own clock, which need not agree with ours: good only for telling one timer from the next."""
    duration_s: float


def parse_frame(body: bytes, request_id: int) -> Reply:
    """The result in a JSON-RPC response frame. Raises BadReply, or DeviceRefused for an error frame."""
    try:
        frame = json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:  # not JSON, not UTF-8, or NaN and the like
        raise BadReply("body", body[:60], f"JSON ({error})") from None
    except RecursionError:
        raise BadReply("body", body[:60], "JSON") from None
    if not isinstance(frame, dict):
        raise BadReply("body", frame, "a JSON object")
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
        power_w=_number(result, "apower", -20_000, 20_000),
        voltage_v=_number(result, "voltage", 0, 500),
        current_a=_number(result, "current", -100, 100),
        energy_wh=_number(_object(result, "aenergy"), "total", 0, 1e10, "aenergy."),
        temperature_c=_number(_object(result, "temperature"), "tC", -60, 200, "temperature."),
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
    started_at = _number(result, "timer_started_at", 0, 1e11)
    duration_s = _number(result, "timer_duration", 0, 1e7)
    if started_at is None and duration_s is None:
        return None
    if started_at is None:
        raise BadReply("timer_started_at", None, "a number beside timer_duration")
    if duration_s is None:
        raise BadReply("timer_duration", None, "a number beside timer_started_at")
    return RunningTimer(started_at, duration_s)


def _number(reply: Reply, name: str, low: float, high: float, prefix: str = "") -> float | None:
    value = reply.get(name)
    if value is None:
        return None
    # A bool is an int to Python, and 1e999 is read as infinity.
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        raise BadReply(prefix + name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def _object(reply: Reply, name: str) -> Reply:
    value = reply.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadReply(name, value, "a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
