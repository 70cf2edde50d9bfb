"""Policies side by side in processes of their own, with their progress told here."""

import multiprocessing as mp
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from ctypes import c_double
from typing import Any

from services.backtest.contest import Contest, Held, hold

_SHOWN_EVERY_S = 0.2
_shares: Any = None
"""In a worker: the share done of each policy, in shared memory."""


def hold_all(
    contest: Contest, policies: Sequence[str], told: Callable[[int, float], None] = lambda _, __: None, *, workers: int | None = None
) -> dict[str, tuple[Held, ...]]:
    """`hold` for each of `policies`, over as many cores as there are. `told` gets a policy's index and the share done."""
    workers = min(len(policies), workers or mp.cpu_count())
    if workers <= 1:
        return {policy: hold(contest, policy, lambda share, i=i: told(i, share)) for i, policy in enumerate(policies)}  # type: ignore[misc]
    context = mp.get_context("spawn")
    shares: Any = context.Array(c_double, len(policies), lock=False)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(shares,)) as pool:
        running = {pool.submit(_hold, contest, policy, i): policy for i, policy in enumerate(policies)}
        left = set(running)
        while left:
            _, left = wait(left, timeout=_SHOWN_EVERY_S, return_when=FIRST_COMPLETED)
            for i, share in enumerate(shares):
                told(i, float(share))
        return {policy: future.result() for future, policy in running.items()}


def _begin(shares: Any) -> None:
    global _shares  # noqa: PLW0603 - a pool hands shared memory to its workers in no other way
    _shares = shares


def _hold(contest: Contest, policy: str, index: int) -> tuple[Held, ...]:
    def progress(share: float) -> None:
        if _shares is not None:
            _shares[index] = share

    return hold(contest, policy, progress)
