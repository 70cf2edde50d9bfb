"""What stands before the page: its own names only, writes from its own forms only, and headers that let nothing else in."""

from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.bus.web_headers import with_headers

MAX_BODY_BYTES = 65_536


def allowed_hosts(host: str, port: int, published: str | None) -> frozenset[str]:
    """Under which Host headers the page answers."""
    names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host}
    return frozenset({f"{name}:{port}".lower() for name in names} | ({published.lower()} if published else set()))


class Guard:
    """ASGI middleware in front of the page's routes."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        guarded = with_headers(send, scope["path"])
        if (refusal := self._refusal(scope)) is not None:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        def all_of(wanted: bytes) -> list[str]:
            return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]

        hosts, origins, lengths = all_of(b"host"), all_of(b"origin"), all_of(b"content-length")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 400, f"ask for one of {', '.join(sorted(self._hosts))}"
        if origins and (len(origins) > 1 or origins[0].lower().split("://", 1)[-1] != hosts[0].lower()):
            return 403, "use the page that this server itself delivers"
        if scope["method"] in ("GET", "HEAD"):
            return None
        # A form's body is short and has its length; whoever sends neither is no browser.
        if len(lengths) != 1 or not lengths[0].isdecimal():
            return 411, "send Content-Length"
        return (413, f"send at most {MAX_BODY_BYTES} bytes") if int(lengths[0]) > MAX_BODY_BYTES else None
