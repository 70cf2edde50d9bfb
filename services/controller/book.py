"""Commands on the event book: from a checked message to the changed book, or a refusal with its remedy. Pure."""

from datetime import datetime

from services.bus.messages.events import EventCommand
from services.controller.model import Settings
from services.core import event_book
from services.core.event_book import Book, Outcome
from services.core.events import BadValue, check_id, normalise
from services.core.goals import Method
from services.core.modes import Mode, refusal
from services.core.preferences import Participation, Preferences

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
    elif command.action == "opt_in":
        book, outcome = event_book.opt_in(book, _id(command), now)
    else:
        book, outcome = event_book.cancel(book, _id(command), now, opted_out=command.action == "opt_out")
    return event_book.advance(book, now), outcome


def _schedule(book: Book, command: EventCommand, preferences: Preferences, settings: Settings, now: datetime) -> tuple[Book, Outcome]:
    event = normalise(command.request(), preferences, now, settings.zone)
    reasons = [why for method in event.methods if (why := _impossible(method, settings)) is not None]
    if len(reasons) == len(event.methods):
        return event_book.refuse(book, event, BadValue("methods", list(event.methods), f"none is possible here: {'; '.join(reasons)}"))
    if preferences.participation is Participation.NEVER:
        return event_book.refuse(book, event, BadValue("event", event.id, "the person has chosen not to take part in events"))
    return event_book.schedule(book, event)


def _impossible(method: Method, settings: Settings) -> str | None:
    mode = _MODE_FOR.get(method)
    if mode is None:
        return f"{method}: no deferrable load is configured"
    why = refusal(mode, settings.hardware)
    return None if why is None else f"{method}: {why}"


def _id(command: EventCommand) -> str:
    if command.id is None:
        raise BadValue("id", None, f"action '{command.action}' needs the id of an event")
    return command.id
