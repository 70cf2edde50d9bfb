"""A power station that has fallen silent is woken by charging it for a few minutes. Pure.

Field reports say that a station's Bluetooth may sleep while the box idles, and wakes with power at its AC input.
"""

from datetime import datetime, timedelta

from services.controller.calibration import quiet
from services.controller.model import Memory, Proposal, Settings
from services.controller.reasons import Reason
from services.controller.view import View
from services.core.modes import Mode

LONGEST = timedelta(minutes=10)
EVERY = timedelta(hours=6)
"""A station that does not wake is out of reach, or hung: it is not tried all day."""


def propose(view: View, memory: Memory, now: datetime, settings: Settings) -> Proposal | None:
    """The charge that is to wake the power station, when there is cause and it may be tried; None otherwise.

    It is for normal days, outside quiet hours, and not while the battery feeds the load or rests after an event.
    """
    cause = settings.data_link and view.silent and view.p3_alive is not True and memory.ease_until is None
    if not cause or Mode.GRID_AND_CHARGE not in settings.allowed or quiet(now, settings):
        return None
    began = now if may_begin(memory, now) or memory.woken_at is None else memory.woken_at
    until = began + LONGEST
    if now >= until:
        return None
    return Proposal(Mode.GRID_AND_CHARGE, Reason("waking", (until,)), next_change=until, blind=True)


def may_begin(memory: Memory, now: datetime) -> bool:
    """Whether the last attempt was long enough ago; one in the future was made by a clock that has since been set back."""
    return memory.woken_at is None or not memory.woken_at <= now < memory.woken_at + EVERY
