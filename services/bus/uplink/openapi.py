"""`python -m services.bus.uplink.openapi` writes what an aggregator must answer: `docs/aggregator/openapi.yaml`."""

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from services.bus.documents import Dumper
from services.bus.uplink.batches import Batch, BatchAccepted, EventBatch, FullBatch, HourBatch, Refusal, Registration
from services.bus.uplink.request_signature import SIGNATURE, TIMESTAMP, WINDOW_S
from services.core.config.aggregator import NAME

FILE = Path(__file__).parents[3] / "docs" / "aggregator" / "openapi.yaml"
VERSION = "1.0.0"
"""Raised when a path or a field changes its meaning or goes away."""
_MODELS = (EventBatch, HourBatch, FullBatch, BatchAccepted, Registration, Refusal)
_DESCRIPTION = f"""\
What a Smart Power Station sends to its aggregator, and what it expects to be answered. Bodies are JSON in UTF-8, packed with gzip.

- A batch is on the aggregator's disk before it answers 200. It comes again with the same `Idempotency-Key` and the same bytes until
  it is answered so; a key that was seen before is answered 200 with `duplicate: true`.
- Batches of one kind come in order. Of two records about the same `ts`, `start` or event the later one counts.
- A field that is left out is unknown, or not shared. It is never zero.
- 400, 409 and 422 are final: the station sets the batch aside and tells its person. 413 makes it send smaller ones. Everything else is
  tried again, after `Retry-After` (seconds or an HTTP date) where there is one. Redirects are not followed.
- With `hmac`, `{SIGNATURE}` is `v1=` and the hex of HMAC-SHA256 over `timestamp.METHOD.path.sha256hex(body as sent)`, and
  `{TIMESTAMP}` that timestamp in Unix seconds, at most {WINDOW_S} s off.
"""


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    _, schemas = models_json_schema([(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}")
    batch = TypeAdapter(Batch).json_schema(ref_template="#/components/schemas/{model}")
    definitions = {**schemas["$defs"], "Batch": {name: value for name, value in batch.items() if name != "$defs"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aggregator of Smart Power Stations",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://aggregator.example"}],
        "security": [{"bearer": []}, {"timestamp": [], "signature": []}],
        "paths": {
            "/v1/stations/{name}": {"parameters": [_name()], "put": _put()},
            "/v1/stations/{name}/batches": {"parameters": [_name()], "post": _post()},
            "/v1/stations/{name}/data": {"parameters": [_name()], "delete": _delete()},
        },
        "components": {
            "schemas": dict(sorted(definitions.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "timestamp": {"type": "apiKey", "in": "header", "name": TIMESTAMP},
                "signature": {"type": "apiKey", "in": "header", "name": SIGNATURE},
            },
        },
    }


def _name() -> dict[str, Any]:
    return {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "pattern": NAME}}


def _put() -> dict[str, Any]:
    return {
        "operationId": "register",
        "summary": "What the station is able to do, sent once and at each change",
        "requestBody": _body("Registration"),
        "responses": {"200": _answer("Taken.", None), **_refusals()},
    }


def _post() -> dict[str, Any]:
    key = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,128}$"}}
    return {
        "operationId": "upload",
        "summary": "Records of one level of sharing",
        "parameters": [key],
        "requestBody": _body("Batch"),
        "responses": {
            "200": _answer("On disk.", "BatchAccepted"),
            "409": _answer("The key was used for something else.", "Refusal"),
            "413": _answer("Too large: send smaller ones.", "Refusal"),
            **_refusals(),
        },
    }


def _delete() -> dict[str, Any]:
    return {
        "operationId": "forget",
        "summary": "Delete all data of this station, at its person's request",
        "responses": {"202": _answer("It will be deleted.", None), **_refusals()},
    }


def _body(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"required": True, "description": "With `Content-Encoding: gzip`.", "content": content}


def _answer(description: str, schema: str | None) -> dict[str, Any]:
    if schema is None:
        return {"description": description}
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _refusals() -> dict[str, Any]:
    wait = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds, or an HTTP date."}}
    return {
        "400": _answer("Not what was agreed.", "Refusal"),
        "401": _answer("Unknown token or signature.", "Refusal"),
        "403": _answer("Not this station's.", "Refusal"),
        "422": _answer("A field is wrong: which, and why.", "Refusal"),
        "429": {**_answer("Too often.", "Refusal"), "headers": wait},
        "503": {**_answer("Not now.", "Refusal"), "headers": wait},
    }


def text() -> str:
    """The document as it stands in the file."""
    return yaml.dump(document(), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=140)


def main() -> int:
    """Write it."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
