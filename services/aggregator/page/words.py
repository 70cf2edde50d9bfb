"""Figures and times as people read them. None is a dash: unknown is not zero."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.aggregator.store.fleet import EventRow

UNKNOWN = "\N{EN DASH}"


def power(watts: float | None) -> str:
    """In W or kW."""
    if watts is None:
        return UNKNOWN
    return f"{watts:.0f} W" if abs(watts) < 10_000 else f"{watts / 1000:.1f} kW"


def energy(wh: float | None) -> str:
    """In Wh or kWh."""
    if wh is None:
        return UNKNOWN
    return f"{wh:.0f} Wh" if abs(wh) < 10_000 else f"{wh / 1000:.1f} kWh"


def when(zone: ZoneInfo) -> Callable[[datetime | None], str]:
    """A time in `zone`."""
    return lambda moment: UNKNOWN if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago."""
    if moment is None:
        return "never"
    passed = max(timedelta(0), now - moment)
    if passed < timedelta(minutes=1):
        return "just now"
    if passed < timedelta(hours=2):
        return f"{int(passed.total_seconds() // 60)} min ago"
    return f"{int(passed.total_seconds() // 3600)} h ago" if passed < timedelta(days=2) else f"{passed.days} days ago"


def phase(event: EventRow, now: datetime) -> str:
    """Where an event stands."""
    if event.cancelled:
        return "cancelled"
    if not event.sent:
        return "not sent yet"
    if now >= event.end:
        return "over"
    return "running" if now >= event.start else "called"


def goal(event: EventRow) -> str:
    """What is asked for."""
    if event.goal_kind is None:
        return "each station's own"
    if event.goal_kind == "minimize":
        return "as little as possible"
    return f"{power(event.goal_w)} less each" if event.goal_kind == "pledge" else f"at most {power(event.goal_w)} each"


def all_words(zone: ZoneInfo) -> dict[str, Callable[..., Any]]:
    """What the templates call."""
    return {"power": power, "energy": energy, "when": when(zone), "ago": ago, "phase": phase, "goal": goal}
