"""JSON-RPC to a Shelly over one kept-alive HTTP connection."""

import json
import time
from http.client import HTTPException, IncompleteRead
from itertools import count
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError

from services.relay_bridge.drivers.shelly_reply import Reply, parse_frame
from services.relay_bridge.errors import BadReply, DeviceRefused, DeviceSilent

_MOST_BYTES = 64 * 1024


class RpcSession:
    """One connection, for one thread at a time.

    A call takes at most `timeout_s` to connect, as long until the first byte, and as long for the rest. It is tried once:
    who calls knows whether trying again is right.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"address: {address!r} is not usable; use a base URL such as 'http://192.168.1.20'")
        self._url = f"{address.rstrip('/')}/rpc"
        self._timeout_s = timeout_s
        self._ids = count(1)
        self._session = requests.Session()
        # A proxy or a .netrc of the environment has no say in a LAN device, and looking for them at each call costs.
        self._session.trust_env = False
        self._session.headers.update({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))

    def call(self, method: str, **params: object) -> Reply:
        """The result of `method`. Raises DeviceSilent, DeviceRefused or BadReply."""
        request_id = next(self._ids)
        request = json.dumps({"id": request_id, "src": "sps", "method": method, "params": params}).encode()
        try:
            with self._session.post(
                self._url, data=request, timeout=(self._timeout_s, self._timeout_s), allow_redirects=False, stream=True
            ) as response:
                if response.status_code != requests.codes.ok:
                    raise DeviceRefused(f"answered HTTP {response.status_code} to {method}")
                body = self._body(response)
        except (requests.RequestException, HTTPError) as error:
            raise _why(error, self._timeout_s) from error
        return parse_frame(body, request_id)

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
