"""Feeds InfluxDB from the journal, by a cursor of its own: nothing is lost while it is away, and nothing told twice counts double."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random

from services.bus.clock import Clock
from services.bus.secrets import NoSecret
from services.core.config.station import InfluxFeed
from services.recorder import influx_hours, influx_states
from services.recorder.following import Cursor
from services.recorder.history import History
from services.recorder.influx_hours import NOTHING_KNOWN, BatteryScale
from services.recorder.influx_points import groups, lines
from services.recorder.influx_writer import AwayError, InfluxWriter, RefusedError
from services.recorder.journal import JournalError
from services.recorder.upkeep import FEED, HOURS_FEED, STATES_FEED

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
"""Real seconds: the waits between two attempts double from the first to this, shortened at random by up to a half."""
IDLE_S = 60.0
"""Real seconds after which the journal is looked at again even if nothing was committed."""
YIELD_S = 0.005
"""Real seconds between two batches of a backlog, which belong to live readings."""
PRESENT_S = 60.0
"""Real seconds between two tellings of what is so just now."""
HOURS = 500
"""In one request."""


class Feed:
    """One InfluxDB."""

    def __init__(
        self,
        settings: InfluxFeed,
        station: str,
        var: Path,
        history: History,
        clock: Clock,
        random: Random,
        *,
        settled_ms: Callable[[], int],
        health: Callable[[str | None], None],
        tell: Callable[[str], None],
        scale: BatteryScale = NOTHING_KNOWN,
        present: Callable[[], list[str]] = list,
    ) -> None:
        """`present` gives the points of what is so just now; it may block."""
        self._settings = settings
        self._history = history
        self._clock = clock
        self._random = random
        self._settled_ms = settled_ms
        self._health = health
        self._tell = tell
        self._station = station
        self._cut = groups(station)
        self._news = asyncio.Event()
        self._limit = self._state_limit = settings.batch_rows
        self._writer = InfluxWriter(settings, var)
        self._scale = scale
        self._present = present
        self._present_at = clock.monotonic()
        self.cursor: Cursor | None = None
        """How far InfluxDB has taken everything; None until the journal has been asked."""
        self.state_number: int | None = None
        """The last of what was said, by its number in the journal, that InfluxDB has taken."""
        self.hours: Cursor | None = None
        """How far InfluxDB has taken whole hours."""
        self.fed_points = 0
        self._drops_told = False

    def committed(self) -> None:
        """There is news in the journal."""
        self._news.set()

    async def run(self) -> None:
        """Feed until cancelled."""
        failures = 0
        while True:
            try:
                more = await self._step()
            except (AwayError, JournalError, NoSecret) as error:
                failures += 1
                self._health(f"InfluxDB at {self._settings.url} gets nothing for now, and nothing is lost: {error}")
                longest_s = min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 20), LONGEST_WAIT_S)
                await self._clock.sleep(longest_s * self._random.uniform(0.5, 1.0))
                continue
            failures = 0
            self._health(None)
            if more:
                await self._clock.sleep(YIELD_S)
            else:
                await self._idle()

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    async def _step(self) -> bool:
        """Carry one batch over of readings, of hours and of what was said. Whether there is more at once."""
        await self._carry_present()
        more = await self._carry_readings()
        if not more:  # a backlog of readings is not held up by what comes once an hour
            more = await self._carry_hours()
        return await self._carry_states() or more

    async def _carry_present(self) -> None:
        if self._clock.monotonic() < self._present_at:
            return
        self._present_at = self._clock.monotonic() + PRESENT_S
        try:
            await self._send(await asyncio.to_thread(self._present))
        except RefusedError as error:
            self._tell(f"InfluxDB refuses what is so just now, which is passed over: {error}")

    async def _carry_hours(self) -> bool:
        if self.hours is None:
            saved = await asyncio.to_thread(self._history.feed_cursor, HOURS_FEED)
            self.hours = Cursor.parse(saved) if saved else Cursor(0, 0, 0)
        page = await asyncio.to_thread(self._history.follow_hours, self.hours, HOURS)
        try:
            await self._send(list(influx_hours.lines(page.hours, self._station, self._scale)))
        except RefusedError as error:
            self._tell(f"InfluxDB refuses {len(page.hours)} hours of energy, which are passed over: {error}")
        self.hours = page.cursor
        return page.more

    async def _carry_readings(self) -> bool:
        if self.cursor is None:
            saved = await asyncio.to_thread(self._history.feed_cursor, FEED)
            self.cursor = Cursor.parse(saved) if saved else (await asyncio.to_thread(self._history.follow, None, 0, 0)).cursor
        page = await asyncio.to_thread(self._history.follow, str(self.cursor), self._limit, self._settled_ms())
        try:
            await self._send(list(lines(page.rows, self._cut)))
        except RefusedError as error:
            if len(page.rows) > 1:
                self._limit = max(len(page.rows) // 2, 1)  # to find the one that is at fault
                return True
            self._tell(f"InfluxDB refuses the reading of {page.rows[0][0]} ms since 1970, which is passed over: {error}")
        self._limit = min(self._limit * 2, self._settings.batch_rows)
        self.cursor = page.cursor
        return page.more

    async def _carry_states(self) -> bool:
        if self.state_number is None:
            self.state_number = int(await asyncio.to_thread(self._history.feed_cursor, STATES_FEED) or 0)
        found = await asyncio.to_thread(self._history.states_after, self.state_number, self._state_limit)
        if not found:
            return False
        try:
            await self._send([point for _, topic, ts_ms, text in found for point in self._said(topic, ts_ms, text)])
        except RefusedError as error:
            if len(found) > 1:
                self._state_limit = max(len(found) // 2, 1)
                return True
            self._tell(f"InfluxDB refuses what was said as {found[0][1]}, which is passed over: {error}")
        more = len(found) == self._state_limit
        self._state_limit = min(self._state_limit * 2, self._settings.batch_rows)
        self.state_number = found[-1][0]
        return more

    def _said(self, topic: str, ts_ms: int, payload: str) -> list[str]:
        try:
            return list(influx_states.lines([(topic, ts_ms, payload)], self._station))
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # of an earlier version, or recovered from a damaged file
            log.warning("not fed to InfluxDB: %s of %d ms since 1970: %r", topic, ts_ms, error)
            return []

    async def _send(self, points: list[str]) -> None:
        dropped = await asyncio.to_thread(self._writer.write, points)
        self.fed_points += len(points)
        if dropped is not None and not self._drops_told:
            self._drops_told = True
            self._tell(
                f"InfluxDB drops what is older than its bucket keeps, which stays in the journal ({dropped}); "
                f"to keep more: `sps influx setup --keep-days`"
            )
