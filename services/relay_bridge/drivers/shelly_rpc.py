"""JSON-RPC to a Shelly over one kept-alive HTTP connection."""

import json
from itertools import count

from requests.auth import HTTPDigestAuth

from services.relay_bridge.drivers.shelly_http import USER, HttpSession
from services.relay_bridge.drivers.shelly_reply import Reply, parse_frame


class RpcSession:
    """One connection, for one thread at a time.

    A call takes at most `timeout_s` to connect, as long until the first byte, and as long for the rest. It is tried once:
    who calls knows whether trying again is right.
    """

    def __init__(self, address: str, timeout_s: float, password: str | None = None) -> None:
        """With a `password`, the device's SHA-256 digest challenge is answered. Raises ValueError for an unusable address."""
        # The challenge costs an exchange once; after that each request carries its proof at once.
        self._http = HttpSession(address, timeout_s, HTTPDigestAuth(USER, password) if password is not None else None)
        self._ids = count(1)

    def call(self, method: str, **params: object) -> Reply:
        """The result of `method`. Raises DeviceSilent, DeviceRefused or BadReply."""
        request_id = next(self._ids)
        request = json.dumps({"id": request_id, "src": "sps", "method": method, "params": params}).encode()
        return parse_frame(self._http.fetch("POST", "/rpc", request, what=method), request_id)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
