"""What people see of access: /login, /logout and /access."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from services.bus.clock import utc_now
from services.gateway.access import tokens
from services.gateway.access.control import Control, Refused
from services.gateway.access.passwords import GREATEST_LENGTH, LEAST_LENGTH
from services.gateway.access.rules import csrf_token, open_to_all, require, visitor_of
from services.gateway.access.sessions import LONGEST_S
from services.gateway.access.templates import render
from services.gateway.access.visitor import MEANING, SCOPES, Scope
from services.gateway.problems import ApiError, Problem

Password = Annotated[str, Form(max_length=4 * GREATEST_LENGTH)]


def router(control: Control) -> APIRouter:
    """The pages and forms of access."""
    routes = APIRouter(include_in_schema=False)
    for_admins = [require("admin")]

    @routes.get("/login", dependencies=[Depends(open_to_all)])
    async def login_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - its name in the URL
        if visitor_of(request) is not None:
            return RedirectResponse(_local(next), 303)
        return _login(next)

    @routes.post("/login", dependencies=[Depends(open_to_all)])
    async def login(request: Request, password: Password = "", next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
        if not control.on:
            return RedirectResponse("/", 303)
        try:
            session_id = await control.login(password, _client(request, control), old_session=_session_id(request, control))
        except Refused as refused:
            return _login(next, str(refused), wait_s=refused.wait_s)
        response = RedirectResponse(_local(next), 303)
        _set_cookie(response, control, session_id)
        return response

    @routes.post("/logout", dependencies=[require("read")])
    async def logout(request: Request, everywhere: Annotated[bool, Form()] = False) -> Response:
        control.logout(_session_id(request, control))
        visitor = visitor_of(request)
        if everywhere and visitor is not None and visitor.may("admin"):
            _done(control.logout_everywhere)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(control.cookie, path="/", secure=control.settings.web.behind_tls, httponly=True, samesite="strict")
        return response

    @routes.get("/access", dependencies=for_admins)
    async def access_page(request: Request) -> Response:
        return _access(request, control)

    @routes.post("/access/password", dependencies=for_admins)
    async def change_password(request: Request, old: Password = "", new: Password = "", again: Password = "") -> Response:
        _refuse_off(control)
        if new != again:
            return _access(request, control, error="the new password was not typed the same twice", status=400)
        try:
            session_id = await control.change_password(_session_id(request, control), old, new, _client(request, control))
        except (Refused, OSError) as refused:
            return _access(request, control, error=str(refused), status=429 if getattr(refused, "wait_s", 0) else 400)
        response = RedirectResponse("/access", 303)
        _set_cookie(response, control, session_id)
        return response

    @routes.post("/access/tokens", dependencies=for_admins)
    async def make_token(
        request: Request, name: Annotated[str, Form()] = "", scopes: Annotated[tuple[Scope, ...], Form()] = ()
    ) -> Response:
        _refuse_off(control)
        try:
            word, token = tokens.made(name.strip(), scopes, utc_now())
            control.add_token(token)
        except ValidationError as error:
            field = error.errors()[0]["loc"][0]
            why = (
                "choose at least one thing that it may do"
                if field == "scopes"
                else "give it a name of up to 60 letters, digits and . , : @ + -"
            )
            return _access(request, control, error=why, status=400)
        except (Refused, OSError) as refused:
            return _access(request, control, error=str(refused), status=400)
        return _access(request, control, made=word)

    @routes.post("/access/tokens/{token_id}/revoke", dependencies=for_admins)
    async def revoke_token(request: Request, token_id: str) -> Response:
        _refuse_off(control)
        try:
            control.revoke_token(token_id)
        except (Refused, OSError) as refused:
            return _access(request, control, error=str(refused), status=404)
        return RedirectResponse("/access", 303)

    return routes


def _login(next_path: str, error: str = "", *, wait_s: float = 0.0) -> Response:
    page = render("login.html", csrf_token="", error=error, next=_local(next_path))
    if not error:
        return HTMLResponse(page)
    return HTMLResponse(page, 429, {"Retry-After": str(max(1, round(wait_s)))}) if wait_s else HTMLResponse(page, 401)


def _access(request: Request, control: Control, *, error: str = "", made: str = "", status: int = 200) -> Response:
    state = control.state() if control.on else None
    page = render(
        "access.html",
        csrf_token=csrf_token(request),
        on=control.on,
        error=error,
        made=made,
        first_password_file=None if state is None or state.own_password else str(control.settings.first_password),
        tokens=state.tokens if state else (),
        scopes=[(scope, MEANING[scope]) for scope in SCOPES],
        least_length=LEAST_LENGTH,
    )
    return HTMLResponse(page, status)


def _local(path: str) -> str:
    """`path` if it leads to a page of this server, else the first page: a login must not send its person elsewhere."""
    parts = urlsplit(path)
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain and not parts.scheme and not parts.netloc and parts.path != "/login" else "/"


def _session_id(request: Request, control: Control) -> str:
    return request.cookies.get(control.cookie, "")


def _client(request: Request, control: Control) -> str:
    """Whose wrong passwords are counted. Behind a proxy it is the last address in X-Forwarded-For, which the proxy itself wrote."""
    if control.settings.web.behind_tls and (forwarded := request.headers.get("x-forwarded-for")):
        return forwarded.rsplit(",", 1)[-1].strip()
    return request.client.host if request.client else "unknown"


def _set_cookie(response: Response, control: Control, session_id: str) -> None:
    response.set_cookie(
        control.cookie,
        session_id,
        max_age=round(LONGEST_S),
        path="/",
        secure=control.settings.web.behind_tls,
        httponly=True,
        samesite="strict",
    )


def _refuse_off(control: Control) -> None:
    if not control.on:
        problem = Problem(
            message="access control is off, as the page is open to this machine only",
            remedy="set 'password: true' under 'web:' in the station file to have it ask",
        )
        raise ApiError(409, problem)


def _done(change: object) -> None:
    try:
        change()  # type: ignore[operator]
    except (Refused, OSError) as error:
        raise ApiError(503, Problem(message=str(error))) from None
