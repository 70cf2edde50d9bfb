"""From what was typed into a form of preferences to the section it means, or what is wrong beside which field. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from services.core.config.policy import PreferencesSection
from services.core.problems import field_problems
from services.gateway.languages.reason_patterns import N_

WRONG = {
    "goal": N_("Choose a goal."),
    "power_w": N_("Give the watts as a number from 0 to 100 000."),
    "duration": N_("Choose one of the lengths."),
    "methods": N_("Choose at least one way to answer an event."),
    "participation": N_("Choose always, ask me or never."),
    "answer_before": N_("Choose how long before the start the answer is due."),
    "if_unanswered": N_("Choose what holds without an answer."),
    "max_events_per_week": N_("Give a whole number from 1 to 100, or leave it empty."),
    "backup_reserve_pct": N_("Give a percentage from 0 to 100."),
    "no_event_hours": N_("Give two different times, or leave both empty."),
    "quiet_hours": N_("Give two different times, or leave both empty."),
    "sharing": N_("Choose one of the levels."),
}
UNKNOWN_FIELDS = N_("The form has fields that are not known here; load the page anew.")
ANSWERING = {
    "participation", "answer_before", "if_unanswered", "max_events_per_week", "no_event_from", "no_event_until",
    "goal", "power_w", "duration",
}  # fmt: skip
BATTERY = {"backup_reserve_pct", "quiet_from", "quiet_until"}

Read = tuple[PreferencesSection | None, dict[str, str]]


def answering(typed: Mapping[str, str]) -> Read:
    """How the station answers events."""
    errors: dict[str, str] = {}
    values: dict[str, Any] = {
        "participation": typed.get("participation", ""),
        "if_unanswered": typed.get("if_unanswered") or "decline",
        "answer_before": typed.get("answer_before") or None,
        "max_events_per_week": typed.get("max_events_per_week") or None,
        "no_event_hours": _hours(typed.get("no_event_from", ""), typed.get("no_event_until", ""), "no_event_hours", errors),
        "duration": typed.get("duration", ""),
    }
    goal, power = typed.get("goal", ""), typed.get("power_w", "").replace(",", ".")
    if goal == "minimize":
        values["goal"] = {"kind": goal}
    elif goal in ("pledge", "limit"):
        try:
            values["goal"] = {"kind": goal, "reduction_w" if goal == "pledge" else "import_w": float(power)}
        except ValueError:
            errors["power_w"] = WRONG["power_w"]
    else:
        errors["goal"] = WRONG["goal"]
    return _section(values, errors)


def battery(typed: Mapping[str, str]) -> Read:
    """What is kept in the battery, and when it is not charged."""
    errors: dict[str, str] = {}
    values = {
        "backup_reserve_pct": typed.get("backup_reserve_pct", "").replace(",", "."),
        "quiet_hours": _hours(typed.get("quiet_from", ""), typed.get("quiet_until", ""), "quiet_hours", errors),
    }
    return _section(values, errors)


def _hours(begin: str, end: str, field: str, errors: dict[str, str]) -> str | None:
    if not begin and not end:
        return None
    if not begin or not end:
        errors[field] = WRONG[field]
        return None
    return f"{begin}-{end}"


def _section(values: Mapping[str, Any], errors: dict[str, str]) -> Read:
    try:
        section = PreferencesSection.model_validate(dict(values))
    except ValidationError as invalid:
        for problem in field_problems(invalid):
            name = str(problem.location[0]) if problem.location else ""
            field = "power_w" if name == "goal" else name
            errors.setdefault(field if field in WRONG else "form", WRONG.get(field, problem.remedy))
        return None, errors
    return (None if errors else section), errors


def typed_answering(chosen: PreferencesSection, duration: Callable[[Any], str]) -> dict[str, str]:
    """The form as `chosen` fills it."""
    power = chosen.goal.reduction_w if chosen.goal.reduction_w is not None else chosen.goal.import_w
    return {
        "participation": chosen.participation.value,
        "answer_before": "PT2H" if chosen.answer_before is None else duration(chosen.answer_before),
        "if_unanswered": chosen.if_unanswered.value,
        "max_events_per_week": "" if chosen.max_events_per_week is None else str(chosen.max_events_per_week),
        "no_event_from": "" if chosen.no_event_hours is None else f"{chosen.no_event_hours.begin:%H:%M}",
        "no_event_until": "" if chosen.no_event_hours is None else f"{chosen.no_event_hours.end:%H:%M}",
        "goal": chosen.goal.kind.value,
        "power_w": "" if power is None else f"{power:g}",
        "duration": duration(chosen.duration),
    }


def typed_battery(chosen: PreferencesSection) -> dict[str, str]:
    """The form as `chosen` fills it."""
    return {
        "backup_reserve_pct": f"{chosen.backup_reserve_pct:g}",
        "quiet_from": "" if chosen.quiet_hours is None else f"{chosen.quiet_hours.begin:%H:%M}",
        "quiet_until": "" if chosen.quiet_hours is None else f"{chosen.quiet_hours.end:%H:%M}",
    }
