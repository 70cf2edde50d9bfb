"""*Log in*, *Access* (password, API tokens, logging out): what people see of access control."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from services.bus.clock import utc_now
from services.gateway.access import tokens
from services.gateway.access.control import Control, Refused
from services.gateway.access.passwords import GREATEST_LENGTH, LEAST_LENGTH
from services.gateway.access.rules import open_to_all, require, visitor_of
from services.gateway.access.sessions import LONGEST_S
from services.gateway.access.visitor import MEANING, SCOPES, Scope
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages.site import Site
from services.gateway.problems import ApiError, Problem

Password = Annotated[str, Form(max_length=4 * GREATEST_LENGTH)]
NOT_TWICE = N_("The new password was not typed the same twice.")
NO_SCOPE = N_("Choose at least one thing that the token may do.")
NO_NAME = N_("Give the token a name of up to 60 letters, digits and . , : @ + -")


def router(control: Control, site: Site) -> APIRouter:
    """The pages and forms of access."""
    routes = APIRouter(include_in_schema=False)
    admin = [require("admin")]

    def login_page(request: Request, next_path: str, refused: Refused | None = None) -> Response:
        error = "" if refused is None else site.text(request, refused.text, **refused.values)
        status = 200 if refused is None else 429 if refused.wait_s else 401
        response = site.render(request, "login.html", {"error": error, "next": _local(next_path)}, status=status)
        if refused is not None and refused.wait_s:
            response.headers["Retry-After"] = str(max(1, round(refused.wait_s)))
        return response

    def access_page(request: Request, *, error: str = "", made: str = "", status: int = 200) -> Response:
        state = control.state() if control.on else None
        values = {
            "on": control.on,
            "error": error,
            "made": made,
            "first_password_file": None if state is None or state.own_password else str(control.first_password_file),
            "tokens": state.tokens if state else (),
            "scopes": [(scope, MEANING[scope]) for scope in SCOPES],
            "least_length": LEAST_LENGTH,
        }
        return site.render(request, "access.html", values, status=status)

    def tried(request: Request, change: Callable[[], None]) -> Response | None:
        """The page that says why `change` was refused; None when it was made."""
        try:
            change()
        except Refused as refused:
            return access_page(request, error=site.text(request, refused.text, **refused.values), status=400)
        except OSError as error:
            return access_page(request, error=str(error), status=503)
        return None

    @routes.get("/login", dependencies=[Depends(open_to_all)])
    async def login_form(request: Request, next: str = "/") -> Response:  # noqa: A002 - its name in the URL
        return login_page(request, next) if visitor_of(request) is None else RedirectResponse(_local(next), 303)

    @routes.post("/login", dependencies=[Depends(open_to_all)])
    async def login(request: Request, password: Password = "", next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
        if not control.on:
            return RedirectResponse("/", 303)
        try:
            session_id = await control.login(password, _client(request, control), old_session=_session_id(request, control))
        except Refused as refused:
            return login_page(request, next, refused)
        return _with_session(RedirectResponse(_local(next), 303), control, session_id)

    @routes.post("/logout", dependencies=[require("read")])
    async def logout(request: Request, everywhere: Annotated[bool, Form()] = False) -> Response:
        control.logout(_session_id(request, control))
        visitor = visitor_of(request)
        if (
            everywhere
            and control.on
            and visitor is not None
            and visitor.may("admin")
            and (refusal := tried(request, control.logout_everywhere))
        ):
            return refusal
        response = RedirectResponse("/login", 303)
        response.delete_cookie(control.cookie, path="/", secure=control.settings.web.behind_tls, httponly=True, samesite="strict")
        return response

    @routes.get("/access", dependencies=admin)
    async def access(request: Request) -> Response:
        return access_page(request)

    @routes.post("/access/password", dependencies=admin)
    async def change_password(request: Request, old: Password = "", new: Password = "", again: Password = "") -> Response:
        _refuse_off(control)
        if new != again:
            return access_page(request, error=site.text(request, NOT_TWICE), status=400)
        try:
            session_id = await control.change_password(_session_id(request, control), old, new, _client(request, control))
        except Refused as refused:
            return access_page(request, error=site.text(request, refused.text, **refused.values), status=429 if refused.wait_s else 400)
        except OSError as error:
            return access_page(request, error=str(error), status=503)
        return _with_session(RedirectResponse("/access", 303), control, session_id)

    @routes.post("/access/tokens", dependencies=admin)
    async def make_token(
        request: Request, name: Annotated[str, Form()] = "", scopes: Annotated[tuple[Scope, ...], Form()] = ()
    ) -> Response:
        _refuse_off(control)
        try:
            word, token = tokens.made(name.strip(), scopes, utc_now())
        except ValidationError as error:
            wrong = NO_SCOPE if error.errors()[0]["loc"][0] == "scopes" else NO_NAME
            return access_page(request, error=site.text(request, wrong), status=400)
        return tried(request, lambda: control.add_token(token)) or access_page(request, made=word)

    @routes.post("/access/tokens/{token_id}/revoke", dependencies=admin)
    async def revoke_token(request: Request, token_id: str) -> Response:
        _refuse_off(control)
        return tried(request, lambda: control.revoke_token(token_id)) or RedirectResponse("/access", 303)

    return routes


def _local(path: str) -> str:
    """`path` if it leads to a page of this server, else the first page: a login must not send its person elsewhere."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    if not plain:
        return "/"
    parts = urlsplit(path)
    return path if not parts.scheme and not parts.netloc and parts.path != "/login" else "/"


def _session_id(request: Request, control: Control) -> str:
    return request.cookies.get(control.cookie, "")


def _client(request: Request, control: Control) -> str:
    """Whose wrong passwords are counted. Behind a proxy it is the last address in X-Forwarded-For, which the proxy itself wrote.

    Some proxies add a header of their own below the one that came, so the last address stands in the last of them.
    """
    if control.settings.web.behind_tls and (forwarded := request.headers.getlist("x-forwarded-for")):
        return forwarded[-1].rsplit(",", 1)[-1].strip()
    return request.client.host if request.client else "unknown"


def _with_session(response: Response, control: Control, session_id: str) -> Response:
    secure = control.settings.web.behind_tls
    response.set_cookie(control.cookie, session_id, max_age=round(LONGEST_S), path="/", secure=secure, httponly=True, samesite="strict")
    return response


def _refuse_off(control: Control) -> None:
    if not control.on:
        problem = Problem(
            message="access control is off, as the page is open to this machine only",
            remedy="set 'password: true' under 'web:' in the station file to have it ask",
        )
        raise ApiError(409, problem)
