"""The messages' words, with figures; times are the station's local ones."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.bus.messages.events import EventMessage, EventPerformance
from services.core.config.policy import GoalSection
from services.core.events import EventStatus
from services.core.preferences import Answer


def announced(event: EventMessage, now: datetime, zone: ZoneInfo, *, amended: bool) -> tuple[str, str]:
    """Title and text of a new or amended event."""
    what = "Event changed" if amended else "Event announced"
    lines = [f"{_when(event, now, zone)}: {_goal(event.goal)}."]
    if event.status is EventStatus.PENDING:
        otherwise = "declined" if event.unanswered is Answer.DECLINE else "accepted"
        until = f" by {_clock(event.answer_by, now, zone)}" if event.answer_by else ""
        lines.append(f"It waits for your answer{until}; without one it is {otherwise}.")
    else:
        lines.append("You take part, unless you opt out on the page.")
    return _title(what, event), " ".join(lines)


def starting(event: EventMessage, now: datetime, zone: ZoneInfo, soc_pct: float | None) -> tuple[str, str]:
    """Title and text at an event's start."""
    battery = "" if soc_pct is None else f" The battery stands at {soc_pct:.0f} %."
    return _title("Event starts", event), f"Until {_clock(event.end, now, zone)}: {_goal(event.goal)}.{battery}"


def refused(event: EventMessage, now: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """Title and text of an event that the station cannot take."""
    return _title("Event refused", event), f"{_when(event, now, zone)}: {_sentence(event.status_reason or 'no reason was given')}"


def unmet(event: EventMessage, reason: str, soc_pct: float | None) -> tuple[str, str]:
    """Title and text of an event that cannot be held as promised."""
    battery = "" if soc_pct is None else f" The battery stands at {soc_pct:.0f} %."
    return _title("Event cannot be met", event), f"{_sentence(reason)}{battery}"


def ended_early(event: EventMessage, now: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """Title and text of an event that was cancelled or ran out."""
    what = "Event cancelled" if event.status is EventStatus.CANCELLED else "Event lapsed"
    why = f" {_sentence(event.status_reason)}" if event.status_reason else ""
    return _title(what, event), f"{_when(event, now, zone)}.{why}"


def finished(event: EventMessage, result: EventPerformance | None, now: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """Title and text of what an event came to; unknown figures are said to be unknown."""
    parts = [f"{_when(event, now, zone)}."]
    if result is None:
        parts.append("Its figures are not known yet.")
    else:
        avoided, reduction = _energy(result.avoided_wh), _energy(result.reduction_wh)
        parts.append(
            f"Metered: {avoided} that the battery gave and the grid did not." if avoided else "What the battery gave is not known."
        )
        parts.append(f"Against the baseline: {reduction} less from the grid." if reduction else "There is no figure against a baseline.")
        if result.performance_factor is not None:
            parts.append(f"That is {result.performance_factor * 100:.0f} % of the pledge.")
        if result.covered < 0.95:
            parts.append(f"Readings cover {result.covered * 100:.0f} % of it.")
    return _title("Event finished", event), " ".join(parts)


def device_lost(name: str, why: str, lasted: timedelta) -> tuple[str, str]:
    """Title and text of a device that is lost."""
    minutes = max(1, round(lasted.total_seconds() / 60))
    return f"{name}: trouble", f"{_sentence(why or 'it does not answer')} For {minutes} min now."


def battery_low(soc_pct: float, reserve_pct: float) -> tuple[str, str]:
    """Title and text of a battery below its reserve."""
    return "Battery below its reserve", f"It stands at {soc_pct:.0f} %, your backup reserve is {reserve_pct:.0f} %."


def _title(what: str, event: EventMessage) -> str:
    return f"{what} (test)" if event.test else what


def _when(event: EventMessage, now: datetime, zone: ZoneInfo) -> str:
    return f"{_clock(event.start, now, zone)} to {_clock(event.end, event.start, zone)}"


def _clock(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """A time of day, with the date where it is not today's."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.astimezone(zone).date() else f"{local:%a %d %b %H:%M}"


def _goal(goal: GoalSection) -> str:
    if goal.reduction_w is not None:
        return f"take {goal.reduction_w:.0f} W less from the grid than usual"
    if goal.import_w is not None:
        return f"take at most {goal.import_w:.0f} W from the grid"
    return "take as little from the grid as possible"


def _energy(energy_wh: float | None) -> str:
    if energy_wh is None:
        return ""
    return f"{energy_wh / 1000:.2f} kWh" if abs(energy_wh) >= 1000 else f"{energy_wh:.0f} Wh"


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
