"""One thread writes: what waits together is committed together, and only then said to be kept."""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

T = TypeVar("T")

MOST_WAITING = 2_000
MOST_TOGETHER = 500

log = logging.getLogger(__name__)


class Busy(Exception):
    """Too much waits to be written already, or nothing can be; nothing was kept."""


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.done: Future[T] = Future()


class Writer:
    """Runs jobs in the order in which they came, many in one transaction, each behind a savepoint of its own.

    One fsync then serves all that came meanwhile: a thousand small batches cost about as much as ten large ones.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(writes=True)
        self._waiting: queue.Queue[_Job[Any] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="aggregator: writer", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns or raises, once it is on disk. Raises Busy, and SQLAlchemyError where the database refuses."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[Connection], T]) -> "Future[T]":
        """The same for callers without a loop. Raises Busy."""
        job = _Job(work)
        try:
            self._waiting.put_nowait(job)
        except queue.Full:
            raise Busy("more is waiting to be written than can be") from None
        return job.done

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs, ended = self._gather()
            if jobs:
                self._write(jobs)
            if ended:
                return

    def _gather(self) -> tuple[list[_Job[Any]], bool]:
        first = self._waiting.get()
        jobs: list[_Job[Any]] = []
        with contextlib.suppress(queue.Empty):
            while first is not None:
                jobs.append(first)
                if len(jobs) >= MOST_TOGETHER:
                    return jobs, False
                first = self._waiting.get_nowait()
            return jobs, True
        return jobs, False

    def _write(self, jobs: list[_Job[Any]]) -> None:
        outcomes: list[tuple[_Job[Any], Any, Exception | None]] = []
        try:
            with self._engine.begin() as connection:
                outcomes.extend(self._try(connection, job) for job in jobs if job.done.set_running_or_notify_cancel())
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
            log.error("the database cannot be written: %s", getattr(error, "orig", error))  # noqa: TRY400 - the trace would say nothing
            for job in jobs:
                # Whoever has given up waiting meanwhile need not hear of it.
                with contextlib.suppress(InvalidStateError):
                    job.done.set_exception(Busy("the database cannot be written"))
            return
        for job, result, failure in outcomes:
            if failure is None:
                job.done.set_result(result)
            else:
                job.done.set_exception(failure)

    @staticmethod
    def _try(connection: Connection, job: _Job[Any]) -> tuple[_Job[Any], Any, Exception | None]:
        savepoint = connection.begin_nested()
        try:
            result = job.work(connection)
        except SQLAlchemyError as error:
            if getattr(error, "connection_invalidated", False):
                raise
            savepoint.rollback()
            return job, None, error
        except Exception as error:  # noqa: BLE001 - the job's own, handed to whoever waits for it
            savepoint.rollback()
            return job, None, error
        savepoint.commit()
        return job, result, None
