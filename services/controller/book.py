"""Commands on the event book: from a checked message to the changed book, or a refusal with its remedy. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from services.bus.messages.events import EventCommand
from services.controller import upcoming
from services.controller.model import Settings
from services.core import event_book
from services.core.event_book import Book, Outcome
from services.core.events import BadValue, Event, EventStatus, check_id, normalise
from services.core.goals import GoalKind, Method
from services.core.modes import Mode, refusal
from services.core.preferences import Participation, Preferences
from services.core.quiet import spans

SHORT_ANSWER = timedelta(minutes=10)
"""At so short a notice that the deadline has passed, the person still has this long, even into the event."""

_MODE_FOR = {Method.REPLACEMENT: Mode.BATTERY, Method.CURTAILMENT: Mode.ALL_OFF}


def obey(book: Book, command: EventCommand, preferences: Preferences, settings: Settings, now: datetime) -> tuple[Book, Outcome]:
    """The book after `command`, moved on to `now`.

    A well-formed event that the person or the hardware declines enters the book as refused, so that its sender
    can see why. Raises BadValue for what cannot be accepted at all.
    """
    if command.id is not None:
        check_id(command.id)
    if command.action == "schedule":
        book, outcome = _schedule(book, command, preferences, settings, now)
    elif command.action in ("opt_in", "accept"):
        book, outcome = _join(book, _id(command), preferences, settings, now)
    else:
        book, outcome = event_book.cancel(book, _id(command), now, opted_out=command.action in ("opt_out", "decline"))
    return event_book.advance(book, now, upcoming.lead(preferences, settings)), outcome


def answer_by(event: Event, preferences: Preferences, now: datetime) -> datetime:
    """When the answer to an event that asks is due: `answer_before` its start, yet at least SHORT_ANSWER from now."""
    due = event.start - (preferences.answer_before or timedelta(0))
    return max(due, min(now + SHORT_ANSWER, event.end))


def _schedule(book: Book, command: EventCommand, preferences: Preferences, settings: Settings, now: datetime) -> tuple[Book, Outcome]:
    known = book.events.get(command.id) if command.id is not None else None
    running = known if known is not None and known.status is EventStatus.ONGOING and command.revision > known.revision else None
    event = normalise(command.request(), preferences, now, settings.zone, running)
    reasons = [why for method in event.methods if (why := _impossible(method, preferences, settings)) is not None]
    if len(reasons) == len(event.methods):
        return event_book.refuse(book, event, BadValue("methods", list(event.methods), f"none is possible here: {'; '.join(reasons)}"))
    if (refused := _unwanted(book, event, known, preferences, settings)) is not None:
        return event_book.refuse(book, event, refused)
    if preferences.participation is Participation.ASK:
        due = answer_by(event, preferences, now)
        event = replace(event, status=EventStatus.PENDING, answer_by=due, unanswered=preferences.if_unanswered)
    return event_book.schedule(book, replace(event, status_reason=_warning(event, settings)))


def _unwanted(book: Book, event: Event, known: Event | None, preferences: Preferences, settings: Settings) -> BadValue | None:
    """Why the person's preferences keep them out of `event`; None if they do not."""
    if preferences.participation is Participation.NEVER:
        return BadValue("event", event.id, "the person has chosen not to take part in events")
    free = preferences.no_event_hours
    if free is not None and spans(free, event.start, event.end, settings.zone):
        return BadValue("start", event.start.isoformat(), f"it reaches into the hours {free}, in which the person wants no event")
    zone = settings.zone
    same_week = (
        known is not None
        and known.is_open
        and known.start.astimezone(zone).isocalendar()[:2] == event.start.astimezone(zone).isocalendar()[:2]
    )
    return None if same_week else _week_is_full(book, event, preferences, settings)


def _week_is_full(book: Book, event: Event, preferences: Preferences, settings: Settings) -> BadValue | None:
    most = preferences.max_events_per_week
    if most is None or event_book.in_week_of(book, event, settings.zone) < most:
        return None
    return BadValue(
        "start",
        event.start.isoformat(),
        f"its week has {most} events already, the most that the person takes part in (max_events_per_week)",
    )


def _join(book: Book, event_id: str, preferences: Preferences, settings: Settings, now: datetime) -> tuple[Book, Outcome]:
    """Accept a pending event, or opt into one again."""
    event = book.events.get(event_id)
    if event is not None and not event.is_open and (full := _week_is_full(book, event, preferences, settings)) is not None:
        raise full
    return event_book.opt_in(book, event_id, now)


def _warning(event: Event, settings: Settings) -> str:
    """What the sender should know of an event that is taken all the same."""
    asked_w, most_w = event.goal.power_w, settings.battery.inverter_w
    if event.goal.kind is GoalKind.PLEDGE and asked_w is not None and asked_w > most_w:
        return f"{asked_w:g} W are pledged, and the inverter gives {most_w:g} W: no more than that can be held"
    return ""


def _impossible(method: Method, preferences: Preferences, settings: Settings) -> str | None:
    mode = _MODE_FOR.get(method)
    if mode is None:
        return None if settings.shiftable else f"{method}: no deferrable load is configured"
    why = refusal(mode, settings.hardware)
    if method is Method.CURTAILMENT:
        no_consent = "the person has not consented to it: it is not among the methods in the preferences"
        why = settings.curtailment_refused or (None if method in preferences.methods else no_consent)
    return None if why is None else f"{method}: {why}"


def _id(command: EventCommand) -> str:
    if command.id is None:
        raise BadValue("id", None, f"action '{command.action}' needs the id of an event")
    return command.id
