"""The gate: nobody passes who is not known, and no write of a browser without its token against forgery."""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, quote

from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.access.control import Control
from services.gateway.access.visitor import LOCAL, Visitor
from services.gateway.problems import Problem, answer
from services.gateway.security import FORM, READS, read_body, replayed

OPEN = frozenset({"/login", "/healthz", "/static/css/plain.css", "/static/favicon.svg"})
"""What a stranger may see: exactly these paths."""


class _Ended(Exception):
    """A visitor's time is over in the middle of an answer."""


class Gate:
    """ASGI middleware behind the guard: says who asks, or refuses."""

    def __init__(self, app: ASGIApp, control: Control) -> None:
        self._app = app
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a known visitor through as `scope["visitor"]`, and strangers to the open paths."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not self._control.on:
            scope["visitor"] = LOCAL
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        visitor = scope["visitor"] = self._visitor(headers)
        scope.setdefault("state", {})["csrf_token"] = visitor.csrf_token if visitor else ""
        if scope["path"] in OPEN:
            await self._app(scope, receive, send)
        elif visitor is None:
            await _stranger(scope, headers)(scope, receive, send)
        elif visitor.kind == "person" and scope["method"] not in READS:
            await self._write(scope, receive, send, headers, visitor)
        else:
            await self._while_known(scope, receive, send, headers)

    def _visitor(self, headers: Mapping[bytes, str]) -> Visitor | None:
        if (word := _token(headers)) is not None:
            return self._control.by_token(word)
        session_id = cookie_parser(headers.get(b"cookie", "")).get(self._control.cookie)
        return self._control.by_session(session_id) if session_id else None

    async def _write(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, str], visitor: Visitor) -> None:
        told = headers.get(b"x-csrf-token", "")
        if not told and headers.get(b"content-type", "").split(";")[0].strip().lower() == FORM:
            body = await read_body(receive) or b""
            told = parse_qs(body.decode("latin-1")).get("csrf", [""])[0]
            receive = replayed(body, receive)
        if hmac.compare_digest(told.encode(), visitor.csrf_token.encode()):
            await self._app(scope, receive, send)
        else:
            problem = Problem(
                message="the token against forged requests is missing or old",
                field="X-CSRF-Token",
                remedy="load the page again; a script uses an API token instead of a session",
            )
            await answer(403, problem)(scope, receive, send)

    async def _while_known(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, str]) -> None:
        """An answer that streams on ends with its visitor's session or token."""
        parts = 0

        async def checked(message: Message) -> None:
            nonlocal parts
            if message["type"] == "http.response.body" and message.get("more_body", False):
                parts += 1
                if parts > 1 and self._visitor(headers) is None:
                    raise _Ended
            await send(message)

        try:
            await self._app(scope, receive, checked)
        except _Ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _token(headers: Mapping[bytes, str]) -> str | None:
    """The API token that came along. Credentials of another kind are for a proxy in front of us, which passes them on."""
    kind, _, word = headers.get(b"authorization", "").partition(" ")
    return word.strip() if kind.lower() == "bearer" else None


def _stranger(scope: Scope, headers: Mapping[bytes, str]) -> Response:
    wants_page = scope["method"] == "GET" and "text/html" in headers.get(b"accept", "") and not scope["path"].startswith("/api/")
    if wants_page and _token(headers) is None:
        return RedirectResponse("/login" if scope["path"] == "/" else f"/login?next={quote(scope['path'], safe='/')}", 303)
    problem = Problem(
        message="this needs a login or an API token, and what came is none or has ended"
        if headers.get(b"authorization") or headers.get(b"cookie")
        else "this needs a login or an API token",
        field="Authorization",
        remedy="log in at /login, or send 'Authorization: Bearer ...' with a token from the page's Access or 'sps access token make'",
    )
    response = answer(401, problem)
    response.headers["WWW-Authenticate"] = "Bearer"
    if b"hx-request" in headers:
        # A page that is still open asks for a piece of itself: its person has to log in again.
        response.headers["HX-Redirect"] = "/login"
    return response
