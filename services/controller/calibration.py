"""A station without a data link asks for one full charge a week: full is where its charge can be seen for certain. Pure."""

from datetime import datetime

from services.controller.model import Proposal, Settings
from services.controller.reasons import Reason
from services.core.modes import Mode
from services.core.observer import Observer
from services.core.schedule import next_local, within

EVERY_S = 7 * 86400.0


def propose(observer: Observer, now: datetime, settings: Settings) -> Proposal | None:
    """The full charge, when it is due; None otherwise.

    It is for the hours in which the daily cycle may charge, never for quiet hours; an event coming or going on is
    not for it to disturb.
    """
    if settings.data_link or Mode.GRID_AND_CHARGE not in settings.allowed or quiet(now, settings):
        return None
    since_s = observer.since_full_s
    unknown = observer.stored_wh is None or since_s is None
    if not unknown and since_s is not None and since_s < EVERY_S:
        return None
    reason = Reason("calibrating_first") if unknown or since_s is None else Reason("calibrating", (since_s / 86400.0,))
    until = next_local(now, settings.cycle.discharge_at, settings.zone)
    return Proposal(Mode.GRID_AND_CHARGE, reason, next_change=until, blind=True)


def quiet(now: datetime, settings: Settings) -> bool:
    """Whether it is one of the hours in which the charger's fan should rest."""
    begin, end = settings.cycle.quiet_from, settings.cycle.quiet_until
    return begin is not None and end is not None and within(now.astimezone(settings.zone).time(), begin, end)
