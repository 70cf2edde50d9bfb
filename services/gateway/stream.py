"""Server-sent events: each open page gets the full state at once, then what changed, at most twice a second."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass

LOOK_EVERY_S = 0.5
BEAT_EVERY_S = 5.0
"""A page that hears nothing for longer than two beats knows that what it shows is no longer true."""
MAX_CLIENTS = 32


class Full(Exception):
    """As many pages as may be are open."""


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of event: its JSON, and a key that changes when the JSON may have."""

    name: str
    key: Callable[[], Hashable]
    render: Callable[[], str]


class Stream:
    """Renders each source once for all clients, and only while there are any. A slow client misses states, never piles them up."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = sources
        self._rendered: dict[str, tuple[Hashable, bytes]] = {}
        self._closing = asyncio.Event()
        self._clients = 0

    def close(self) -> None:
        """End all streams."""
        self._closing.set()

    def admit(self) -> AsyncIterator[bytes]:
        """One client's stream. Raises Full."""
        if self._clients >= MAX_CLIENTS:
            raise Full
        return self._frames()

    async def _frames(self) -> AsyncIterator[bytes]:
        self._clients += 1
        sent: dict[str, bytes] = {}
        quiet_s = 0.0
        try:
            yield b"retry: 2000\n\n"
            while not self._closing.is_set():
                for source in self._sources:
                    # What was rendered for others may carry an old time of day.
                    frame = self._frame(source, afresh=source.name not in sent)
                    if sent.get(source.name) is not frame:
                        sent[source.name] = frame
                        quiet_s = 0.0
                        yield frame
                if quiet_s >= BEAT_EVERY_S:
                    quiet_s = 0.0
                    yield b"event: beat\ndata: {}\n\n"
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._closing.wait()
                quiet_s += LOOK_EVERY_S
        finally:
            self._clients -= 1

    def _frame(self, source: Source, *, afresh: bool) -> bytes:
        key = source.key()
        known = self._rendered.get(source.name)
        if afresh or known is None or known[0] != key:
            known = (key, f"event: {source.name}\ndata: {source.render()}\n\n".encode())
            self._rendered[source.name] = known
        return known[1]
