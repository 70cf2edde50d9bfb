"""Every route, every scope, with and without a session: generated from the application, so that a new route without a rule fails."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from services.core.config.web import WebPage
from services.gateway.access.control import Control, Settings
from services.gateway.access.gate import OPEN, Gate
from services.gateway.access.rules import require, rule_of, strict_by_default
from services.gateway.access.visitor import SCOPES, Scope
from services.gateway.documents import bare_app
from services.gateway.problems import install
from tests.support.access import Browser, GuardedHouse

PARAMETERS = {"position": "p1", "code": "en", "event_id": "unknown", "action": "cancel", "token_id": "00000000"}
READ_BY_POST = {"/logout", "/login", "/api/sharing/example", "/preferences/sharing/example"}
"""They change nothing of the station."""
ENDS_ITSELF = {"/logout", "/access/password"}
"""Routes that a session does not survive, or that would need the password."""


@dataclass(frozen=True)
class Rule:
    method: str
    path: str
    needs: str | None

    @property
    def concrete(self) -> str:
        return re.sub(r"{(\w+)}", lambda match: PARAMETERS[match[1]], self.path)


def rules() -> list[Rule]:
    found = [
        Rule(method, route.path, rule_of(route))
        for route in (context.original_route for context in iter_route_contexts(bare_app().routes))
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
    assert len(found) > 10
    return found


RULES = rules()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedHouse]:
    with GuardedHouse(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="module")
def person(house: GuardedHouse) -> Browser:
    return house.browser().log_in()


@pytest.fixture(scope="module")
def tokens(house: GuardedHouse, person: Browser) -> dict[Scope, dict[str, str]]:
    # `person` first: the wrong logins that follow would make them wait.
    return {scope: house.bearer(scope) for scope in SCOPES}


def status(house: GuardedHouse, rule: Rule, **headers: str) -> int:
    body = {} if rule.method not in ("GET", "HEAD") else None
    with requests.request(
        rule.method, house.url + rule.concrete, headers=headers, stream=True, json=body, allow_redirects=False, timeout=10
    ) as answer:
        return answer.status_code


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.path}")
def test_every_route_names_its_rule_and_is_open_only_if_the_gate_knows(rule: Rule) -> None:
    assert rule.needs in (*SCOPES, "open"), f"give it dependencies=[require(...)]: {rule}"
    assert (rule.needs == "open") == (rule.path in OPEN), f"services/gateway/access/gate.py and its route disagree: {rule}"
    if rule.method not in ("GET", "HEAD") and rule.path not in READ_BY_POST:
        assert rule.needs != "read", f"a write needs more than read: {rule}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.path}")
@pytest.mark.parametrize("scope", [None, *SCOPES])
def test_a_scope_opens_its_routes_and_no_others(house: GuardedHouse, tokens, rule: Rule, scope: Scope | None) -> None:
    got = status(house, rule, **({} if scope is None else tokens[scope]))
    if rule.needs == "open":
        assert got not in (401, 403) or rule.path == "/login"
    elif scope is None:
        assert got == 401
    elif scope in (rule.needs, "admin"):
        assert got not in (401, 403)
    else:
        assert got == 403


@pytest.mark.parametrize("rule", [r for r in RULES if r.path not in ENDS_ITSELF], ids=lambda rule: f"{rule.method} {rule.path}")
def test_a_session_opens_reads_and_writes_with_its_token_only(house: GuardedHouse, person: Browser, rule: Rule) -> None:
    cookie = "; ".join(f"{c.name}={c.value}" for c in person.cookies)
    bare, full = status(house, rule, Cookie=cookie), status(house, rule, Cookie=cookie, **{"X-CSRF-Token": person.csrf()})
    if rule.path == "/login":
        return
    assert full not in (401, 403)
    assert bare == 403 if rule.method not in ("GET", "HEAD") else bare == full


def test_a_route_without_a_rule_is_for_admins_alone(tmp_path: Path) -> None:
    app = FastAPI(dependencies=[Depends(strict_by_default)])
    install(app)
    app.add_api_route("/forgotten", lambda: "seen")
    app.add_api_route("/ruled", lambda: "seen", dependencies=[require("read")])
    control = Control(Settings(True, WebPage(password=True), tmp_path, tmp_path / "first"), lambda: 0.0)
    app.add_middleware(Gate, control=control)
    house = GuardedHouse.__new__(GuardedHouse)
    house.store = control.store
    assert asked(app, "/forgotten", house.bearer("read", "events", "preferences")) == 403
    assert asked(app, "/ruled", house.bearer("read")) == 200
    assert asked(app, "/forgotten", house.bearer("admin")) == 200


def asked(app: FastAPI, path: str, headers: dict[str, str]) -> int:
    """The status of a GET, straight through ASGI."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw}
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])
