"""The controller's shell: hears the bus, decides once a cycle, commands the relays, keeps the event book on disk."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from services.bus import contract
from services.bus.client import Bus, Received
from services.bus.messages.devices import BatteryReadingMessage, RelayCommand, RelayStateMessage
from services.bus.messages.events import EventCommand, EventMessage
from services.bus.messages.state import ControllerState, Override, PreferencesMessage, ServiceStatus
from services.bus.runtime import Context
from services.controller import choices, metrics, rival, store, upcoming
from services.controller.book import obey
from services.controller.decide import decide
from services.controller.flags import noted
from services.controller.forecast_source import ForecastFeed
from services.controller.latest import Latest
from services.controller.model import Decision, ManualMode, Settings
from services.controller.shifter import Shifter
from services.controller.steady import Steady, follow, rewound
from services.controller.store import State
from services.controller.telling import Teller
from services.core.config.hardware import StationSensor
from services.core.event_book import Book, advance, current, others
from services.core.events import BadValue
from services.core.modes import Mode, refusal
from services.core.positions import Position

log = logging.getLogger(__name__)

CYCLE_S = 1.0
RENEW_S = 10.0
"""The controller renews its wishes so often; the bridge lets go after HOLD_S (design section 5)."""
HOLD_S = 30.0
SETTLE_S = 8.0
"""After a start the devices get so long to be heard before anything is decided, so that a restart in the middle
of an event does not hand the load back and take it again. The bridges hold on for longer than that."""
HEAD_START_S = 0.02
"""The relays' wishes go before the paperwork: in one process the report and the disk would slow the switch down."""
LOOP = "decision loop"
HANGS_AFTER_S = 30.0
"""A cycle that takes longer, a slow disk included, hangs."""
SAVE_S = 60.0
EVENT_SAVE_S = 15.0
"""While an interval is being settled: a restart goes on from an integral that is at most so old (real seconds)."""


async def run(context: Context) -> None:
    """Run until cancelled; passive while another controller is in charge of the station."""
    instance, outranked_by = rival.new_instance(), None
    while True:
        accepted = await rival.wait_turn(context, instance, outranked_by)
        async with context.bus("controller") as bus:
            controller = Controller(context, bus, instance, accepted)
            try:
                await controller.run()
            except rival.Superseded as other:
                log.warning("the controller %s was in charge before this one, which stands back", other)
                outranked_by = str(other)
            finally:
                controller.leave()
                context.ended(LOOP)


