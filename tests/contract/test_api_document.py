"""docs/api/openapi.json says what the REST API does: every route with a summary, its answers, its examples and who may use it."""

import json
from typing import Any

import jsonschema
import pytest

from services.gateway.access.visitor import SCOPES
from services.gateway.documents import FILE, text

DOCUMENT: dict[str, Any] = json.loads(text())
OPERATIONS = [
    (f"{method.upper()} {path}", operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


def test_the_document_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run: make docs"


def test_the_same_routes_make_the_same_text() -> None:
    assert text() == text()


@pytest.mark.parametrize(("route", "operation"), OPERATIONS, ids=[route for route, _ in OPERATIONS])
def test_every_route_has_a_summary_and_its_good_answers_have_examples_that_fit(route: str, operation: dict[str, Any]) -> None:
    assert operation["summary"][0].isupper()
    good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
    assert good
    for status, answer in good.items():
        assert answer["content"], route
        for kind, content in answer["content"].items():
            example = content.get("example")
            assert example is not None, f"put an example of {route} {status} into services/gateway/examples.py"
            if kind == "application/json":
                fits(example, content["schema"])
            else:
                assert isinstance(example, str)


@pytest.mark.parametrize(("route", "operation"), OPERATIONS, ids=[route for route, _ in OPERATIONS])
def test_what_is_sent_has_examples_that_fit(route: str, operation: dict[str, Any]) -> None:
    if "requestBody" not in operation:
        return
    content = operation["requestBody"]["content"]["application/json"]
    shown = [one["value"] for one in content.get("examples", {}).values()] + content["schema"].get("examples", [])
    assert shown, f"{route} takes a body and shows none"
    for one in shown:
        fits(one, content["schema"])


@pytest.mark.parametrize(("route", "operation"), OPERATIONS, ids=[route for route, _ in OPERATIONS])
def test_every_route_says_who_may_use_it(route: str, operation: dict[str, Any]) -> None:
    if route == "GET /healthz":
        assert "security" not in operation
        return
    schemes = {name: scopes for one in operation["security"] for name, scopes in one.items()}
    assert set(schemes) == {"token", "session"} <= set(DOCUMENT["components"]["securitySchemes"])
    assert set(schemes["token"]) <= set(SCOPES)
    assert len(schemes["token"]) == 1
    assert {"400", "401", "403"} <= set(operation["responses"])


def fits(example: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(example)
