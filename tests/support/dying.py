"""`python -m tests.support.dying FILE VAR N [FILE VAR N …]`: controllers that die in the middle of writing their state.

For each triple one controller is forked whose process sends SIGKILL to itself at the N-th step of writing a file (N = 0: never), and
then an ordinary one, its successor, on the same state. A step is one of: the file opened, half of it written, all of it, flushed, before
and after fsync, before and after the rename, before and after the folder's fsync. Ends when its standard input is closed.
"""

import asyncio
import os
import pathlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from services.bus import state_file
from services.bus.runtime import load_station, make_context, set_up_logging
from services.controller.service import run

STEPS_A_SAVE = 10
"""Steps of one write."""


class _Dying:
    """Counts the steps, and ends the process at one of them: nothing is cleaned up."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(self) -> None:
        """From now on the calls by which `state_file` writes are counted."""
        step, real_open, real_replace, real_fsync = self.step, pathlib.Path.open, pathlib.Path.replace, os.fsync

        class File:
            def __init__(self, path: Path) -> None:
                self._file = real_open(path, "wb")
                step()

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                self._file.close()

            def write(self, data: bytes) -> None:
                self._file.write(data[: len(data) // 2])
                self._file.flush()
                step()
                self._file.write(data[len(data) // 2 :])
                step()

            def flush(self) -> None:
                self._file.flush()
                step()

            def fileno(self) -> int:
                return self._file.fileno()

        class Os:
            def __getattr__(self, name: str) -> Any:
                return getattr(os, name)

            def fsync(self, number: int) -> None:
                step()
                real_fsync(number)
                step()

        def replace(path: Path, to: Path) -> None:
            step()
            real_replace(path, to)
            step()

        def opened(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
            return File(path) if mode == "wb" else real_open(path, mode, *rest, **more)

        state_file.os = Os()  # type: ignore[assignment, attr-defined]
        pathlib.Path.open = opened  # type: ignore[assignment, method-assign]
        pathlib.Path.replace = replace  # type: ignore[assignment, method-assign]


def _fork(work: Callable[[], None]) -> int:
    if (child := os.fork()) != 0:
        return child
    try:
        work()
    finally:
        os._exit(0)


def _control(file: Path, var: Path, dies_at: int) -> None:
    if dies_at:
        _Dying(dies_at).arm()
    asyncio.run(run(make_context(load_station(file), var)))


def main() -> None:
    """See the module."""
    set_up_logging("warning", "dying")
    triples = [(Path(file), Path(var), int(n)) for file, var, n in zip(*[iter(sys.argv[1:])] * 3, strict=True)]
    # Its successor is forked by a child of its own, so that none of them needs a thread here.
    children = [_fork(lambda file=file, var=var, n=n: _live_on(file, var, n)) for file, var, n in triples]  # type: ignore[misc]
    sys.stdin.read()
    for child in children:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _live_on(file: Path, var: Path, dies_at: int) -> None:
    os.setpgid(0, 0)
    first = _fork(lambda: _control(file, var, dies_at))
    _, code = os.waitpid(first, 0)
    (var / "died").write_text(str(code), encoding="utf-8")
    _control(file, var, 0)


if __name__ == "__main__":
    main()
