"""The controller's shell: hears the bus, decides once a cycle, commands the relays, keeps the event book on disk."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from services.bus import contract
from services.bus.client import Bus, Received
from services.bus.messages.devices import BatteryEstimate, BatteryReadingMessage, RelayCommand, RelayStateMessage
from services.bus.messages.events import EventCommand, EventMessage
from services.bus.messages.state import ControllerState, Override, PreferencesMessage
from services.bus.runtime import Context
from services.controller import store
from services.controller.book import obey
from services.controller.decide import decide
from services.controller.latest import Latest
from services.controller.model import Decision, ManualMode, Settings
from services.controller.store import State
from services.core.event_book import Book, advance, current
from services.core.events import BadValue
from services.core.modes import RELAYS, Mode, refusal
from services.core.observer import estimate
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
TELL_S = 5.0
SAVE_S = 60.0
ALARMS = frozenset({"p1_stuck_open", "p3_lost", "p1_astray", "grid_outage", "soc_unknown", "p1_unknown", "load_unknown", "p3_not_alive"})


async def run(context: Context) -> None:
    """Run until cancelled."""
    async with context.bus("controller") as bus:
        await Controller(context, bus).run()


class Controller:
    """One station's controller."""

    def __init__(self, context: Context, bus: Bus) -> None:
        self._clock = context.clock
        self._bus = bus
        self._station = context.station
        self._settings = Settings.of(context.station)
        self._preferences = context.station.preferences.preferences()
        self._relays = tuple(Position(name) for name in context.station.positions.relays())
        self._path = context.state_dir("controller") / "state.json"
        self._state = State()
        self._latest = Latest()
        self._commands: list[EventCommand | Override] = []
        self._wake = asyncio.Event()
        self._wishes: dict[Position, tuple[bool, str]] = {}
        self._renewed_at = float("-inf")
        self._told: tuple[object, ...] = ()
        self._told_at = float("-inf")
        self._saved: tuple[object, ...] = ()
        self._saved_at = float("-inf")
        self._published = Book()
        self._estimated_at = float("-inf")

    async def run(self) -> None:
        """Settle, then decide once a cycle, or sooner when something happened."""
        self._subscribe()
        await self._bus.wait_clock()
        self._restore()
        await self._settle()
        while True:
            try:
                await self._cycle()
            except (ArithmeticError, LookupError, TypeError, ValueError):
                # The loop's outermost edge: whatever it was, the devices' dead-men stand behind us, and the next cycle may do better.
                log.exception("this cycle failed; the relays keep their last command until it lapses")
            await self._pause()

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
        self._preferences = received.message.preferences()

    def _restore(self) -> None:
        try:
            self._state = store.load(self._path)
        except store.StateUnusable as unusable:
            self._bus.report(str(unusable), remedy="schedule again whatever events were open")
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
        now, now_s = self._clock.now(), self._clock.monotonic()
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
        book = advance(book, now)
        if override is not None and now >= override.until:
            override = None
        snapshot = self._latest.snapshot(now_s, self._preferences, current(book), override)
        decision = decide(snapshot, self._state.memory, self._settings, now)
        if self._command(decision, now, now_s):
            await self._clock.sleep(HEAD_START_S)
        self._state = replace(self._state, book=book, memory=decision.memory, override=override)
        self._tell(decision, now, now_s)
        self._estimate(decision, now, now_s)
        if await self._save(decision, now_s):
            # Only now: an event that appears on the bus has been accepted, and must survive a power cut.
            self._publish_events(now)

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
        wanted = RELAYS[decision.mode]
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

    def _tell(self, decision: Decision, now: datetime, now_s: float) -> None:
        news = (decision.phase, decision.mode, decision.mode_confirmed, decision.reason.code, decision.event_id)
        if news == self._told and now_s - self._told_at < TELL_S:
            return
        text = decision.reason.text(self._settings.zone)
        if self._told[:4] != news[:4]:
            log.info("mode %d, %s: %s", decision.mode, decision.phase, text)
        self._told, self._told_at = news, now_s
        self._bus.health(text if decision.reason.code in ALARMS else None)
        self._bus.publish(
            contract.CONTROLLER_STATE,
            ControllerState(
                ts=now,
                phase=decision.phase,
                mode_commanded=int(decision.mode),
                mode_confirmed=None if decision.mode_confirmed is None else int(decision.mode_confirmed),
                reason=text,
                reason_code=decision.reason.code,
                goal_w=decision.goal_w,
                duty=decision.duty,
                event_id=decision.event_id,
                next_change=decision.next_change,
            ),
        )

    def _estimate(self, decision: Decision, now: datetime, now_s: float) -> None:
        """Publish the observer's view, and say so when the power station tells something else."""
        if now_s - self._estimated_at < TELL_S:
            return
        observer = decision.memory.observer
        if (seen := estimate(observer, self._settings.battery)) is None:
            return
        self._estimated_at = now_s
        soc_pct, low, high = (round(value, 2) for value in seen)
        self._bus.publish(contract.BATTERY_ESTIMATE, BatteryEstimate(ts=now, soc_pct=soc_pct, low=low, high=high))
        if observer.doubt_s > 0.0 and observer.reported_pct is not None:
            self._bus.report(
                "the power station's state of charge does not fit what flowed in and out",
                field="soc_pct",
                value=f"{observer.reported_pct:.0f}",
                remedy=f"the meters say {low:.0f} to {high:.0f} %; check battery.capacity_wh and the meters, or charge it full once",
                topic="battery/reading",
            )

    async def _save(self, decision: Decision, now_s: float) -> bool:
        """Write the state when something that matters changed, and now and then for what is merely learnt."""
        interval = decision.memory.interval
        matters = (self._state.book, decision.mode, interval.start if interval else None, decision.memory.suspension, self._state.override)
        if matters == self._saved and now_s - self._saved_at < SAVE_S:
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
