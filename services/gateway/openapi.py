"""The API's description of itself, with an example of every answer."""

from typing import Any

from fastapi import FastAPI

from services.gateway.examples import ANSWERS, PROBLEM

DESCRIPTION = """\
One station: its state, its demand-response events, its history and its preferences. Times are UTC, units stand in the names, and a null
is unknown. Every refusal is a Problem: what is wrong, the field, its value, and what would be right.

On the machine's own loopback the API is open. Beyond it, and in a container, send `Authorization: Bearer <token>`; the scope that a route
needs stands in its `security`. `admin` includes all others.
"""


def describe(app: FastAPI) -> None:
    """Have `app` put the examples into its description."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _exemplify(f"{method.upper()} {path}", operation["responses"])
            document["components"]["schemas"]["Problem"]["examples"] = [PROBLEM]
        return app.openapi_schema or plain()

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _exemplify(route: str, responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        example = ANSWERS.get(f"{route} {status}", ANSWERS.get(route)) if status.startswith("2") else None
        if example is not None:
            for content in response.get("content", {}).values():
                content.setdefault("example", example)
