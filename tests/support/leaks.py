"""What a process holds, before and after a thousand failures."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

FAILURES = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """Threads, files and sockets, tasks of whatever loop, resident memory."""

    threads: int
    files: int
    tasks: int
    memory_mib: float

    @classmethod
    def now(cls) -> "Held":
        """By this process."""
        gc.collect()
        tasks = sum(isinstance(found, asyncio.Task) and not found.done() for found in gc.get_objects())
        files = len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
        return cls(threading.active_count(), files, tasks, psutil.Process().memory_info().rss / 2**20)

    def assert_no_more_than(self, before: "Held", *, more: int = 1, grown_mib: float = 12.0) -> None:
        """`more` is for whatever happens to be under way."""
        assert self.threads <= before.threads + more
        assert self.files <= before.files + more
        assert self.tasks <= before.tasks + more
        assert self.memory_mib < before.memory_mib + grown_mib


def run_alone(module: str, *arguments: str, within_s: float) -> None:
    """Run `module` with `arguments` in a process of its own: what other tests let go of meanwhile would count as its."""
    alone = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=within_s, check=False)
    assert alone.returncode == 0, alone.stderr


def threads_for(calls: int) -> None:
    """Let `asyncio.to_thread` make so many calls at a time; its own pool has fewer threads on a small machine."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(calls))


def failures(call: Callable[[], object], times: int, kind: type[Exception]) -> int:
    """How often `call` raised `kind`."""
    failed = 0
    for _ in range(times):
        try:
            call()
        except kind:
            failed += 1
    return failed


def assert_works_again(call: Callable[[], object], kind: type[Exception], within_s: float = 15.0) -> None:
    """`call` comes to succeed by itself."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            call()
        except kind:
            if time.monotonic() > deadline:
                raise
        else:
            return
