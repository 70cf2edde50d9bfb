"""Carries what is shared to the aggregator: in order per kind, each record at least once, for as long as it takes."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random
from types import MappingProxyType
from typing import Any

from services.bus.uplink.batches import KINDS, Kind, batches_path, data_path, stations_path
from services.core.consent import Grants
from services.core.sharing import shared
from services.core.sharing_fields import RecordKind
from services.gateway.aggregator_link import positions
from services.gateway.aggregator_link.collecting import Batch, Collector, digest
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.gate import Gate
from services.gateway.aggregator_link.making_ahead import Collect, MakingAhead
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.posting import Letter, Poster
from services.gateway.aggregator_link.progress import Followed, Progress
from services.gateway.aggregator_link.results import Outcome, Result
from services.gateway.problems import ApiError

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 900.0
"""Real seconds between two attempts: doubling, shortened at random by up to a half, so that a fleet does not come back as one."""
IDLE_S = 60.0
"""Real seconds after which the recorder is asked again for news."""
EVENTS_AT_ONCE = 50
FOLLOWED = timedelta(days=60)
"""So long after its start an event's figures are looked at: later they no longer change."""


KIND: Mapping[str, Kind] = MappingProxyType({kind: kind for kind in KINDS})


class _Away(Exception):
    """Nothing more goes out for now."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class _Changed(Exception):
    """What is shared has changed: begin anew with what holds now."""


def _raise(result: Result) -> None:
    """What ends this round."""
    if result.outcome is Outcome.WITHDRAWN:
        raise _Changed
    if result.outcome is Outcome.LATER:
        raise _Away(result.detail, result.retry_after_s)


class Uploader:
    """Belongs to the event loop; only sending and packing are done in threads."""

    def __init__(
        self,
        collector: Collector,
        poster: Poster,
        consent: ConsentBook,
        random: Random,
        *,
        batch_records: int,
        followed: Followed,
        able: Mapping[str, Any],
        tell: Callable[[str, str], None],
    ) -> None:
        """`able` is what the station can do; `tell` gives the person a message and its remedy."""
        self._collector, self._poster, self._consent, self._random = collector, poster, consent, random
        self._sent, self._clock = poster.sent, poster.clock
        self._most = self._limit = batch_records
        self._followed, self._able, self._tell = followed, able, tell
        self._places = positions.Positions.read(poster.sent.place())
        self._seen: dict[str, str] = {}
        self._begun: dict[str, tuple[Batch, int | None]] = {}
        """Batches that were begun and not taken, by kind, with their number in the log of what was sent."""
        self._in_doubt = True
        """Whether only the log knows what was begun: after a start, and when it could not be written."""
        self._wake = asyncio.Event()
        self._gate = Gate(consent.gate)
        self.progress = Progress()
        consent.on_change(self._consent_changed)

    def news(self) -> None:
        """There may be something new to send."""
        self._wake.set()

    def _consent_changed(self) -> None:
        self._gate.closed.set()
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        try:
            while True:
                try:
                    await self._round()
                except _Changed:
                    continue
                except (_Away, ApiError, OSError) as away:
                    failures += 1
                    self._in_doubt |= isinstance(away, OSError)
                    self._say("waiting", f"{away}; nothing is lost, and it is tried again")
                    await self._wait(self._pause_s(failures, getattr(away, "wait_s", None)), wakes=False)
                else:
                    failures = 0
                    self._say("idle" if self._consent.grants.begins(RecordKind.EVENT) else "off", "")
                    await self._wait(IDLE_S, wakes=True)
        finally:
            self._gate.closed.set()

    def _pause_s(self, failures: int, asked_s: float | None) -> float:
        if asked_s is not None:
            return max(asked_s, FIRST_WAIT_S) * self._random.uniform(1.0, 1.2)
        return min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 20), LONGEST_WAIT_S) * self._random.uniform(0.5, 1.0)

    async def forget(self) -> Result:
        """Ask the aggregator to delete what it has of this station."""
        # Over a connection of its own, and through a gate that never closes: it shares nothing.
        poster = replace(self._poster, sender=self._poster.sender.another())
        letter = Letter("DELETE", data_path(self._collector.name), Packed.of(b""), "deletion request", 0)
        result, _ = await asyncio.to_thread(poster.post, letter, Gate(lambda: 0))
        poster.sender.close()
        return result

    async def _round(self) -> None:
        """Everything there is to send now."""
        self._gate = Gate(self._consent.gate)
        grants = self._consent.grants
        if self._in_doubt:
            await asyncio.to_thread(self._take_up)
            self._in_doubt = False
        await asyncio.to_thread(self._give_up_what_is_old)
        self._drop_what_is_not_shared(grants)
        await self._register(grants)
        await self._send_events(grants)
        await self._follow("hourly", lambda place: self._collector.hours(place, grants, self._clock.now(), self._limit))
        await self._follow("full", lambda place: self._collector.full(place, grants, self._limit))

    def _drop_what_is_not_shared(self, grants: Grants) -> None:
        gone = {name: None for name, kind in (("full", RecordKind.FULL), ("hourly", RecordKind.HOURLY)) if grants.begins(kind) is None}
        changes: dict[str, Any] = {name: None for name in gone if getattr(self._places, name) is not None}
        if grants.begins(RecordKind.EVENT) is None and (self._places.events or self._places.registered):
            changes |= {"events": {}, "registered": ""}
            self._seen.clear()
        if changes:
            self._places = self._places.model_copy(update=changes)
            self._sent.move(self._places.text())

    def _take_up(self) -> None:
        """What was begun is gone on with, if it may still leave."""
        self._begun.clear()
        for number, kind, resume, records, body in self._sent.unfinished():
            try:
                batch = Batch.resumed(KIND[kind], records, body, resume)
            except (KeyError, ValueError):
                self._sent.end(number, "given up: it cannot be gone on with")
                continue
            if kind in self._begun or batch.epoch != self._consent.gate():
                self._sent.end(number, "given up: made anew")
                continue
            self._begun[kind] = batch, number

    def _give_up_what_is_old(self) -> None:
        for kind, (batch, number) in list(self._begun.items()):
            if batch.epoch != self._consent.gate():
                del self._begun[kind]
                if number is not None:
                    self._sent.end(number, Outcome.WITHDRAWN.value)

    async def _register(self, grants: Grants) -> None:
        able = shared(RecordKind.REGISTRATION, self._able, grants)
        now = self._consent.life.now
        if able is None or now is None:
            return
        content = {"v": 1, "network": self._collector.network, "level": now.level.value, **able}
        if self._places.registered == (wanted := digest(content)):
            return
        body = Packed.of(json.dumps(content, separators=(",", ":")).encode())
        moved = self._places.model_copy(update={"registered": wanted})
        letter = Letter("PUT", stations_path(self._collector.name), body, "registration", 1, moved=moved.text())
        result, _ = await asyncio.to_thread(self._poster.post, letter, self._gate)
        _raise(result)
        if result.outcome is not Outcome.TAKEN:
            self._set_aside("the station's registration", result.detail)
        self._places = moved

    async def _send_events(self, grants: Grants) -> None:
        if grants.begins(RecordKind.EVENT) is None:
            return
        if (begun := self._begun.get("event")) is not None and not await self._post(begun[0]):
            raise _Changed
        oldest = self._clock.now() - FOLLOWED
        found: dict[str, dict[str, Any]] = {}
        stamps: dict[str, str] = {}
        for event_id, start in list(self._followed.ids()):
            stamp = f"{self._followed.stamp(event_id)} {grants.epoch}"
            if self._seen.get(event_id) == stamp or (start is not None and start < oldest):
                continue
            stamps[event_id] = stamp
            record = await self._collector.event(event_id, grants)
            if record is not None and self._places.events.get(event_id) != digest(record):
                found[event_id] = record
            if len(found) >= min(EVENTS_AT_ONCE, self._limit):
                self._wake.set()  # there may be more
                break
        if found and not await self._post(self._collector.events(found, grants)):
            raise _Changed  # too large: the same again, fewer at once
        self._seen |= stamps

    async def _follow(self, kind: Kind, collect: Collect) -> None:
        """Send batch after batch; while one is under way, the next ones are made."""
        begun = self._begun.get(kind)
        first = None if begun is None else begun[0]
        while True:
            making = MakingAhead(collect, getattr(self._places, kind), first)
            try:
                while (batch := await making.next()) is not None:
                    if not await self._post(batch):
                        break  # too large: the same again, in smaller pieces
                else:
                    return
            finally:
                await making.close()
            first = None

    async def _post(self, batch: Batch) -> bool:
        """Send one batch and move on; False if it was too large. Raises _Away and _Changed."""
        if batch.epoch != self._consent.gate():
            raise _Changed
        changes: dict[str, Any] = {} if batch.place is None else {batch.kind: batch.place}
        if batch.events is not None:
            changes["events"] = {**self._places.events, **batch.events}
        moved = self._places.model_copy(update=changes)
        if batch.records:
            self._say("sending", "", batch)
            result = await self._send_batch(batch, moved)
            if result.outcome is Outcome.TOO_LARGE and batch.records > 1:
                self._limit = max(batch.records // 2, 1)
                return False
            if result.outcome in (Outcome.TOO_LARGE, Outcome.REFUSED):
                self._set_aside(f"{batch.records} records of kind {batch.kind}", result.detail)
            else:
                self._limit = min(self._limit * 2, self._most)
        else:
            await asyncio.to_thread(self._sent.move, moved.text())
        self._places = moved
        if batch.until is not None:
            self.progress.until = batch.until
        return True

    async def _send_batch(self, batch: Batch, moved: positions.Positions) -> Result:
        _, number = self._begun.get(batch.kind, (batch, None))
        # Kept until it is settled: whatever ends this attempt, the next one sends the same bytes under the same key.
        self._begun[batch.kind] = batch, number
        letter = Letter(
            "POST",
            batches_path(self._collector.name),
            batch.body,
            batch.kind,
            batch.records,
            key=batch.key,
            resume=batch.resume(),
            moved=moved.text(),
            splits=batch.records > 1,
        )
        result, number = await asyncio.to_thread(self._poster.post, letter, self._gate, number)
        if result.outcome is Outcome.LATER:
            self._begun[batch.kind] = batch, number
        _raise(result)
        del self._begun[batch.kind]
        return result

    def _set_aside(self, what: str, why: str) -> None:
        self._tell(f"the aggregator refuses {what}: {why}", "it is set aside, and stays in the log of what was sent; what follows goes on")

    def _say(self, state: str, detail: str, batch: Batch | None = None) -> None:
        if state == "waiting" and (self.progress.state, self.progress.detail) != (state, detail):
            log.warning("aggregator at %s: %s", self._poster.receiver, detail)
        self.progress.state, self.progress.detail = state, detail
        if batch is not None or state in ("idle", "off"):
            self.progress.pending, self.progress.more = (batch.records, batch.more) if batch is not None else (0, False)

    async def _wait(self, seconds: float, *, wakes: bool) -> None:
        """Wait; news cut an idle wait short, a change of what is shared cuts any."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
            if not self._wake.is_set():
                return
            self._wake.clear()
            if wakes or self._gate.closed.is_set():
                return
