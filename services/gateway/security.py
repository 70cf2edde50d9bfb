"""What is true of every request: asked under a name of ours, writes only from our own page or a script, in a form and size that we take."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.bus.web_headers import with_headers
from services.gateway.problems import Problem, answer

MAX_BODY_BYTES = 65_536
_OF_ADDRESSES = frozenset("0123456789abcdefABCDEF.:[]")
FORM = "application/x-www-form-urlencoded"
READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Names:
    """Under which Host headers this server may be asked for, in lower case."""

    hosts: frozenset[str]
    any_address: bool = False
    """Whether any bare IP address will do. A foreign web page gets in by a name that it makes resolve to us, never by an address."""
    tls: bool = False
    """Whether browsers come through TLS that ends before us."""

    def know(self, host: str) -> bool:
        """Whether `host`, a Host header, is one of ours."""
        return host.lower() in self.hosts or (self.any_address and _is_address(host))

    def origin(self, host: str) -> str:
        """The Origin of pages that came from us under `host`."""
        return f"{'https' if self.tls else 'http'}://{host.lower()}"


def allowed_hosts(host: str, port: int, names: Iterable[str] = ()) -> frozenset[str]:
    """The Host headers of a server bound to `host`, which is also called `names`; those without a port stand for 80 and 443, too."""
    own = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host and not host.startswith("[") else host}
    also = {name if ":" in name else f"{name}:{port}" for name in names} | {name for name in names if ":" not in name}
    return frozenset({f"{name}:{port}" for name in own} | (own if port == 80 else set()) | also)


def _is_address(host: str) -> bool:
    if not set(host) <= _OF_ADDRESSES:
        return False
    try:
        parts = urlsplit(f"//{host}")
        ip_address(parts.hostname or "")
        port = parts.port
    except ValueError:
        return False
    return port is None or port > 0


class Guard:
    """ASGI middleware that stands before everything else."""

    def __init__(self, app: ASGIApp, names: Names) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer why not; set the security headers either way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = with_headers(send, scope["path"], tls=self._names.tls)
        if (refusal := self._refusal(scope)) is not None:
            await refusal(scope, receive, guarded)
        elif scope["method"] in READS:
            await self._app(scope, receive, guarded)
        else:
            await self._write(scope, receive, guarded)

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive)
        except HalfSent:
            return  # nobody is there to be answered
        if body is None:
            limit = Problem(message="the body is too large", remedy=f"send at most {MAX_BODY_BYTES} bytes")
            await answer(413, limit)(scope, receive, send)
        else:
            await self._app(scope, replayed(body, receive), send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value.decode("latin-1"))
        # A foreign name that resolves to this machine is how a web page elsewhere would get in (DNS rebinding).
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or not self._names.know(hosts[0]):
            known = f"ask for one of {', '.join(sorted(self._names.hosts))}"
            if self._names.any_address:
                known += ", or for an IP address; other names are added under 'web.names' in the station file"
            return answer(400, _problem("Host", hosts, known))
        # A script sends no Origin; a browser does with every write, and with whatever another site asks for.
        origins = headers.get(b"origin", [])
        if origins and (len(origins) > 1 or origins[0].lower() != self._names.origin(hosts[0])):
            return answer(403, _problem("Origin", origins, "use the page that this server itself delivers"))
        if scope["method"] not in READS:
            types = headers.get(b"content-type", [])
            kind = types[0].split(";")[0].strip().lower() if len(types) == 1 else ""
            if kind == FORM and not scope["path"].startswith("/api/"):
                # Any site can make a browser send a form, so this one must name its page.
                return None if origins else answer(403, _problem("Origin", origins, "use the page that this server itself delivers"))
            if kind != "application/json":
                return answer(415, _problem("Content-Type", types, "send application/json"))
        return None


def _problem(field: str, values: list[str], remedy: str) -> Problem:
    value = ", ".join(values)[:80]
    return Problem(
        message=f"{field}: {value!r} is refused; {remedy}" if values else f"{field} is missing; {remedy}",
        field=field,
        value=value,
        remedy=remedy,
    )


class HalfSent(Exception):
    """The connection ended in the middle of a body. What came of a form may read as another wish than the one that was meant."""


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, or None once it exceeds the limit. Raises HalfSent."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HalfSent
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` first."""
    delivered = False

    async def replay() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
