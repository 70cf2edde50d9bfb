"""Who a request is from: a bearer token or a signature, checked against what is derived for that station."""

import asyncio
import hmac

from sqlalchemy import Engine
from starlette.requests import Request

from services.aggregator.allowance import Allowance
from services.aggregator.keys import StationSecrets
from services.aggregator.store import stations
from services.bus.clock import Clock
from services.bus.uplink.request_signature import SIGNATURE, TIMESTAMP, refusal, untimely

REMEMBER_S = 2.0
"""How long a withdrawn station may still come in."""
FAILURES_PER_MINUTE = 30
TOO_MANY_REFUSED = "too many refused requests from this address"


class Refused(Exception):
    """Answered with `status`, and with Retry-After where there is a `wait_s`."""

    def __init__(self, status: int, message: str, *, field: str | None = None, wait_s: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.wait_s = status, message, field, wait_s


class Gate:
    """Lets enrolled stations in, each as often as it may."""

    def __init__(self, engine: Engine, secrets: StationSecrets, clock: Clock, per_minute: int) -> None:
        self._engine = engine
        self._secrets = secrets
        self._clock = clock
        self._allowed = Allowance(per_minute)
        self._failing = Allowance(FAILURES_PER_MINUTE)
        self._known: dict[tuple[str, bool], tuple[int | None, float]] = {}

    async def expect(self, request: Request, name: str, *, long: bool, withdrawn: bool) -> bool:
        """What can be said before the body is read: True if the request may come in, False if its signature has yet to be checked.

        With `withdrawn` it may come from a station that was let in until it was withdrawn.
        Raises Refused: 401 for who shows nothing or the wrong thing, 429 for who sends too often.
        """
        if request.headers.get(SIGNATURE) is None:
            await self.admit(request, name, b"", withdrawn=withdrawn)
            return True
        now_s = self._clock.monotonic()
        if (why := untimely(request.headers.get(TIMESTAMP, ""), self._clock.now().timestamp())) is not None:
            raise self._refused(request, why, now_s)
        # Anybody can send a signature, and whether it holds shows only when all of the body is there.
        if long and (wait_s := self._failing.would_wait_s(_address(request), now_s)):
            raise Refused(429, TOO_MANY_REFUSED, wait_s=wait_s)
        return False

    async def admit(self, request: Request, name: str, body: bytes, *, withdrawn: bool) -> None:
        """Raises Refused: 401 for who shows nothing or the wrong thing, 429 for who sends too often."""
        now_s = self._clock.monotonic()
        why = self._refusal(request, name, await self._generation(name, now_s, REMEMBER_S, withdrawn), body)
        if why is not None:
            # It may have been enrolled, or handed new secrets, a moment ago.
            why = self._refusal(request, name, await self._generation(name, now_s, 0.0, withdrawn), body)
        if why is not None:
            raise self._refused(request, why, now_s)
        if wait_s := self._allowed.wait_s(name, now_s):
            raise Refused(429, "more requests than a station may send in a minute; wait, then go on", wait_s=wait_s)

    def _refused(self, request: Request, why: str, now_s: float) -> Refused:
        wait_s = self._failing.wait_s(_address(request), now_s)
        return Refused(429, TOO_MANY_REFUSED, wait_s=wait_s) if wait_s else Refused(401, why)

    async def _generation(self, name: str, now_s: float, remembered_s: float, withdrawn: bool) -> int | None:
        generation, at = self._known.get((name, withdrawn), (None, float("-inf")))
        if now_s - at >= remembered_s:
            generation = await asyncio.to_thread(self._look_up, name, withdrawn)
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[name, withdrawn] = (generation, now_s)
        return generation

    def _look_up(self, name: str, withdrawn: bool) -> int | None:
        with self._engine.connect() as connection:
            return stations.generation_of(connection, name, withdrawn=withdrawn)

    def _refusal(self, request: Request, name: str, generation: int | None, body: bytes) -> str | None:
        # A name that is not enrolled is checked all the same, so that neither words nor time tell who is.
        expected = self._secrets.http(name, generation or 0)
        signature, given = request.headers.get(SIGNATURE), request.headers.get("authorization", "")
        if signature is not None:
            query = request.scope["query_string"].decode("latin-1")
            path = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
            now_s = self._clock.now().timestamp()
            why = refusal(expected, signature, request.headers.get(TIMESTAMP, ""), request.method, path, body, now_s)
        elif not given:
            why = f"show who you are: Authorization: Bearer, or {TIMESTAMP} and {SIGNATURE}"
        else:
            scheme, _, token = given.partition(" ")
            good = scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), expected.encode())
            why = None if good else "the token does not belong to this station"
        if why is None and generation is None:
            why = "the token does not belong to this station"
        return why


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
