"""The PV forecast's shell: reads the configured file or address now and then, and tells when it cannot."""

import asyncio
import logging
from datetime import datetime
from pathlib import Path
from time import monotonic

import requests

from services.bus.client import Bus
from services.bus.clock import Clock
from services.core.config.forecast import PvForecastSection
from services.core.pv_forecast import BadForecast, Forecast, parse

log = logging.getLogger(__name__)

MAX_BYTES = 262_144
LEAST_PAUSE_S = 5.0
"""Real seconds between two looks, however fast station time runs."""
WHOLE_TIMES = 3.0
"""The whole of an answer may take so many times the time-out of one of its words."""


class ForecastFeed:
    """Holds the last forecast that was to be had."""

    def __init__(self, section: PvForecastSection, clock: Clock, bus: Bus) -> None:
        self._section = section
        self._clock = clock
        self._bus = bus
        self._forecast: Forecast | None = None
        self._fetched_at: datetime | None = None

    def fresh(self, now: datetime) -> Forecast | None:
        """The forecast, unless there is none or it was fetched too long ago."""
        if self._forecast is None or self._fetched_at is None or now - self._fetched_at > self._section.stale_after:
            return None
        return self._forecast

    async def run(self) -> None:
        """Look again and again, until cancelled. Returns at once where no source is configured."""
        source = self._section.source
        if source is None:
            return
        await self._bus.wait_clock()
        while True:
            await self._look(source)
            every_s = self._section.every.total_seconds() / max(1.0, self._clock.speed)
            await self._clock.sleep(max(LEAST_PAUSE_S, every_s))

    async def _look(self, source: str) -> None:
        try:
            text = await asyncio.to_thread(read, source, self._section.timeout_s)
            self._forecast, self._fetched_at = parse(text), self._clock.now()
        except (OSError, BadForecast, UnicodeDecodeError) as error:
            kept = "the last one holds until it is too old" if self.fresh(self._clock.now()) is not None else "the learnt hours hold"
            self._bus.report(
                f"the PV forecast cannot be used: {error}",
                field="pv_forecast.source",
                value=source[:80],
                remedy=f"mend it, or leave the source out; meanwhile {kept}",
            )
        else:
            log.debug("the PV forecast names %d hours", len(self._forecast))


def read(source: str, timeout_s: float) -> str:
    """The text at an address or in a file. Raises OSError (as all of requests' errors are), BadForecast and UnicodeDecodeError."""
    if not source.startswith(("http://", "https://")):
        with Path(source).open("rb") as file:
            return _text(file.read(MAX_BYTES + 1))
    until = monotonic() + WHOLE_TIMES * timeout_s
    data = b""
    with requests.get(source, timeout=timeout_s, stream=True) as answer:
        answer.raise_for_status()
        for part in answer.iter_content(16_384):
            data += part
            if monotonic() > until:
                raise BadForecast(f"the answer takes longer than {WHOLE_TIMES * timeout_s:g} s")
            if len(data) > MAX_BYTES:
                break
    return _text(data)


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise BadForecast(f"it is longer than {MAX_BYTES} bytes")
    return data.decode("utf-8-sig")
