"""Request bodies within bounds: read no more than allowed, and unpack no more than allowed."""

import zlib

from starlette.requests import Request


class TooLarge(Exception):
    """More than is taken; says how much that is."""


class BadBody(Exception):
    """Not what its headers say."""


async def read(request: Request, limit: int) -> bytes:
    """The body as sent. Raises TooLarge as soon as that is known."""
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
