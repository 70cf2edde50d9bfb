"""Takes requests in: who it is from, then its body, within bounds and as memory allows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from services.aggregator import bodies
from services.aggregator.gate import Gate, Refused

BUSY_WAIT_S = 5
SHORT_BODY_BYTES = 10_000
"""All but a batch."""


class Admission:
    """The way in to the stations' API."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._room = bodies.Room()

    @contextlib.asynccontextmanager
    async def of(
        self,
        request: Request,
        name: str,
        most: int = SHORT_BODY_BYTES,
        most_unpacked: int = SHORT_BODY_BYTES,
        *,
        withdrawn: bool = False,
    ) -> AsyncIterator[bytes]:
        """The unpacked body of a request that may come in, and room for it for as long as it is worked on. Raises Refused.

        With `withdrawn` a station that was withdrawn may come in, too, with its last secret.
        """
        long = bodies.may_be_long(request)
        proven = await self._gate.expect(request, name, long=long, withdrawn=withdrawn)
        async with contextlib.AsyncExitStack() as held:
            try:
                if long:
                    await held.enter_async_context(self._room.to_read(proven=proven))
                sent = await bodies.read(request, most)
                if not proven:
                    await self._gate.admit(request, name, sent, withdrawn=withdrawn)
                kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
                if sent and kind != "application/json":
                    raise Refused(415, "send application/json", field="Content-Type")
                encoding = request.headers.get("content-encoding", "").strip().lower()
                whole = await self._unpacked(sent, encoding, most_unpacked, held)
            except bodies.TooLarge as error:
                raise Refused(413, str(error)) from None
            except bodies.BadBody as error:
                raise Refused(400, str(error)) from None
            except bodies.NoRoom as error:
                raise Refused(503, f"{error}; nothing was kept", wait_s=BUSY_WAIT_S) from None
            yield whole

    async def _unpacked(self, sent: bytes, encoding: str, limit: int, held: contextlib.AsyncExitStack) -> bytes:
        if limit <= bodies.LARGE_BYTES:
            return bodies.unpacked(sent, encoding, limit)
        # Few bytes may become many: what is large waits for its room packed.
        with contextlib.suppress(bodies.TooLarge):
            whole = bodies.unpacked(sent, encoding, bodies.LARGE_BYTES)
            if not bodies.is_large(whole):
                return whole
            del whole
        await held.enter_async_context(self._room.to_keep())
        whole = await asyncio.to_thread(bodies.unpacked, sent, encoding, limit)
        bodies.is_large(whole)
        return whole
