"""What each route asks of its visitors. A route that names no rule is for `admin` alone."""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.params import Depends as DependsParam
from fastapi.security import APIKeyCookie, HTTPBearer, SecurityScopes

from services.gateway.access.visitor import MEANING, Scope, Visitor
from services.gateway.problems import ApiError, Problem

_TOKEN = HTTPBearer(
    scheme_name="token",
    auto_error=False,
    description="An API token, made on the page under Access or by `sps access token make`. Its scopes: "
    + "; ".join(f"`{scope}`: {meaning}" for scope, meaning in MEANING.items()),
)
_SESSION = APIKeyCookie(
    name="sps_session",
    scheme_name="session",
    auto_error=False,
    description="A person's session, begun by POST /login (`__Host-sps_session` behind TLS). Writes carry `X-CSRF-Token`, too.",
)


def visitor_of(request: Request) -> Visitor | None:
    """Who asks; None for a stranger, whom the gate lets through to the open routes only."""
    visitor: Visitor | None = request.scope.get("visitor")
    return visitor


def require(scope: Scope) -> Any:
    """For a route's or a router's `dependencies`: only for visitors with `scope`."""
    return Security(_ruled, scopes=[scope])


async def _ruled(
    needed: SecurityScopes,
    request: Request,
    _token: Annotated[object, Depends(_TOKEN)],
    _session: Annotated[object, Depends(_SESSION)],
) -> None:
    for scope in needed.scopes:
        _refuse_without(request, scope)  # type: ignore[arg-type]  # only `require` writes them


async def open_to_all() -> None:
    """For a route's `dependencies`: no rule, by intention."""


async def strict_by_default(request: Request) -> None:
    """For the whole application: routes without a rule are for `admin`."""
    route = request.scope.get("route")
    if rule_of(route) is None:
        _refuse_without(request, "admin")


def rule_of(route: object) -> str | None:
    """The scope that `route` asks for, or `open`; None if it has no rule."""
    for dependency in getattr(route, "dependencies", ()):
        if isinstance(dependency, DependsParam):
            if dependency.dependency is open_to_all:
                return "open"
            if dependency.dependency is _ruled:
                return str(next(iter(getattr(dependency, "scopes", None) or ()), "admin"))
    return None


def _refuse_without(request: Request, scope: Scope) -> None:
    visitor = visitor_of(request)
    if visitor is None:  # the gate stands in front: this would be a defect of ours
        raise ApiError(401, Problem(message="who asks is not known", remedy="log in, or send an API token"))
    if not visitor.may(scope):
        raise ApiError(
            403, Problem(message=f"this needs the scope '{scope}'", field="Authorization", remedy=f"use a token that may {MEANING[scope]}")
        )
