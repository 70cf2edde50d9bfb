"""The gateway's shell: one bus client and one web server in the same loop."""

import asyncio
import socket
from functools import partial
from pathlib import Path

from services.bus import web
from services.bus.contract import PREFERENCES
from services.bus.messages.state import PreferencesMessage
from services.bus.runtime import Context
from services.core.config.policy import PreferencesSection
from services.core.config.station import Station
from services.gateway import preferences, publishing, sharing_loop
from services.gateway.access.control import Control, Settings
from services.gateway.app import create_app
from services.gateway.desk import Desk
from services.gateway.notify.notifier import Notifier
from services.gateway.routes.state import stream_of
from services.gateway.security import Names, allowed_hosts


async def run(context: Context) -> None:
    """Run until cancelled. Raises OSError when the page cannot be served where it should."""
    async with context.bus("gateway") as bus:
        path = context.state_dir("gateway") / "preferences.json"
        chosen, complaints = _preferences(path, context.station)
        desk = Desk(context.station, context.clock, bus, chosen, keep=partial(preferences.save, path), var=context.var)
        desk.sharing = sharing_loop.joined(desk, context.state_dir("gateway"), context.random)
        with web.listen(context.station.web) as listener:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_tell_preferences(desk, complaints), name="gateway: preferences")
                tasks.create_task(sharing_loop.run(desk), name="gateway: sharing")
                notifier = Notifier(desk, path.with_name("notified.json"))
                tasks.create_task(notifier.run(), name="gateway: notifications")
                published = publishing.names(context.deployment)
                tasks.create_task(_serve(desk, listener, _access(context, desk), notifier, published), name="gateway: web")


def _preferences(path: Path, station: Station) -> tuple[PreferencesSection, list[str]]:
    """The preferences that hold, and what is wrong with those that were kept."""
    try:
        chosen = preferences.load(path, station.preferences)
    except (preferences.PreferencesUnusable, OSError) as unusable:
        return station.preferences, [str(unusable)]
    # They may have been fine with the station file as it was.
    complaints = [f"{path}: {one}" for one in station.contradictions(chosen)]
    return (station.preferences if complaints else chosen), complaints


async def _tell_preferences(desk: Desk, complaints: list[str]) -> None:
    await desk.bus.wait_clock()
    await desk.bus.wait_connected()
    for complaint in complaints:
        desk.bus.report(complaint, remedy="mend the file or delete it; until then the station file's preferences hold")
    desk.bus.publish(PREFERENCES, PreferencesMessage.of(desk.preferences.preferences(), desk.clock.now()))


def _access(context: Context, desk: Desk) -> Control:
    settings = Settings.of(context.station.web, context.var, in_container=context.deployment.web_host is not None)
    return Control(settings, context.clock.monotonic, lambda problem: desk.bus.report(problem, field="access"))


async def _serve(desk: Desk, listener: socket.socket, control: Control, notifier: Notifier, published: frozenset[str]) -> None:
    await control.prepare()
    stream = stream_of(desk)
    host, port = listener.getsockname()[:2]
    page = desk.station.web
    names = Names(allowed_hosts(host, port, (*page.names, *published)), any_address=control.on, tls=page.behind_tls)
    await web.serve(create_app(desk, stream, names, control, notifier), listener, closing=stream.close)
