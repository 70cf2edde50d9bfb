"""Strict reading of a Shelly's JSON, whatever its generation. Pure."""

import json
from math import isfinite
from typing import NoReturn

from services.relay_bridge.errors import BadReply

Reply = dict[str, object]


def parse_object(body: bytes) -> Reply:
    """The JSON object in `body`. Raises BadReply."""
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:  # not JSON, not UTF-8, or NaN and the like
        raise BadReply("body", body[:60], f"JSON ({error})") from None
    except RecursionError:
        raise BadReply("body", body[:60], "JSON") from None
    if not isinstance(value, dict):
        raise BadReply("body", value, "a JSON object")
    return value


def number(reply: Reply, name: str, low: float, high: float, prefix: str = "") -> float | None:
    """The number `name`; None where it is missing or null. Raises BadReply outside of `low` to `high`."""
    value = reply.get(name)
    if value is None:
        return None
    # A bool is an int to Python, and 1e999 is read as infinity.
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        raise BadReply(prefix + name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def section(reply: Reply, name: str) -> Reply:
    """The object `name`; empty where it is missing or null. Raises BadReply."""
    value = reply.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadReply(name, value, "a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
