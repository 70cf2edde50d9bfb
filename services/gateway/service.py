"""The gateway's shell: one bus client and one web server in the same loop."""

import asyncio
import socket
from pathlib import Path

from services.bus import web
from services.bus.client import Bus
from services.bus.contract import PREFERENCES
from services.bus.messages.state import PreferencesMessage
from services.bus.runtime import Context
from services.core.config.policy import PreferencesSection
from services.gateway import preferences
from services.gateway.app import create_app
from services.gateway.desk import Desk
from services.gateway.routes.state import stream_of
from services.gateway.security import allowed_hosts


async def run(context: Context) -> None:
    """Run until cancelled. Raises OSError when the page cannot be served where the station file says."""
    async with context.bus("gateway") as bus:
        chosen = _preferences(context.state_dir("gateway") / "preferences.json", context.station.preferences, bus)
        desk = Desk(context.station, context.clock, bus, chosen, var=context.var)
        with web.listen(context.station.web) as listener:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_tell_preferences(desk), name="gateway: preferences")
                tasks.create_task(_serve(desk, listener), name="gateway: web")


def _preferences(path: Path, first: PreferencesSection, bus: Bus) -> PreferencesSection:
    try:
        return preferences.load(path, first)
    except (preferences.PreferencesUnusable, OSError) as unusable:
        bus.report(str(unusable), remedy="mend the file or delete it; until then the station file's preferences hold")
        return first


async def _tell_preferences(desk: Desk) -> None:
    await desk.bus.wait_clock()
    desk.bus.publish(PREFERENCES, PreferencesMessage.of(desk.preferences.preferences(), desk.clock.now()))


async def _serve(desk: Desk, listener: socket.socket) -> None:
    stream = stream_of(desk)
    host, port = listener.getsockname()[:2]
    await web.serve(create_app(desk, stream, allowed_hosts(host, port)), listener, closing=stream.close)
