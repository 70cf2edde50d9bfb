"""All pages together."""

from fastapi import FastAPI

from services.gateway.access.control import Control
from services.gateway.desk import Desk
from services.gateway.notify.notifier import Notifier
from services.gateway.notify.testing import Tester
from services.gateway.pages import access, by_hand, devices, errors, events, history, log, notifications, now, preferences, reports, sharing
from services.gateway.pages.site import Site


def install(app: FastAPI, desk: Desk, control: Control, notifier: Notifier, tester: Tester) -> None:
    """Put all pages into `app`. Raises OSError where the texts of a language were not compiled."""
    site = Site(desk)
    for page in (now, reports, events, history, preferences, by_hand, sharing, devices, log):
        app.include_router(page.router(desk, site))
    errors.install(app, site)
    app.include_router(access.router(control, site))
    app.include_router(notifications.router(notifier, tester, site))
