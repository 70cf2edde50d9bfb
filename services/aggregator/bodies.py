"""Request bodies within bounds: read no more than allowed, and unpack no more than allowed."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator

from starlette.requests import Request

LONG_SENT_BYTES = 20_000
"""A longer one waits for room before it is read."""
LARGE_BYTES = 50_000
"""A larger one, unpacked, waits for room, too; and checking it would hold up the others, so it is done beside the loop."""
MANY_OBJECTS = 1_000
MOST_OBJECTS = 20_000
"""Each costs about a kilobyte once it is checked, however short it was."""
MOST_VALUES = 250_000
READING_AT_ONCE = 2
KEEPING_AT_ONCE = 1
"""Five thousand whole rows cost about 40 MB until they are written."""
WAIT_S = 15.0
READ_S = 30.0


class TooLarge(Exception):
    """More than is taken; says how much that is."""


class BadBody(Exception):
    """Not what its headers say."""


class NoRoom(Exception):
    """It took too long until it was there, or could be taken up."""


class Room:
    """For few long bodies at once, so that a handful of requests cannot take all the memory. The others wait unread."""

    def __init__(self) -> None:
        # Who has shown no more than a signature could otherwise keep out those that are known.
        self._reading = {proven: asyncio.Semaphore(READING_AT_ONCE) for proven in (True, False)}
        self._keeping = asyncio.Semaphore(KEEPING_AT_ONCE)

    @contextlib.asynccontextmanager
    async def to_read(self, *, proven: bool) -> AsyncIterator[None]:
        """Hold a place for a long body. Raises NoRoom."""
        async with _place(self._reading[proven]):
            yield

    @contextlib.asynccontextmanager
    async def to_keep(self) -> AsyncIterator[None]:
        """Hold a place for a large one, until it is written. Raises NoRoom."""
        async with _place(self._keeping):
            yield


@contextlib.asynccontextmanager
async def _place(places: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WAIT_S):
            await places.acquire()
    except TimeoutError:
        raise NoRoom("others are being taken") from None
    try:
        yield
    finally:
        places.release()


def may_be_long(request: Request) -> bool:
    """Whether its headers announce a long body, or do not say how long it is."""
    length = request.headers.get("content-length", "")
    return int(length) > LONG_SENT_BYTES if length.isdecimal() else "transfer-encoding" in request.headers


def is_large(body: bytes) -> bool:
    """Whether an unpacked body costs much to check and to hold. Raises TooLarge if it costs more than is taken."""
    objects = body.count(b"{") + body.count(b"[")
    if objects > MOST_OBJECTS or body.count(b",") > MOST_VALUES:
        raise TooLarge(f"a batch may have {MOST_OBJECTS} objects and lists, and {MOST_VALUES} values; send it in pieces")
    return len(body) > LARGE_BYTES or objects > MANY_OBJECTS


async def read(request: Request, limit: int) -> bytes:
    """The body as sent. Raises TooLarge as soon as that is known, and NoRoom where it does not come."""
    try:
        async with asyncio.timeout(READ_S):
            return await _read(request, limit)
    except TimeoutError:
        raise NoRoom(f"the body was not there within {READ_S:.0f} s") from None


async def _read(request: Request, limit: int) -> bytes:
    if (length := request.headers.get("content-length", "")).isdecimal() and int(length) > limit:
        raise TooLarge(f"a body may have {limit} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"a body may have {limit} bytes")
    return bytes(body)


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its gzip, if it has one. Raises TooLarge without ever holding more than the limit, and BadBody."""
    if encoding in ("", "identity"):
        if len(body) > limit:
            raise TooLarge(f"a batch may have {limit} bytes")
        return body
    if encoding != "gzip":
        raise BadBody(f"Content-Encoding: {encoding[:40]!r} is not taken; send gzip or none")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadBody(f"the body is not gzip: {error}") from None
    if len(found) > limit:
        raise TooLarge(f"a batch may have {limit} bytes once unpacked")
    if not unpacker.eof:
        raise BadBody("the gzip ends too early: the body was cut short")
    if unpacker.unused_data:
        raise BadBody("something follows the gzip")
    return found
