"""The link as a whole: what it is made of, that it runs, and how it stands."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from services.bus.client import Bus
from services.bus.clock import Clock
from services.bus.connection import Connection
from services.bus.contract import EVENT
from services.bus.link_options import Delivery
from services.bus.uplink import signing
from services.bus.uplink.topics import NetworkTopics
from services.core.config.aggregator import Aggregator, AggregatorHttp, AggregatorMqtt
from services.core.config.station import Station
from services.gateway.aggregator_link.answers import Answers
from services.gateway.aggregator_link.broker import options
from services.gateway.aggregator_link.collecting import Collector
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.inbox import Inbox, Send
from services.gateway.aggregator_link.inbox_store import InboxStore
from services.gateway.aggregator_link.judging import Refusal, Rules, Way
from services.gateway.aggregator_link.lengths import length_of
from services.gateway.aggregator_link.posting import Poster
from services.gateway.aggregator_link.presence import FAREWELL_S, Presence
from services.gateway.aggregator_link.progress import Progress
from services.gateway.aggregator_link.results import Result
from services.gateway.aggregator_link.sending import Sender
from services.gateway.aggregator_link.sent_log import SentLog
from services.gateway.aggregator_link.table import Participant
from services.gateway.aggregator_link.table_uploading import TableUploader
from services.gateway.aggregator_link.uploading import Uploader
from services.gateway.heard import Heard
from services.gateway.recorder_link import RecorderLink

log = logging.getLogger(__name__)

AGAIN_AFTER_S = 10.0
HEARD_AFTER_S = 0.5
"""Real seconds in which the station's own broker has told what it retains."""


@dataclass(frozen=True)
class Surroundings:
    """What the link needs of the gateway."""

    station: Station
    clock: Clock
    var: Path
    folder: Path
    random: Random
    bus: Bus
    heard: Heard
    recorder: RecorderLink
    consent: ConsentBook
    sent: SentLog
    send: Send
    """Gives an event command to the controller."""
    usual: Callable[[], timedelta]
    """How long an event lasts that does not say so."""


