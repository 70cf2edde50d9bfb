"""The pages a person lives with, rendered on the server: one file a page, its templates in `templates/`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # What the pages are made of imports their language, and these.
    from fastapi import FastAPI

    from services.gateway.access.control import Control
    from services.gateway.desk import Desk
    from services.gateway.notify.notifier import Notifier
    from services.gateway.notify.testing import Tester


def install(app: "FastAPI", desk: "Desk", control: "Control", notifier: "Notifier", tester: "Tester") -> None:
    """Put all pages into `app`. Raises OSError where the texts of a language were not compiled."""
    # Here, so that what the pages are made of can be imported without them.
    from services.gateway.pages import access, by_hand, devices, events, history, log, notifications, now, preferences, reports  # noqa: PLC0415
    from services.gateway.pages.site import Site  # noqa: PLC0415

    site = Site(desk)
    for page in (now, reports, events, history, preferences, by_hand, devices, log):
        app.include_router(page.router(desk, site))
    app.include_router(access.router(control, site))
    app.include_router(notifications.router(notifier, tester, site))
