"""The pages a person lives with, rendered on the server: one file a page, its templates in `templates/`."""

from fastapi import FastAPI

from services.gateway.desk import Desk


def install(app: FastAPI, desk: Desk) -> None:
    """Put all pages into `app`. Raises OSError where the texts of a language were not compiled."""
    # Here, so that what the pages are made of can be imported without them.
    from services.gateway.pages import by_hand, devices, events, history, log, now, preferences, reports  # noqa: PLC0415
    from services.gateway.pages.site import Site  # noqa: PLC0415

    site = Site(desk)
    for page in (now, reports, events, history, preferences, by_hand, devices, log):
        app.include_router(page.router(desk, site))
