"""Manual modes and their release, as wishes to the controller: it alone commands relays, and its guard holds."""

import asyncio
import secrets
from datetime import timedelta

from services.bus.contract import OVERRIDE
from services.bus.messages.state import Override
from services.core.modes import Mode, refusal
from services.gateway.desk import Desk
from services.gateway.problems import ApiError, Problem

REFUSED_WITHIN_S = 1.5
"""Real seconds. The controller refuses within its cycle; of a wish that it follows its state tells."""
LOOK_EVERY_S = 0.1


def possible_modes(desk: Desk) -> list[Mode]:
    """The modes that this hardware allows."""
    return [mode for mode in Mode if refusal(mode, desk.station.hardware) is None]


async def wish(desk: Desk, mode: Mode | None, duration: timedelta = timedelta(hours=1)) -> None:
    """Ask for `mode` for a while, or with None to let go.

    Raises ApiError: 422 when the controller refuses, 503 while it cannot be reached.
    """
    if not desk.bus.connected or desk.state().controller is None:
        raise ApiError(503, Problem(message="the controller does not answer", remedy="nothing was changed; try again"))
    known = set(map(id, (error for _, error in desk.heard.notices)))
    command_id = secrets.token_hex(8)
    if mode is None:
        desk.bus.publish(OVERRIDE, Override(release=True, command_id=command_id))
    else:
        desk.bus.publish(OVERRIDE, Override(mode=mode.value, duration=duration, command_id=command_id))
    for _ in range(int(REFUSED_WITHIN_S / LOOK_EVERY_S)):
        for service, error in desk.heard.notices:
            ours = service == "controller" and (error.topic or "").endswith(OVERRIDE.pattern) and id(error) not in known
            if ours:
                raise ApiError(422, Problem(message=error.message, field=error.field, value=error.value, remedy=error.remedy))
        state = desk.state().controller
        manual = state is not None and state.reason_code == "manual"
        if manual == (mode is not None) and state is not None and mode in (None, state.mode_commanded):
            return
        await asyncio.sleep(LOOK_EVERY_S)