class AggregatorLink:
    """To one aggregator, as the station file describes it. Raises OSError when its state cannot be read."""

    def __init__(self, settings: Aggregator, around: Surroundings) -> None:
        self.settings = settings
        self._around = around
        self._name = settings.name or around.station.station
        self._topics = NetworkTopics(settings.network)
        self.store = InboxStore(around.folder)
        self._since: datetime | None = None
        self._was = ""
        self._epoch = around.consent.gate()
        self.inbox: Inbox | None = None
        self._connection: Connection | None = None
        if settings.mqtt is not None:
            self._listen(settings.mqtt)
        self.uploader = None if settings.http is None else self._upload(settings.http)

    async def run(self) -> None:
        """Until cancelled. A part that fails is begun again: the others go on."""
        around = self._around
        if self.store.complaint is not None:
            around.bus.report(self.store.complaint)
            self.store.distrust(around.clock.now())
        connecting = None
        if self._connection is not None:
            connecting = asyncio.create_task(self._always("aggregator: connection", self._connect))
        try:
            async with asyncio.TaskGroup() as tasks:
                if (connection := self._connection) is not None and (inbox := self.inbox) is not None:
                    tasks.create_task(self._always("aggregator: inbox", inbox.keep))
                    tasks.create_task(self._always("aggregator: backlog", inbox.resume))
                    tasks.create_task(self._always("aggregator: delivery", lambda: inbox.deliver(around.send, around.usual)))
                    tasks.create_task(self._always("aggregator: answers", lambda: self._answers.tell(connection)))
                if self.uploader is not None:
                    tasks.create_task(self._always("aggregator: upload", self.uploader.run))
        finally:
            if connecting is not None:
                if self._connection is not None:
                    await self._presence.say_goodbye(self._connection)
                connecting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await connecting

    async def _connect(self) -> None:
        # Only who has heard which events are the person's own can tell them from the aggregator's.
        await self._around.bus.wait_connected()
        await self._around.clock.sleep(HEARD_AFTER_S)
        if self._connection is not None:
            await self._connection.run()

    def mqtt_state(self) -> tuple[str, str, datetime | None]:
        """`off`, `connected` or `waiting`; why; and since when."""
        if self._connection is None:
            return "off", "", None
        state = "connected" if self._connection.up.is_set() else "waiting"
        if state != self._was:
            self._was, self._since = state, self._around.clock.now() if self._around.clock.known else None
        return state, "" if state == "connected" else self._connection.trouble or "", self._since

    def upload_state(self) -> Progress:
        """How the upload stands."""
        return Progress("off", "") if self.uploader is None else self.uploader.progress

    async def forget(self) -> Result | None:
        """Ask the aggregator to delete what it has; None where nothing is ever uploaded."""
        return None if self.uploader is None else await self.uploader.forget()

    def _listen(self, mqtt: AggregatorMqtt) -> None:
        around, settings = self._around, self.settings
        self._receiver = f"mqtt://{mqtt.host}:{mqtt.port}"
        self._presence = Presence(
            self._topics.online(self._name),
            self._receiver,
            store=self.store,
            consent=around.consent,
            sent=around.sent,
            clock=around.clock,
            keep=self._keep,
        )
        self._connection = Connection(
            (mqtt.host, mqtt.port),
            self._topics.client_id(self._name),
            clock=around.clock,
            jitter=around.random,
            will=partial(self._presence.message, online=False),
            on_connected=self._subscribe,
            on_message=lambda *_: None,
            options=options(mqtt, around.var),
            on_delivery=self._received,
        )
        self._answers = Answers(
            around.station,
            self._topics,
            self._name,
            settings.forms,
            store=self.store,
            consent=around.consent,
            sent=around.sent,
            clock=around.clock,
            receiver=self._receiver,
            keep=self._keep,
        )
        self.inbox = Inbox(
            self.store,
            Rules(
                network=settings.network,
                name=self._name,
                forms=settings.forms,
                require_signed=settings.require_signed,
                keys={kid: signing.public_key(text) for kid, text in settings.keys.items()},
                zone=around.station.zone,
                length_of=partial(length_of, around.station, settings.programmes),
            ),
            around.clock,
            knows=around.heard.events.get,
            report=self._report,
            refused=self._answers.refused,
            repeated=self._answers.repeated,
        )
        around.bus.subscribe(EVENT, self._answers.on_event)
        around.consent.on_change(self._consent_changed)

    def _upload(self, http: AggregatorHttp) -> Uploader | TableUploader:
        around, station = self._around, self._around.station
        collector = Collector(around.recorder, self.settings.network, self._name)
        receiver = f"{urlsplit(http.url).scheme}://{urlsplit(http.url).netloc}"
        followed = _Followed(self.store, around.heard)
        poster = Poster(Sender(http, around.var), around.sent, around.clock, receiver)
        if http.profile == "table":
            who = Participant(self._name, self.settings.network, station.zone, station.battery.floor_pct)
            return TableUploader(collector, poster, around.consent, around.random, followed, able(station), who)
        return Uploader(
            collector,
            poster,
            around.consent,
            around.random,
            batch_records=http.batch_records,
            followed=followed,
            able=able(station),
            tell=lambda message, remedy: around.bus.report(message, remedy=remedy),
        )

    def _subscribe(self) -> None:
        if self._connection is None:
            return
        wanted: dict[str, int] = {}
        if "json" in self.settings.forms:
            wanted |= {self._topics.event: 1, self._topics.station_event(self._name): 1}
        if "old" in self.settings.forms:
            wanted[self._topics.old_event] = 1
        self._connection.subscribe(wanted)
        self._presence.say(self._connection, online=True)

    def _received(self, delivery: Delivery) -> None:
        ways: dict[str, Way] = {
            self._topics.event: "all",
            self._topics.station_event(self._name): "one",
            self._topics.old_event: "old",
        }
        way = ways.get(delivery.topic)
        if self.inbox is None or way is None or not self._around.clock.known:
            # Without the time nothing can be judged. Not acknowledged, it comes again with the next connection.
            if way is None:
                delivery.acknowledge()
            return
        self.inbox.receive(way, delivery)

    def _consent_changed(self) -> None:
        self._answers.forget()
        if self._connection is None:
            return
        # Once a change: what is said because of it must not be thrown away with the rest.
        if self._epoch != (epoch := self._around.consent.gate()):
            self._epoch = epoch
            self._connection.discard()
        if self._connection.linked and (self._presence.outdated or self._connection.will_outdated):
            self._presence.say(self._connection, online=True)
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        """The last will was given with the connection: another one needs another connection."""
        if self._connection is not None:
            # What a slow broker has not acknowledged by then is sent again over the new one.
            await self._connection.drained(FAREWELL_S)
            self._connection.reconnect()

    def _keep(self) -> None:
        if self.inbox is not None:
            self.inbox.changed()

    def _report(self, refusal: Refusal, topic: str) -> None:
        self._around.bus.report(
            f"event from the aggregator refused: {refusal.message}",
            field=refusal.field or None,
            value=refusal.value or None,
            remedy=refusal.remedy,
            topic=topic or None,
        )

    async def _always(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                # The outermost edge: a defect costs this part ten seconds, not the gateway.
                log.exception("%s failed and is begun again", name)
            await self._around.clock.sleep(AGAIN_AFTER_S)


def able(station: Station) -> dict[str, Any]:
    """What a station is able to do, before it is decided what of that is shared."""
    return {
        "capacity_wh": station.battery.capacity_wh,
        "power_w": station.battery.inverter_w,
        "pledge_w": station.programme.pledge_w,
        "programme": station.programme.name,
    }


@dataclass(frozen=True)
class _Followed:
    """The aggregator's events, and whether their figures may have changed."""

    store: InboxStore
    heard: Heard

    def ids(self) -> Collection[tuple[str, datetime | None]]:
        return [(event_id, known.signal.start) for event_id, known in self.store.known.items()]

    def stamp(self, event_id: str) -> str:
        figures, event = self.heard.performances.get(event_id), self.heard.events.get(event_id)
        return f"{event.status if event else ''} {figures.ts if figures else ''} {figures.revision if figures else ''}"
