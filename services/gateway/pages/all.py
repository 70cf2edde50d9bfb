"""All pages together."""

from fastapi import FastAPI

from services.gateway.desk import Desk
from services.gateway.pages import by_hand, devices, events, history, log, now, preferences, reports, sharing
from services.gateway.pages.site import Site


def install(app: FastAPI, desk: Desk) -> None:
    """Put all pages into `app`. Raises OSError where the texts of a language were not compiled."""
    site = Site(desk)
    for page in (now, reports, events, history, preferences, by_hand, sharing, devices, log):
        app.include_router(page.router(desk, site))
