"""What a Shelly of the second generation or later tells by itself, over its WebSocket `/rpc`.

A notification is a hint and never a proof: whoever hears it polls, and the poll is what counts. So nothing here can lie to the station, and
losing it costs speed alone. https://shelly-api-docs.shelly.cloud/gen2/General/Notifications
"""

import asyncio
import hashlib
import json
import logging
import random
import secrets
from collections.abc import Callable
from math import inf
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.shelly_http import USER
from services.relay_bridge.drivers.shelly_json import Reply, number, parse_object
from services.relay_bridge.drivers.shelly_reply import moved
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
PING_EVERY_S = 10.0
STOOD_S = 10.0
"""A connection that lived so long was a good one: the wait begins small again."""
_MOST_BYTES = 64 * 1024
_UNAUTHORIZED = 401

log = logging.getLogger(__name__)


async def listen(device: Callable[[], RelayDevice], password: str | None, changed: Callable[[], None]) -> None:
    """Call `changed` when the output moved, and after each connect, for it may have moved unheard. Until cancelled.

    A lost connection is made again, to where `device` is by then, after a wait that doubles.
    """
    jitter = random.Random()  # noqa: S311 - so that devices on one access point are not asked in step
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        now = device()
        stood_from = inf
        try:
            async with _connected(now) as socket:
                await _introduce(socket, now, password)
                if failures:
                    log.info("%s: tells changes again", now.address)
                stood_from = loop.time()
                changed()
                async for body in socket:
                    if moved(parse_object(body if isinstance(body, bytes) else body.encode()), now.channel):
                        changed()
                why: Exception = DeviceError("it closed the connection")
        except (OSError, WebSocketException, InvalidHandshake, DeviceError, TimeoutError) as error:
            why = error
        # One that connects only to be lost again is as good as one that does not connect.
        if loop.time() - stood_from > STOOD_S:
            failures = 0
        if not failures:
            log.warning("%s: does not tell changes (%s); polls go on", now.address, str(why) or type(why).__name__)
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures, 10)) * jitter.uniform(0.5, 1.0)
        failures += 1
        await asyncio.sleep(wait_s)


def _connected(device: RelayDevice) -> connect:
    parts = urlsplit(device.address)
    return connect(
        f"ws://{parts.netloc}{parts.path.rstrip('/')}/rpc",
        compression=None, proxy=None, open_timeout=device.timeout_s, close_timeout=device.timeout_s,
        ping_interval=PING_EVERY_S, ping_timeout=device.timeout_s, max_size=_MOST_BYTES,
    )  # fmt: skip


async def _introduce(socket: ClientConnection, device: RelayDevice, password: str | None) -> None:
    """Make one call with a `src`: the device notifies nobody else. Raises DeviceRefused, BadReply, TimeoutError."""
    request: dict[str, object] = {
        "id": 1,
        "src": f"sps-{secrets.token_hex(4)}",
        "method": "Switch.GetStatus",
        "params": {"id": device.channel},
    }
    async with asyncio.timeout(device.timeout_s):
        answer = await _call(socket, request)
        error = answer.get("error")
        if isinstance(error, dict) and error.get("code") == _UNAUTHORIZED and password is not None:
            answer = await _call(socket, request | {"auth": proof(parse_object(str(error.get("message")).encode()), password)})
            error = answer.get("error")
    if error is not None:
        raise DeviceRefused(f"refused by the device: {str(error)[:200]}")


async def _call(socket: ClientConnection, request: dict[str, object]) -> Reply:
    await socket.send(json.dumps(request))
    while True:
        body = await socket.recv(decode=False)
        if (answer := parse_object(body)).get("id") == request["id"]:
            return answer


def proof(challenge: Reply, password: str) -> dict[str, object]:
    """The `auth` object that answers a challenge which came in an error frame. Raises BadReply.

    https://shelly-api-docs.shelly.cloud/gen2/General/Authentication: as RFC 7616, with fixed words for method and URI.
    """
    realm, nonce = challenge.get("realm"), challenge.get("nonce")
    if challenge.get("algorithm") != "SHA-256" or not isinstance(realm, str) or not isinstance(nonce, str | int):
        raise BadReply("challenge", challenge, "a SHA-256 digest challenge")
    count = int(number(challenge, "nc", 0, 1e9) or 1)
    own = secrets.token_hex(8)
    response = _sha256(_sha256(USER, realm, password), nonce, count, own, "auth", _sha256("dummy_method", "dummy_uri"))
    proved: dict[str, object] = {"realm": realm, "username": USER, "nonce": nonce, "nc": count, "cnonce": own}
    return proved | {"response": response, "algorithm": "SHA-256"}


def _sha256(*parts: object) -> str:
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()
