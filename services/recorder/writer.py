"""Commits what the intake has collected, off the event loop, and goes on trying while the disk refuses."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from services.bus.clock import Clock
from services.recorder import importing
from services.recorder.columns import Row
from services.recorder.importing import Filled
from services.recorder.intake import Batch, Intake
from services.recorder.journal import Journal, JournalCorrupt, JournalError, open_or_replace
from services.recorder.upkeep import Upkeep

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_S = 2.0
"""Real seconds between two attempts while the disk refuses."""
UPKEEP_PAUSE_S = 0.05
"""Real seconds between two slices of upkeep: at least half of the time belongs to commits and answers."""
SETTLED_S = 60.0
"""Real seconds after which a reading that has not come yet counts as late."""


class Writer:
    """Owns the journal's one writing thread. Use as an async context manager; `run` does the work."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        commit_every_s: float,
        upkeep: Upkeep,
        *,
        committed: Callable[[datetime], None],
        health: Callable[[str, str | None], None],
        tell: Callable[[str], None],
    ) -> None:
        """`committed` hears up to when readings are on disk, `health` what is wrong with which part, `tell` what a person must know."""
        self._path = path
        self._clock = clock
        self._every_s = commit_every_s
        self._upkeep = upkeep
        self._committed = committed
        self._health = health
        self._tell = tell
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "journal")
        self._journal: Journal | None = None
        self._refused = False
        self._notice: str | None = None
        self.intake = Intake(urgent=self._wake.set)
        self.until: datetime | None = None
        """Up to when readings are on disk."""

    async def run(self, started: Callable[[Mapping[str, str]], None]) -> None:
        """Open the journal, then commit every few seconds, and at once when a state has come, until cancelled.

        `started` hears the last state under each topic, or nothing if the journal cannot be opened yet. Cancelled,
        this commits a last time and lets go of the file.
        """
        keeping: asyncio.Task[None] | None = None
        try:
            states = await self._try(self._begin)
            started(states or {})
            while states is None:
                await self._clock.sleep(RETRY_S)
                self._keep(Batch())
                states = await self._try(self._begin)
            keeping = asyncio.create_task(self._keep_house(), name="recorder: upkeep")
            while True:
                await self._pause()
                await self._commit()
        finally:
            if keeping is not None:
                keeping.cancel()
            await self._commit()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown()

    async def _pause(self) -> None:
        if self._refused:
            await self._clock.sleep(RETRY_S)
            return
        # Not wait_for, which in Python 3.11 may swallow a cancellation.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._every_s):
                await self._wake.wait()

    async def _keep_house(self) -> None:
        """Upkeep in slices, in the journal's thread: a commit waits for one of them at most."""
        while True:
            more = False
            try:
                more = await asyncio.get_running_loop().run_in_executor(self._thread, self._slice)
                self._health("upkeep", None)
            except JournalError as error:
                if isinstance(error, JournalCorrupt):  # the next commit opens it anew, and looks at all of it
                    await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
                log.warning("not kept up: %s", error)
                self._health("upkeep", f"rollups wait: {error}")
                await self._clock.sleep(RETRY_S)
            if more:
                await self._clock.sleep(UPKEEP_PAUSE_S)
            else:
                self._written.clear()
                await self._written.wait()

    def _slice(self) -> bool:
        return self._journal is not None and self._upkeep.slice(self._journal)

    async def fill(self, rows: Mapping[int, Row]) -> Filled:
        """Store what the journal lacks of readings from elsewhere; on disk once this returns. Raises JournalError."""
        settled_ms, reach_ms = self.settled_ms(), self._upkeep.reach_ms()
        loop = asyncio.get_running_loop()
        try:
            filled = await loop.run_in_executor(
                self._thread, lambda: importing.fill(self._ready(), rows, settled_ms=settled_ms, reach_ms=reach_ms)
            )
        except JournalCorrupt:
            await loop.run_in_executor(self._thread, self._close)
            raise
        if rows:
            self._reached(rows)
        self._written.set()
        return filled

    def _ready(self) -> Journal:
        if self._journal is None:
            raise JournalError("the journal is not open yet; try again in a moment")
        return self._journal

    def settled_ms(self) -> int:
        """How far behind the newest reading, in station time, the journal can be relied upon to be complete."""
        return round(SETTLED_S * 1000 * self._clock.speed)

    async def _commit(self) -> None:
        self._wake.clear()
        if not (batch := self.intake.take()):
            return
        settled_ms, reach_ms = self.settled_ms(), self._upkeep.reach_ms()
        if await self._try(lambda: self._opened().write(batch.rows, batch.states, settled_ms=settled_ms, reach_ms=reach_ms)) is None:
            self._keep(batch)
        elif batch.rows:
            self._reached(batch.rows)
        self._written.set()

    def _reached(self, rows: Mapping[int, Row]) -> None:
        newest = datetime.fromtimestamp(max(rows) / 1000, UTC)
        self.until = newest if self.until is None else max(self.until, newest)
        self._committed(self.until)

    def _keep(self, batch: Batch) -> None:
        if lost := self.intake.put_back(batch):
            self._tell(f"the journal cannot be written and the backlog is full: the oldest {lost} readings are lost")

    async def _try(self, work: Callable[[], T]) -> T | None:
        """What `work` returns in the writing thread; None if the journal refuses, which is told."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except JournalError as error:
            if isinstance(error, JournalCorrupt):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            if not self._refused:  # once: the disk that is full may be the log's, too
                log.warning("not recorded: %s", error)
            self._health("journal", f"readings are kept in memory only: {error}")
            self._refused = True
            return None
        if self._refused:
            self._health("journal", None)
            self._refused = False
        if self._notice is not None:
            self._tell(self._notice)
            self._notice = None
            self.intake.states_again()
        return result

    def _opened(self) -> Journal:
        if self._journal is None:
            self._journal, self._notice = open_or_replace(self._path, f"{self._clock.now():%Y%m%dT%H%M%S}")
            self._upkeep.opened()
        return self._journal

    def _begin(self) -> Mapping[str, str]:
        journal = self._opened()
        if (last_ms := journal.last_reading_ms()) is not None:
            self.until = datetime.fromtimestamp(last_ms / 1000, UTC)
        return journal.last_states()

    def _close(self) -> None:
        if self._journal is not None:
            with contextlib.suppress(JournalError):
                self._upkeep.save_cursor(self._journal)
            self._journal.close()
            self._journal = None