class Controller:
    """One station's controller."""

    def __init__(self, context: Context, bus: Bus, instance: str, accepted: Book) -> None:
        """`accepted`: the events that the bus knows of, from whoever was in charge before."""
        self._charge = rival.Charge(instance)
        self._came_round = partial(context.came_round, LOOP, HANGS_AFTER_S)
        self._accepted = accepted
        self._superseded_by: str | None = None
        self._leaving = False
        self._steady: Steady | None = None
        self._shifter = Shifter(context.station, bus)
        self._clock = context.clock
        self._bus = bus
        self._station = context.station
        self._settings = Settings.of(context.station)
        self._teller = Teller(bus, self._settings)
        self._forecast = ForecastFeed(context.station.pv_forecast, context.clock, bus)
        self._preferences = context.station.preferences.preferences()
        self._relays = tuple(Position(name) for name in context.station.positions.switched())
        self._path = context.state_dir("controller") / "state.json"
        self._state = State()
        told_by_station = [name for name in ("p3", "p4") if isinstance(getattr(context.station.positions, name), StationSensor)]
        self._latest = Latest(told_by_station)
        self._commands: list[EventCommand | Override] = []
        self._wake = asyncio.Event()
        self._wishes: dict[Position, tuple[bool, str]] = {}
        self._renewed_at = float("-inf")
        self._saved: tuple[object, ...] = ()
        self._saved_at = float("-inf")
        self._published = Book()

    async def run(self) -> None:
        """Settle, then decide once a cycle, or sooner when something happened. Raises rival.Superseded when another controller stays."""
        self._subscribe()
        await self._bus.wait_clock()
        self._charge = rival.Charge(self._charge.instance, self._clock.now())
        self._restore()
        await self._settle()
        forecasts = asyncio.create_task(self._forecast.run(), name="controller: PV forecast")
        try:
            while self._superseded_by is None:
                self._came_round()
                try:
                    await self._cycle()
                except (ArithmeticError, LookupError, TypeError, ValueError):
                    # The loop's outermost edge: whatever it was, the devices' dead-men stand behind us, and the next cycle may do better.
                    log.exception("this cycle failed; the relays keep their last command until it lapses")
                await self._pause()
        finally:
            forecasts.cancel()
        raise rival.Superseded(self._superseded_by)

    def leave(self) -> None:
        """From now on its farewell is meant."""
        self._leaving = True

    def _subscribe(self) -> None:
        bus = self._bus
        bus.subscribe(contract.POSITION_READING, self._latest.position)
        bus.subscribe(contract.BATTERY_READING, self._on_battery)
        bus.subscribe(contract.BATTERY_LINK, self._latest.link)
        bus.subscribe(contract.RELAY_STATE, self._on_relay)
        bus.subscribe(contract.EVENT_BASELINE, self._latest.baseline, cleared=self._latest.forget_baseline)
        bus.subscribe(contract.EVENT_COMMAND, self._on_command)
        bus.subscribe(contract.OVERRIDE, self._on_command)
        bus.subscribe(contract.PREFERENCES, self._on_preferences)
        bus.subscribe(contract.LOAD_READING, self._latest.load_reading)
        bus.subscribe(contract.LOAD_STATE, self._latest.load_state)
        bus.subscribe(contract.CONTROLLER_STATE, self._on_controller)
        bus.subscribe(contract.SERVICE_STATUS, self._on_status)

    def _on_battery(self, received: Received[BatteryReadingMessage]) -> None:
        self._latest.battery(received)
        if received.message.ac_output_on is not True:
            self._wake.set()

    def _on_relay(self, received: Received[RelayStateMessage]) -> None:
        self._latest.relay(received)
        self._wake.set()

    def _on_command(self, received: Received[EventCommand] | Received[Override]) -> None:
        self._commands.append(received.message)
        self._wake.set()

    def _on_preferences(self, received: Received[PreferencesMessage]) -> None:
        self._preferences = choices.taken(received.message, self._preferences, self._settings, self._bus)

    def _on_controller(self, received: Received[ControllerState]) -> None:
        if self._charge.meets(received.message, retained=received.retained):
            self._superseded_by = received.message.instance or "of an older version"
            self._wake.set()

    def _on_status(self, received: Received[ServiceStatus]) -> None:
        if received.params["service"] == self._bus.service and received.message.state == "offline" and not self._leaving:
            # Whoever stood back has said goodbye under the same name.
            self._bus.announce()

    def _restore(self) -> None:
        try:
            self._state = store.load(self._path)
        except store.StateUnusable as unusable:
            self._state = unusable.rest
            self._bus.report(str(unusable), remedy="schedule again whatever open events are missing")
        # What another controller has accepted while this one was away is as good as our own; of the same event the newer word counts.
        for event in self._accepted.events.values():
            known = self._state.book.events.get(event.id)
            if event.id not in self._state.book.archived and (known is None or rival.newer(event, known)):
                self._state = replace(self._state, book=self._state.book.with_event(event))
        log.info("the event book holds %d events", len(self._state.book.events))

    async def _settle(self) -> None:
        awaited = frozenset(position.value for position in self._relays)
        until_s = self._clock.monotonic() + SETTLE_S
        while not self._latest.heard(awaited, battery=self._settings.data_link) and self._clock.monotonic() < until_s:
            await self._clock.sleep(0.1)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CYCLE_S):
                await self._wake.wait()
        self._wake.clear()

    async def _cycle(self) -> None:
        clock, now_s = self._clock.now(), self._clock.monotonic()
        now = self._steadied(clock, now_s)
        book, override = self._state.book, self._state.override
        commands, self._commands = self._commands, []
        for command in commands:
            try:
                if isinstance(command, Override):
                    override = self._overridden(command, now)
                else:
                    book = self._obeyed(book, command, now)
            except BadValue as bad:
                topic = "controller/override" if isinstance(command, Override) else "event/command"
                self._bus.report(str(bad), field=bad.field, value=str(bad.value), remedy=bad.remedy, topic=topic)
        lead = upcoming.lead(self._preferences, self._settings)
        book = advance(book, now, lead)
        if override is not None and now >= override.until:
            override = None
        self._suspect(now, now_s)
        event = current(book, now, lead)
        snapshot = self._latest.snapshot(now_s, self._preferences, event, override)
        snapshot = replace(snapshot, busy=others(book, event), forecast=self._forecast.fresh(now))
        decision = decide(snapshot, self._state.memory, self._settings, now)
        metrics.decided(decision.phase, int(decision.mode))
        book = noted(book, decision, self._settings, now)
        renewing = now_s - self._renewed_at >= RENEW_S
        if self._command(decision, clock, now_s):
            await self._clock.sleep(HEAD_START_S)
        seen = self._latest.loads(now_s, self._settings.control.stale_after_s)
        shifting = self._shifter.shift(event, decision.reason.code, seen, self._state.shifting, now, clock, renewing=renewing)
        self._state = replace(self._state, book=book, memory=decision.memory, override=override, shifting=shifting)
        beside = self._shifter.words(shifting, self._settings.zone)
        self._teller.tell(decision, self._charge, self._shifter.acting(decision, shifting), beside, clock, now_s)
        self._teller.estimate(decision, clock, now_s)
        if await self._save(decision, now_s):
            # Only now: an event that appears on the bus has been accepted, and must survive a power cut.
            self._publish_events(clock)

    def _steadied(self, clock: datetime, now_s: float) -> datetime:
        """The time to decide by: a step of the clock counts once it has stood for a while."""
        if self._station.clock == "simulated":
            # The simulator makes the time; whatever it says is so.
            return clock
        self._steady, step = follow(self._steady, clock, now_s, self._clock.speed)
        if self._steady.stepped_by is not None:
            self._bus.report(
                f"the clock stepped by {self._steady.stepped_by.total_seconds():.0f} s; decided by the time before until it has stood",
                remedy="check the machine's clock and its time server",
                topic="clock",
            )
        if step is not None and step < timedelta(0):
            self._state = replace(self._state, book=rewound(self._state.book, self._steady.at))
        return self._steady.at

    def _suspect(self, now: datetime, now_s: float) -> None:
        suspicion = self._latest.suspect(now, now_s, self._station.battery.poll_s, self._settings.battery)
        if suspicion is not None:
            self._bus.report(
                f"the power station's report has frozen: {suspicion}",
                remedy="look after the power station, its app and the bridge; until then what has frozen counts as unknown",
                topic="battery/reading",
            )

    def _obeyed(self, book: Book, command: EventCommand, now: datetime) -> Book:
        book, outcome = obey(book, command, self._preferences, self._settings, now)
        log.info("event/command %s: %s", command.action, outcome.note)
        if (refusal_ := outcome.refusal) is not None:
            self._bus.report(str(refusal_), field=refusal_.field, value=str(refusal_.value), remedy=refusal_.remedy, topic="event/command")
        return book

    def _overridden(self, command: Override, now: datetime) -> ManualMode | None:
        if command.release:
            return None
        if command.mode is None:
            raise BadValue("mode", None, 'name a mode from 0 to 5, or {"release":true}')
        mode = Mode(command.mode)
        if (why := refusal(mode, self._settings.hardware)) is not None:
            raise BadValue("mode", command.mode, why)
        return ManualMode(mode, now + command.duration)

    def _command(self, decision: Decision, now: datetime, now_s: float) -> bool:
        """Publish each relay's wish: at once when it changes, else as a renewal. Returns whether one changed."""
        renew, changed = now_s - self._renewed_at >= RENEW_S, False
        wanted = self._settings.board.relays[decision.mode]
        for position in self._relays:
            on = bool(wanted.at(position))
            before = self._wishes.get(position)
            if before is None or before[0] != on:
                self._wishes[position] = (on, f"{position}-{now:%Y%m%dT%H%M%S.%f}")
                changed = True
            elif not renew:
                continue
            command = RelayCommand(
                ts=now, on=on, command_id=self._wishes[position][1], hold_s=HOLD_S, reason=decision.reason.text(self._settings.zone)[:400]
            )
            self._bus.publish(contract.RELAY_COMMAND, command, position=position.value)
        if renew:
            self._renewed_at = now_s
        return changed

    async def _save(self, decision: Decision, now_s: float) -> bool:
        """Write the state when something that matters changed, and now and then for what is merely learnt."""
        interval = decision.memory.interval
        shifts = [(shift.event_id, shift.stage) for shift in self._state.shifting.shifts.values()]
        matters = (
            self._state.book, decision.mode, interval.start if interval else None, decision.memory.suspension, self._state.override, shifts,
        )  # fmt: skip
        if matters == self._saved and now_s - self._saved_at < (SAVE_S if interval is None and not shifts else EVENT_SAVE_S):
            return True
        try:
            await asyncio.to_thread(store.save, self._path, self._state)
        except OSError as error:
            self._bus.report(f"the event book cannot be written: {error}", remedy=f"make {self._path.parent} writable, with space left")
            return False
        self._saved, self._saved_at = matters, now_s
        return True

    def _publish_events(self, now: datetime) -> None:
        for event_id, event in self._state.book.events.items():
            if self._published.events.get(event_id) != event:
                self._bus.publish(contract.EVENT, EventMessage.of(event, now), event_id=event_id)
        for event_id in self._published.events.keys() - self._state.book.events.keys():
            self._bus.clear(contract.EVENT, event_id=event_id)
        self._published = self._state.book
