"""HTTP to a Shelly of any generation, over one kept-alive connection."""

import re
import threading
import time
from http.client import HTTPException, IncompleteRead
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ProtocolError

from services.relay_bridge.drivers.shelly_json import parse_object
from services.relay_bridge.errors import BadReply, DeviceRefused, DeviceSilent

USER = "admin"
"""The only user there is on a Gen2; on a Gen1 the one that it comes with."""
_MOST_BYTES = 64 * 1024
_MAC = re.compile(r"[0-9A-F]{12}")


class HttpSession:
    """One connection. A thread that asks while another is being answered waits for its turn.

    A request takes at most `timeout_s` to connect, as long until the first byte, and as long for the rest; twice that where a password is
    asked for anew. It is tried once: who calls knows whether trying again is right.
    """

    def __init__(self, address: str, timeout_s: float, auth: AuthBase | None = None) -> None:
        """Raises ValueError for an unusable address."""
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"address: {address!r} is not usable; use a base URL such as 'http://192.168.1.20'")
        self._base = address.rstrip("/")
        self._timeout_s = timeout_s
        self._turn = threading.Lock()
        self._session = requests.Session()
        # A proxy or a .netrc of the environment has no say in a LAN device, and looking for them at each call costs.
        self._session.trust_env = False
        self._session.auth = auth
        self._session.headers.update({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))

    def fetch(self, method: str, path: str, body: bytes | None = None, *, what: str) -> bytes:
        """The body of the answer. Raises DeviceSilent, DeviceRefused or BadReply, which name the request as `what`."""
        times = (self._timeout_s, self._timeout_s)
        try:
            with (
                self._turn,
                self._session.request(method, self._base + path, data=body, timeout=times, allow_redirects=False, stream=True) as response,
            ):
                if response.status_code == requests.codes.unauthorized:
                    raise DeviceRefused(f"answered HTTP 401 to {what}: {'wrong' if self._session.auth else 'it wants a'} password")
                if response.status_code != requests.codes.ok:
                    raise DeviceRefused(f"answered HTTP {response.status_code} to {what}")
                return self._body(response)
        except (requests.RequestException, HTTPError) as error:
            raise _why(error, self._timeout_s) from error

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _body(self, response: requests.Response) -> bytes:
        """The whole body, within a deadline of its own: the socket's time-out alone would let a device drip for ever."""
        deadline = time.monotonic() + self._timeout_s
        body = b""
        while chunk := response.raw.read1(_MOST_BYTES):
            body += chunk
            if len(body) > _MOST_BYTES:
                raise BadReply("body", body[:60], f"at most {_MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise DeviceSilent(f"did not finish its answer within {self._timeout_s:g} s")
        return body


def identify(address: str, timeout_s: float) -> str:
    """The MAC of the Shelly at `address`, which is its id for life; asked without a password. Raises DeviceError, or ValueError."""
    session = HttpSession(address, timeout_s)
    try:
        found = parse_object(session.fetch("GET", "/shelly", what="/shelly")).get("mac")
    finally:
        session.close()
    if not isinstance(found, str) or not _MAC.fullmatch(found.upper()):
        raise BadReply("mac", found, "twelve hexadecimal digits")
    return found.upper()


def _why(error: Exception, timeout_s: float) -> DeviceSilent | BadReply:
    if isinstance(error, requests.Timeout):
        return DeviceSilent(f"did not answer within {timeout_s:g} s")
    cause: object = error
    while isinstance(cause, requests.RequestException | ProtocolError) and cause.args:
        cause = cause.args[-1]
    # Hanging up, before or within the answer, is an HTTPException too.
    if isinstance(cause, HTTPException) and not isinstance(cause, ConnectionError | IncompleteRead):
        return BadReply("HTTP", str(cause), "an HTTP response")
    return DeviceSilent(f"does not answer: {type(cause).__name__}")
