"""Strict reading of what a Shelly of the first generation answers. Pure."""

from services.relay_bridge.drivers.shelly_json import Reply, number, section
from services.relay_bridge.errors import BadReply
from services.relay_bridge.status import Status

WATT_MINUTES_PER_WH = 60.0


def parse_status(reply: Reply, channel: int) -> Status:
    """The status of one relay in an answer to `/status`. Raises BadReply.

    A device with fewer meters than relays (the Shelly 2) cannot tell whose power it measures: it counts as one without. So does one whose
    meter has no total (the Shelly 1): its power is a figure that somebody typed in. Voltage is known only where the device states it (the
    2.5). A meter that calls itself invalid is unknown.
    """
    relays, meters = _list(reply, "relays"), _list(reply, "meters")
    if channel >= len(relays):
        raise BadReply("relays", f"{len(relays)} of them", f"one for channel {channel}")
    prefix = f"relays.{channel}."
    on = relays[channel].get("ison")
    if not isinstance(on, bool):
        raise BadReply(f"{prefix}ison", on, "true or false")
    meter = meters[channel] if len(meters) >= len(relays) else {}
    if meter.get("is_valid", True) is not True or meter.get("total") is None:
        meter = {}
    total = number(meter, "total", 0, 1e12, f"meters.{channel}.")
    celsius = number(section(reply, "tmp"), "tC", -60, 200, "tmp.")
    return Status(
        on=on,
        power_w=number(meter, "power", -20_000, 20_000, f"meters.{channel}."),
        voltage_v=number(reply, "voltage", 0, 500),
        energy_wh=None if total is None else total / WATT_MINUTES_PER_WH,
        temperature_c=celsius if celsius is not None else number(reply, "temperature", -60, 200),
        timer_s=_timer_s(relays[channel], prefix),
    )


def parse_default_state(reply: Reply) -> str:
    """`default_state` in an answer to `/settings/relay/<n>`. Raises BadReply."""
    state = reply.get("default_state")
    if not isinstance(state, str):
        raise BadReply("default_state", state, "a word")
    return state


def _timer_s(relay: Reply, prefix: str) -> float | None:
    runs = relay.get("has_timer")
    if not isinstance(runs, bool):
        raise BadReply(f"{prefix}has_timer", runs, "true or false")
    if not runs:
        return None
    left_s = number(relay, "timer_remaining", 0, 1e7, prefix)
    # Older firmware tells the duration alone, which is an upper bound.
    left_s = left_s if left_s is not None else number(relay, "timer_duration", 0, 1e7, prefix)
    if left_s is None:
        raise BadReply(f"{prefix}timer_remaining", None, "a number beside has_timer")
    return left_s


def _list(reply: Reply, name: str) -> list[Reply]:
    value = reply.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadReply(name, value, "a list of JSON objects")
    return value
