"""What the stations' API says of itself: its bodies are read by hand, within bounds, so they are described by hand, too."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from services.bus.uplink.batches import Batch, EventBatch, FullBatch, HourBatch, Registration

BATCH: TypeAdapter[Any] = TypeAdapter(Batch)
REGISTRATION = TypeAdapter(Registration)
_REFERENCE = "#/components/schemas/{model}"


def body(name: str) -> dict[str, Any]:
    """A route's `openapi_extra`: its body is a Batch or a Registration."""
    schema = {"Registration": REGISTRATION, "Batch": BATCH}[name].json_schema(ref_template=_REFERENCE)
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def complete(app: FastAPI) -> None:
    """Have `app` describe the records, too, and how a station shows who it is."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            models = [(model, "validation") for model in (EventBatch, HourBatch, FullBatch, Registration)]
            _, schemas = models_json_schema(models, ref_template=_REFERENCE)  # type: ignore[arg-type]
            made["components"]["schemas"] |= schemas["$defs"]
            made["components"]["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "signature": {"type": "apiKey", "in": "header", "name": "X-SPS-Signature", "description": "With X-SPS-Timestamp."},
            }
            for path, operations in made["paths"].items():
                for operation in operations.values() if path.startswith("/v1/") else ():
                    operation["security"] = [{"bearer": []}, {"signature": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
