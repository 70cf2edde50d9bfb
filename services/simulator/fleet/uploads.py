"""Uploads of a crowd: a few HTTP connections, shared by all, and patience with an aggregator that asks for it."""

import gzip
import logging
import queue
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import requests

from services.bus.uplink.batches import EventBatch, HourBatch, Registration, batches_path, idempotency_key, stations_path
from services.simulator.fleet.crowd import Credentials

WORKERS = 8
TIMEOUT_S = 20
TRIES = 8
LONGEST_WAIT_S = 30.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sent:
    """What came of the uploads."""

    requests: int = 0
    records: int = 0
    repeated: int = 0
    failed: int = 0
    hours_until: dict[str, datetime] = field(default_factory=dict)
    """By station: until when the aggregator has acknowledged its hours."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Uploads:
    """Takes registrations and batches, and sends them from threads of its own."""

    def __init__(self, url: str, workers: int = WORKERS, ca_file: Path | None = None) -> None:
        self.sent = Sent()
        self._url = url.rstrip("/")
        self._believed = True if ca_file is None else str(ca_file)
        self._waiting: queue.Queue[tuple[Credentials, Registration | EventBatch | HourBatch] | None] = queue.Queue()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, name=f"fleet: upload {number}", daemon=True) for number in range(workers)]
        for thread in self._threads:
            thread.start()

    def add(self, who: Credentials, what: Registration | EventBatch | HourBatch) -> None:
        """Send it as soon as there is a connection free."""
        self._waiting.put((who, what))

    @property
    def left(self) -> int:
        """How many have yet to be sent, or are under way."""
        return max(0, self._waiting.unfinished_tasks - (len(self._threads) if self._ended.is_set() else 0))

    def close(self) -> None:
        """End; what waits is dropped."""
        self._ended.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    def _work(self) -> None:
        with requests.Session() as session:
            # Nothing of the surroundings, such as a proxy or a .netrc, has a place between a station and its aggregator.
            session.trust_env = False
            session.verify = self._believed
            while (job := self._waiting.get()) is not None:
                if self._ended.is_set():
                    continue
                self._send(session, *job)
                self._waiting.task_done()

    def _send(self, session: requests.Session, who: Credentials, what: Registration | EventBatch | HourBatch) -> None:
        body = what.model_dump_json(exclude_none=True).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {who.http}"}
        method, path, records = "PUT", stations_path(who.name), 0
        if not isinstance(what, Registration):
            method, path, records = "POST", batches_path(who.name), len(what.records)
            headers |= {
                "Idempotency-Key": idempotency_key(who.name, what.kind, what.cursor, what.cursor, 0, body),
                "Content-Encoding": "gzip",
            }
            body = gzip.compress(body, 1, mtime=0)
        for tried in range(TRIES):
            wait_s = min(LONGEST_WAIT_S, 0.5 * 2**tried)
            try:
                answer = session.request(method, self._url + path, data=body, headers=headers, timeout=TIMEOUT_S)
            except requests.RequestException as error:
                log.debug("%s: %s", who.name, error)
            else:
                if answer.status_code < 300:
                    self._count(who, what, records, repeated=tried > 0)
                    return
                if answer.status_code not in (429, 503):
                    log.warning("%s: refused with %d: %s", who.name, answer.status_code, answer.text[:200])
                    break
                wait_s = float(answer.headers.get("Retry-After", wait_s))
            if self._ended.wait(wait_s):
                return
        with self.sent.lock:
            self.sent.failed += 1

    def _count(self, who: Credentials, what: Registration | EventBatch | HourBatch, records: int, *, repeated: bool) -> None:
        with self.sent.lock:
            if isinstance(what, HourBatch):
                self.sent.hours_until[who.name] = what.records[-1].start + timedelta(hours=1)
            self.sent.requests += 1
            self.sent.records += records
            self.sent.repeated += repeated
