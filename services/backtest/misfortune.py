"""What `decide()` must stand: ordeals played on the plant, each decision judged by the checkers."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.backtest.checker import Checker, Moment, Violation
from services.backtest.faulty_house import LIES, FaultyHouse
from services.backtest.load_checker import LoadChecker
from services.backtest.ordeals import Ordeal
from services.controller import store
from services.controller.decide import decide
from services.controller.model import ManualMode, Memory
from services.controller.service import EVENT_SAVE_S, HOLD_S, SAVE_S
from services.controller.shifting import ShiftSettings, plan
from services.controller.steady import Steady, follow, rewound
from services.controller.store import State
from services.core import event_book
from services.core.event_book import Book
from services.core.events import BadValue, Event
from services.core.modes import FEEDS, Feed, Mode
from services.core.observer import Inputs, Observer, update
from services.simulator.plant import Flows, PlantState, step

LONGEST_RESTART_S = 90.0
"""Real seconds; the bridge lets go in the midst of it."""


class Outcome(NamedTuple):
    """What came of an ordeal."""

    violations: list[Violation]
    decisions: int
    opened: int
    """How often the load was commanded off the grid: an ordeal in which nothing ever switches proves little."""
    restarts: int
    shifted: int
    """Commands that switched a deferrable load off."""


@dataclass(slots=True)
class _Kept:
    """The controller's state file, which is not written at every decision: the service's own rule."""

    state: State
    at_s: float = 0.0
    matters: object = None

    def keep(self, state: State, elapsed_s: float) -> None:
        interval = state.memory.interval
        shifts = tuple((shift.event_id, shift.stage) for shift in state.shifting.shifts.values())
        memory = state.memory
        matters = (state.book, memory.mode, interval.start if interval else None, memory.suspension, state.override, shifts)
        if matters != self.matters or elapsed_s - self.at_s >= (SAVE_S if interval is None and not shifts else EVENT_SAVE_S):
            self.state, self.at_s, self.matters = state, elapsed_s, matters

    def read(self) -> State:
        return store.loads(store.dumps(self.state))


def endure(ordeal: Ordeal) -> Outcome:
    """Run the ordeal through the live decision, and check every step."""
    run, parameters = _Run(ordeal), ordeal.parameters
    plant = PlantState.initial(parameters, soc_pct=ordeal.soc_pct)
    _, flows = step(parameters, plant, run.house.inputs(run.mode, 0.0), 0.0)
    elapsed_s = 0.0
    while elapsed_s < ordeal.length_s:
        mode = run.cycle(flows, elapsed_s)
        plant, flows = step(parameters, plant, run.house.inputs(mode, elapsed_s), ordeal.step_s)
        elapsed_s += ordeal.step_s
    return run.outcome


class _Run:
    """The controller in its house, with the checkers beside it."""

    def __init__(self, ordeal: Ordeal) -> None:
        settings = ordeal.settings
        self.house = FaultyHouse(settings, ordeal.begin, ordeal.load_w, ordeal.faults)
        self.mode = settings.board.safe_mode
        self.outcome = Outcome([], 0, 0, 0, 0)
        self._ordeal, self._settings = ordeal, settings
        self._checker = Checker(settings, max(settings.battery.floor_pct, ordeal.preferences.backup_reserve_pct))
        self._load_checker = LoadChecker(ordeal.loads, ordeal.always_on)
        self._shift_settings = ShiftSettings(settings.station, ordeal.loads)
        self._state = State(book=Book(events={ordeal.event.id: ordeal.event}), memory=_before(ordeal))
        self._kept = _Kept(self._state)
        self._orders = list(ordeal.orders)
        self._wishes: dict[str, bool] = {}
        self._steady: Steady | None = None
        self._down_s = self._back_s = 0.0
        """While the process is gone, and when it is there again."""

    def cycle(self, flows: Flows, elapsed_s: float) -> Mode:
        """The mode that stands commanded."""
        override = self._state.override
        now, book = self._time(elapsed_s) if elapsed_s >= self._back_s else (self._ordeal.begin, self._state.book)
        while elapsed_s >= self._back_s and self._orders and self._orders[0][0] <= elapsed_s:
            order = self._orders.pop(0)
            if order[1] == "restart":
                self._restart(elapsed_s, order[2] * LONGEST_RESTART_S)
            else:
                book, override = _obey(book, order, self._ordeal.event, now, override)
        if elapsed_s < self._back_s:
            # After a while without renewals the bridge lets go.
            return self.mode if elapsed_s - self._down_s < HOLD_S else self._settings.board.safe_mode
        self._decide(flows, elapsed_s, now, event_book.advance(book, now), override)
        return self.mode

    def _restart(self, elapsed_s: float, for_s: float) -> None:
        self._state, self._steady = self._kept.read(), None
        self._down_s, self._back_s = elapsed_s, elapsed_s + for_s
        self.outcome = self.outcome._replace(restarts=self.outcome.restarts + 1)

    def _time(self, elapsed_s: float) -> tuple[datetime, Book]:
        """The time to decide by, and the book after a step of the clock."""
        clock, book = self.house.now(elapsed_s), self._state.book
        if not self._ordeal.steadied:
            return clock, book
        self._steady, stepped = follow(self._steady, clock, self.house.monotonic_s(elapsed_s), 1.0)
        if stepped is not None and stepped < timedelta(0):
            book = rewound(book, self._steady.at)
        return self._steady.at, book

    def _decide(self, flows: Flows, elapsed_s: float, now: datetime, book: Book, override: ManualMode | None) -> None:
        event = event_book.current(book)
        snapshot = self.house.snapshot(flows, elapsed_s, self._ordeal.preferences, event, override)
        decision = decide(snapshot, self._state.memory, self._settings, now)
        truthful = not any(fault.kind in LIES and fault.begin_s <= elapsed_s for fault in self._ordeal.faults)
        found = self._checker.check(Moment(now, elapsed_s, snapshot, decision.mode, flows.soc_pct, truthful))
        shifting, shifted = self._state.shifting, 0
        if self._ordeal.loads:
            seen = self.house.loads(self._wishes, self._ordeal.loads, elapsed_s)
            off = {name for name, on in self._wishes.items() if not on}
            made, shifting = plan(event, decision.reason.code, seen, shifting, self._shift_settings, now)
            self._wishes = dict(made)
            shifted = len({name for name, on in made.items() if not on} - off)
            found += self._load_checker.check(now, elapsed_s, event, made, seen)
        self._state = State(book=book, memory=decision.memory, override=override, shifting=shifting)
        self._kept.keep(self._state, elapsed_s)
        before, self.mode = self.mode, decision.mode
        self.outcome = Outcome(
            self.outcome.violations + found,
            self.outcome.decisions + 1,
            self.outcome.opened + (FEEDS[before] is Feed.GRID and FEEDS[self.mode] is not Feed.GRID),
            self.outcome.restarts,
            self.outcome.shifted + shifted,
        )


def _before(ordeal: Ordeal) -> Memory:
    """What is remembered at the start: the charge, where nobody will tell it."""
    settings = ordeal.settings
    if settings.data_link:
        return Memory(mode=settings.board.safe_mode)
    known = update(Observer(), Inputs(0.0, 0.0, 0.0, False, True, ordeal.soc_pct), 0.0, settings.battery)
    return Memory(mode=settings.board.safe_mode, observer=replace(known, since_full_s=3600.0))


def _obey(
    book: Book, order: tuple[float, str, float], event: Event, now: datetime, override: ManualMode | None
) -> tuple[Book, ManualMode | None]:
    """The book and the manual mode after somebody's order."""
    _, what, figure = order
    if what == "override":
        return book, ManualMode(Mode(int(figure * 6)), now + timedelta(minutes=20 * figure))
    try:
        if what == "amend":
            amended = replace(event, revision=int(figure * 9), end=event.end + timedelta(minutes=60 * figure - 30), changed_at=now)
            return (event_book.schedule(book, amended)[0] if amended.end > amended.start else book), override
        if what == "opt_in":
            return event_book.opt_in(book, event.id, now)[0], override
        return event_book.cancel(book, event.id, now, opted_out=what == "opt_out")[0], override
    except BadValue:
        return book, override
