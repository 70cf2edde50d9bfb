"""What the journal needs besides commits: rollups, retention, a vacuum, the recovery of a damaged predecessor. In slices."""

import logging
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

from services.bus.clock import Clock
from services.recorder import day_table, keeping, recovery, retention
from services.recorder.following import Cursor
from services.recorder.journal import REACH_MS, Journal
from services.recorder.recovery import Recovery

log = logging.getLogger(__name__)

RETENTION_EVERY_S = 3600.0
"""Real seconds between two looks for readings that are old enough to go."""
SAVE_CURSOR_S = 600.0
"""Real seconds between two notes of how far the feed has come; after a crash so much is fed again, which changes nothing."""
FEED = "influx"
STATES_FEED = "influx states"
HOURS_FEED = "influx hours"


class Upkeep:
    """Called in the journal's thread whenever there is time; each slice takes about `keeping.SLICE_S`."""

    def __init__(
        self,
        clock: Clock,
        raw_days: int,
        *,
        zone: ZoneInfo,
        max_gap_s: Callable[[], float],
        fed: Callable[[], Cursor | None] | None = None,
        fed_states: Callable[[], int | None] = lambda: None,
        fed_hours: Callable[[], Cursor | None] = lambda: None,
        health: Callable[[str, str | None], None] = lambda *_: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`fed`, `fed_states` and `fed_hours` say how far the feed has come; None: there is none.

        `health` and `tell` are called in the journal's thread.
        """
        self._clock = clock
        self._zone = zone
        self._raw = timedelta(days=raw_days)
        self._max_gap_s = max_gap_s
        self._fed = fed
        self._fed_states = fed_states
        self._fed_hours = fed_hours
        self._health = health
        self._tell = tell
        self._recoveries: list[Recovery] | None = None
        self._saved: Cursor | None = None
        self._noted: list[tuple[str, str]] = []
        self._save_at = clock.monotonic() + SAVE_CURSOR_S
        self._retain_at = clock.monotonic()
        self._unfed = 0

    def opened(self) -> None:
        """Another file has been opened: there may be something to recover for it."""
        self._recoveries = None

    def reach_ms(self) -> int:
        """How far into the hour before a reading may reach."""
        return max(round(self._max_gap_s() * 1000), REACH_MS)

    def slice(self, journal: Journal) -> bool:
        """Do what is most urgent. Whether there is more to do. Raises JournalError."""
        if self._recover(journal):
            return True
        if keeping.keep_up(journal, self._max_gap_s(), self.reach_ms()) or day_table.keep_days(journal, self._zone):
            return True
        self.save_cursor(journal, due=self._clock.monotonic() >= self._save_at)
        return self._clock.known and self._clock.monotonic() >= self._retain_at and self._retain(journal)

    def save_cursor(self, journal: Journal, *, due: bool = True) -> None:
        """Note how far the feed has come, if it has come further. Raises JournalError."""
        cursor = None if self._fed is None else self._fed()
        come = ((FEED, cursor), (STATES_FEED, self._fed_states()), (HOURS_FEED, self._fed_hours()))
        noted = [(name, str(value)) for name, value in come if value is not None]
        if not due or noted == self._noted:
            return
        with journal.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO feed VALUES (?, ?)", noted)
        self._saved, self._noted = cursor, noted
        self._save_at = self._clock.monotonic() + SAVE_CURSOR_S

    def _recover(self, journal: Journal) -> bool:
        if self._recoveries is None:
            try:
                self._recoveries = [Recovery(path) for path in recovery.left_to_do(journal)]
            except OSError as error:
                self._recoveries = []
                self._tell(f"a damaged journal that was set aside cannot be read: {error}")
        if not self._recoveries:
            return False
        current = self._recoveries[0]
        if current.slice(journal):
            self._health("recovery", current.progress())
            return True
        self._recoveries.pop(0)
        self._health("recovery", None)
        self._tell(current.summary())
        return True

    def _retain(self, journal: Journal) -> bool:
        now = self._clock.now()
        fed = None if self._fed is None else self._saved or Cursor(0, 0, 0)
        dropped = retention.drop_slice(journal, now, retention.Kept(self._raw, fed))
        self._unfed += dropped.unfed
        wait = f"readings older than {self._raw.days} days are kept until InfluxDB has taken them, at most as long again"
        self._health("retention", wait if dropped.waiting else None)
        if dropped.more:
            return True
        if self._unfed:
            self._tell(f"{self._unfed} readings older than {2 * self._raw.days} days were dropped; InfluxDB never took them")
            self._unfed = 0
        if retention.vacuum_slice(journal, now):
            return True
        self._retain_at = self._clock.monotonic() + RETENTION_EVERY_S
        return False
