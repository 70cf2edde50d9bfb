"""What an event's settlement should know of what was done, noted in the book as it happens. Pure."""

from dataclasses import replace
from datetime import datetime

from services.controller import upcoming
from services.controller.model import Decision, Settings
from services.core.event_book import Book
from services.core.events import CHARGED_IN_ADJUSTMENT
from services.core.modes import CHARGES


def noted(book: Book, decision: Decision, settings: Settings, now: datetime) -> Book:
    """`book` with the governing event flagged, if this decision charges where its baseline is adjusted."""
    if decision.phase != "upcoming" or decision.mode not in CHARGES or decision.event_id is None:
        return book
    event = book.events.get(decision.event_id)
    if event is None or CHARGED_IN_ADJUSTMENT in event.flags or not upcoming.in_adjustment(event, now, settings):
        return book
    return book.with_event(replace(event, flags=(*event.flags, CHARGED_IN_ADJUSTMENT)))
