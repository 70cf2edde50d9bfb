"""Publishes the discovery messages, and turns the mode chosen in Home Assistant into an override."""

import asyncio
import json
import logging
from pathlib import Path

from services.bus.client import VERSION, Bus
from services.bus.contract import OVERRIDE
from services.bus.runtime import Context
from services.bus.state_file import read_state, write_atomic
from services.home_assistant.entities import discovery
from services.home_assistant.modes import COMMAND_PATH, UnknownOption, options, override

log = logging.getLogger(__name__)


async def run(context: Context) -> None:
    """Keep the station in Home Assistant until cancelled. Raises OSError if its state cannot be kept."""
    station = context.station
    bus = context.bus("home_assistant")

    def chosen(option: str) -> None:
        # To and fro and to again within a minute are three wishes, not two.
        command_id = f"home-assistant-{context.clock.monotonic():.6f}"
        try:
            bus.publish(OVERRIDE, override(option, station.hardware, station.home_assistant.manual_for, command_id))
        except UnknownOption:
            remedy = f"send one of: {', '.join(options(station.hardware))}"
            bus.report("no such mode", topic=f"sps/{station.station}/{COMMAND_PATH}", field="mode", value=option, remedy=remedy)

    bus.subscribe_text(COMMAND_PATH, chosen)
    async with bus:
        _announce(bus, context)
        await asyncio.Event().wait()


def _announce(bus: Bus, context: Context) -> None:
    """Publish all entities, and take those away that an earlier configuration had."""
    messages = discovery(context.station, VERSION)
    published = context.state_dir("home_assistant") / "published.json"
    for topic in _known(published) - messages.keys():
        bus.publish_foreign(topic, "")
    write_atomic(published, json.dumps(sorted(messages)).encode())
    for topic, message in messages.items():
        bus.publish_foreign(topic, json.dumps(message))


def _known(path: Path) -> set[str]:
    try:
        topics = json.loads(read_state(path) or b"[]")
    except ValueError:
        log.warning("%s is not readable; entities of an earlier configuration may stay in Home Assistant", path)
        return set()
    return {topic for topic in topics if isinstance(topic, str)} if isinstance(topics, list) else set()
