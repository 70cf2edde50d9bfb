"""The recorder: everything that is told on the bus goes to the journal; baselines, settlements and answers come from it."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime

from services.bus import contract, web
from services.bus.client import Bus, Received
from services.bus.contract import Channel
from services.bus.messages.base import Payload, Telemetry
from services.bus.messages.devices import BatteryEstimate, BatteryReadingMessage, PositionReading
from services.bus.messages.events import EventBaseline, EventMessage, EventPerformance
from services.bus.messages.state import Committed
from services.bus.recorder_token import make_token
from services.bus.runtime import Context
from services.bus.topics import Topics
from services.recorder import metrics, reckoning
from services.recorder.accounts import Accounts
from services.recorder.api import create_app
from services.recorder.backup_api import add_backup
from services.recorder.history import History
from services.recorder.import_api import add_import
from services.recorder.influx_feed import Feed
from services.recorder.influx_hours import BatteryScale
from services.recorder.influx_present import Present
from services.recorder.intake import Refusal
from services.recorder.journal import FILE_NAME
from services.recorder.upkeep import Upkeep
from services.recorder.writer import Writer

RETRY_LISTEN_S = 5.0

PASSING: Mapping[str, frozenset[str]] = {
    contract.RELAY_STATE.pattern: frozenset({"ts", "timer_s", "command_id"}),
    contract.LOAD_STATE.pattern: frozenset({"ts", "timer_s", "command_id"}),
    contract.CONTROLLER_STATE.pattern: frozenset({"ts", "reason", "goal_w", "duty", "next_change"}),
    contract.EVENT.pattern: frozenset({"ts"}),
    contract.EVENT_BASELINE.pattern: frozenset({"ts"}),
    contract.EVENT_PERFORMANCE.pattern: frozenset({"ts"}),
    contract.PREFERENCES.pattern: frozenset({"ts"}),
    contract.SERVICE_STATUS.pattern: frozenset({"ts"}),
    contract.SERVICE_ERROR.pattern: frozenset(),
    contract.OVERRIDE.pattern: frozenset(),
}
"""What is kept when it changes, and the fields whose change alone is not worth keeping."""


async def run(context: Context) -> None:
    """Record until cancelled."""
    async with context.bus("recorder") as bus:
        await bus.wait_clock()
        await _Recorder(context, bus).run()


class _Recorder:
    """Wires the bus to the journal, and the journal to who asks."""

    def __init__(self, context: Context, bus: Bus) -> None:
        self._station = context.station
        self._clock = context.clock
        self._bus = bus
        self._topics = Topics(self._station.station, contract.CHANNELS)
        self._problems: dict[str, str] = {}
        self._notices: asyncio.Queue[str] = asyncio.Queue()
        self._path = path = context.var / "recorder" / FILE_NAME
        self._history = History(path)
        self._loop = asyncio.get_running_loop()
        self._present = Present(
            self._station,
            self._history,
            self._clock,
            committed_until=lambda: self._writer.until,
            connected=lambda: bus.connected,
        )
        self._feed = self._make_feed(context)
        self._writer = Writer(
            path,
            self._clock,
            self._station.recorder.commit_every_s,
            self._make_upkeep(self._feed),
            committed=self._committed,
            health=self._health,
            tell=self._notices.put_nowait,
        )
        self._intake = self._writer.intake
        self._intake.suspected = lambda suspicion: self._tell(suspicion, "", "reading suspected")
        self._token = self._make_token(context)
        self._known_as = context.deployment.recorder_name
        metrics.follow_lag(lambda: self._clock.now() if self._clock.known else None, lambda: self._writer.until)
        self._accounts = Accounts(
            self._station,
            self._clock,
            self._history,
            committed_until=lambda: self._writer.until,
            publish=self._publish_figures,
            withdraw=self._withdraw,
            keep=self._keep_figures,
            health=lambda problem: self._health("holidays", problem),
        )

    async def run(self) -> None:
        """Record, reckon and answer until cancelled."""
        self._listen()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run(self._started), name="recorder: journal")
            group.create_task(self._accounts.run(), name="recorder: accounts")
            group.create_task(self._answer(), name="recorder: api")
            group.create_task(self._tell_notices(), name="recorder: notices")
            if self._feed is not None:
                group.create_task(self._feed.run(), name="recorder: InfluxDB")

    def _make_token(self, context: Context) -> str | None:
        try:
            return make_token(context.var)
        except OSError:
            if self._station.recorder.token:
                raise
            return None  # a folder that cannot be written: answers go on, only imports need the token

    def _make_feed(self, context: Context) -> Feed | None:
        if (settings := self._station.recorder.influx) is None:
            return None
        return Feed(
            settings,
            self._station.station,
            context.var,
            self._history,
            self._clock,
            context.random,
            settled_ms=lambda: self._writer.settled_ms(),  # noqa: PLW0108 - the writer is made later
            health=lambda problem: self._health("influx", problem),
            tell=self._notices.put_nowait,
            scale=BatteryScale.of(self._station),
            present=self._present.lines,
        )

    def _make_upkeep(self, feed: Feed | None) -> Upkeep:
        # Upkeep works in the journal's thread; what it says is said in the loop's.
        return Upkeep(
            self._clock,
            self._station.recorder.raw_days,
            zone=self._station.zone,
            max_gap_s=lambda: reckoning.max_gap_s(self._station, self._clock.speed),
            fed=None if feed is None else lambda: feed.cursor,
            fed_states=lambda: None if feed is None else feed.state_number,
            fed_hours=lambda: None if feed is None else feed.hours,
            health=lambda part, problem: self._in_loop(self._health, part, problem),
            tell=lambda notice: self._in_loop(self._notices.put_nowait, notice),
        )

    def _in_loop(self, call: Callable[..., None], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *values)

    def _listen(self) -> None:
        """Hear readings from the first moment: they wait in memory while the journal is checked, or brought to a new form."""
        self._bus.subscribe(contract.POSITION_READING, self._position)
        self._bus.subscribe(contract.BATTERY_READING, self._battery)
        self._bus.subscribe(contract.BATTERY_ESTIMATE, self._estimate)

    def _started(self, last_states: Mapping[str, str]) -> None:
        # What is retained on the bus is heard again at each start: it is only news if the journal does not know it.
        for topic, payload in last_states.items():
            if (found := self._topics.identify(self._topics.root + topic)) is not None:
                passing = PASSING.get(found[0].pattern, frozenset())
                self._intake.remember(topic, {name: value for name, value in json.loads(payload).items() if name not in passing})
        for channel in (
            contract.RELAY_STATE,
            contract.LOAD_STATE,
            contract.CONTROLLER_STATE,
            contract.PREFERENCES,
            contract.SERVICE_STATUS,
            contract.SERVICE_ERROR,
            contract.OVERRIDE,
        ):
            self._bus.subscribe(channel, self._keeper(channel))
        self._bus.subscribe(contract.EVENT, self._event, cleared=lambda params: self._accounts.archived(params["event_id"]))
        self._bus.subscribe(contract.EVENT_BASELINE, self._left_over)
        self._bus.subscribe(contract.EVENT_PERFORMANCE, self._left_over)
        if self._feed is not None:
            self._bus.subscribe(
                contract.SERVICE_VITALS, lambda received: self._present.vitals(received.params["service"], received.message)
            )

    def _position(self, received: Received[PositionReading]) -> None:
        position = received.params["position"]
        if self._clock.known:
            refusal = self._intake.position(position, received.message, now=self._clock.now(), speed=self._clock.speed)
            self._tell(refusal, received.topic)

    def _battery(self, received: Received[BatteryReadingMessage]) -> None:
        if self._clock.known:
            self._tell(self._intake.battery(received.message, now=self._clock.now(), speed=self._clock.speed), received.topic)

    def _estimate(self, received: Received[BatteryEstimate]) -> None:
        self._present.estimate(received.message)
        if self._clock.known:
            self._tell(self._intake.estimate(received.message, now=self._clock.now(), speed=self._clock.speed), received.topic)

    def _event(self, received: Received[EventMessage]) -> None:
        self._keep(contract.EVENT, received.topic, received.message)
        self._accounts.heard(received.message)

    def _left_over(self, received: Received[EventBaseline] | Received[EventPerformance]) -> None:
        if received.retained:
            self._accounts.found_on_bus(received.message.event_id)

    def _keeper(self, channel: Channel[Payload]) -> Callable[[Received[Payload]], None]:
        return lambda received: self._keep(channel, received.topic, received.message)

    def _keep(self, channel: Channel[Payload], topic: str, message: Payload) -> None:
        if not self._clock.known:
            return
        ts = message.ts if isinstance(message, Telemetry) else self._clock.now()
        content = message.model_dump(mode="json", exclude=set(PASSING[channel.pattern]))
        topic, payload = topic.removeprefix(self._topics.root), message.model_dump_json()
        self._present.state(topic, ts, payload)
        self._intake.state(topic, ts, payload, content)

    def _publish_figures(self, figures: EventBaseline | EventPerformance) -> None:
        channel: Channel[Payload] = contract.EVENT_BASELINE if isinstance(figures, EventBaseline) else contract.EVENT_PERFORMANCE
        self._bus.publish(channel, figures, event_id=figures.event_id)
        if isinstance(figures, EventBaseline) or figures.final:
            self._keep_figures(figures)

    def _keep_figures(self, figures: EventBaseline | EventPerformance) -> None:
        channel: Channel[Payload] = contract.EVENT_BASELINE if isinstance(figures, EventBaseline) else contract.EVENT_PERFORMANCE
        self._keep(channel, self._topics.build(channel, {"event_id": figures.event_id}), figures)

    def _withdraw(self, event_id: str) -> None:
        self._bus.clear(contract.EVENT_BASELINE, event_id=event_id)
        self._bus.clear(contract.EVENT_PERFORMANCE, event_id=event_id)

    def _committed(self, until: datetime) -> None:
        metrics.COMMITS.inc()
        self._bus.publish(contract.COMMITTED, Committed(ts=self._clock.now(), until=until))
        if self._feed is not None:
            self._feed.committed()

    async def _tell_notices(self) -> None:
        while True:
            notice = await self._notices.get()
            await self._bus.wait_connected()  # at the start the journal speaks before the broker has answered
            self._bus.report(notice)

    def _tell(self, refusal: Refusal | None, topic: str, what: str = "reading refused") -> None:
        if refusal is not None:
            self._bus.report(what, field=refusal.field, value=refusal.value, remedy=refusal.remedy, topic=topic or None)

    def _health(self, part: str, problem: str | None) -> None:
        if problem is None:
            self._problems.pop(part, None)
        else:
            self._problems[part] = problem
        self._bus.health("; ".join(self._problems.values()) or None)

    async def _answer(self) -> None:
        app = create_app(
            self._history,
            self._clock,
            max_gap_s=lambda: reckoning.max_gap_s(self._station, self._clock.speed),
            account=self._accounts.account,
            committed_until=lambda: self._writer.until,
            settled_ms=self._writer.settled_ms,
            zone=self._station.zone,
            token=self._token if self._station.recorder.token else None,
            known_as=self._known_as,
        )
        add_import(app, self._writer.fill, self._clock, self._token)
        add_backup(app, self._path, self._token)
        endpoint = self._station.recorder.api
        while True:
            try:
                sock = web.listen(endpoint)
            except OSError as error:
                self._health("api", f"cannot answer at {endpoint.host}:{endpoint.port}: {error.strerror}; end what listens there")
                await self._clock.sleep(RETRY_LISTEN_S)
                continue
            self._health("api", None)
            await web.serve(app, sock)
