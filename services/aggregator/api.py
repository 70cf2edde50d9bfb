"""What stations talk to: registration, batches, and the deletion of what they sent."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine

from services.aggregator import api_document, api_refusals, bodies, metrics
from services.aggregator.admission import Admission
from services.aggregator.config import AggregatorFile
from services.aggregator.gate import Gate, Refused
from services.aggregator.store import deletion, ingest, stations
from services.aggregator.store.writer import Writer
from services.bus.clock import Clock
from services.bus.uplink.batches import KEY, MAX_BODY_BYTES, BatchAccepted, Refusal
from services.core.config.aggregator import NAME
from services.core.problems import field_problems

Name = Annotated[str, Path(pattern=NAME, description="The station's name in the network.")]


class DeletionAsked(BaseModel):
    """The answer 202 to a request to delete."""

    deletion: str
    """Its id, by which the receipt is asked for."""


class DeletionState(BaseModel):
    """Where a deletion stands. `receipt` is a JWS by the aggregator's key, once it is done."""

    done: bool
    receipt: str | None = None


def create_api(
    file: AggregatorFile, engine: Engine, writer: Writer, gate: Gate, clock: Clock, deletion_asked: Callable[[], None]
) -> FastAPI:
    """The stations' side, and nothing else."""
    app = FastAPI(
        title="Aggregator",
        version=version("smart-power-station"),
        description="Where stations register, send what their people share, and have it deleted.",
        docs_url=None,
        redoc_url=None,
        responses={status: {"model": Refusal, "description": text} for status, text in api_refusals.MEANINGS.items()},
    )
    api_refusals.install(app)
    admission = Admission(gate)

    @app.put("/v1/stations/{name}", response_class=Response, openapi_extra=api_document.body("Registration"))
    async def register(request: Request, name: Name) -> Response:
        """What the station can do, as far as its person shares it."""
        async with admission.of(request, name) as body:
            said = await _checked(api_document.REGISTRATION, body)
            _same_network(said.network, file.network)
            now = clock.now()
            await writer.do(lambda connection: stations.register(connection, name, said, now))
            return Response()

    @app.post("/v1/stations/{name}/batches", openapi_extra=api_document.body("Batch"))
    async def take(request: Request, name: Name, idempotency_key: Annotated[str, Header(pattern=KEY)]) -> BatchAccepted:
        """Records of one level of sharing. The answer 200 says that they are on disk."""
        async with admission.of(request, name, file.api.max_body_bytes, MAX_BODY_BYTES) as body:
            batch = await _checked(api_document.BATCH, body)
            _same_network(batch.network, file.network)
            one = ingest.Submitted(name, idempotency_key, hashlib.sha256(body).hexdigest(), batch, clock.now())
            try:
                return metrics.counted(batch.kind, await writer.do(lambda connection: ingest.take(connection, one)))
            except ingest.KeyReused:
                raise Refused(409, "this key stood for another batch before", field="Idempotency-Key") from None

    @app.delete("/v1/stations/{name}/data", status_code=202)
    async def delete(request: Request, name: Name) -> DeletionAsked:
        """Have all that the station ever sent deleted. The receipt tells when it is done. A withdrawn one may, too."""
        async with admission.of(request, name, withdrawn=True):
            pass
        deletion_id, now = secrets.token_hex(12), clock.now()
        await writer.do(lambda connection: deletion.request(connection, deletion_id, name, now))
        deletion_asked()
        return DeletionAsked(deletion=deletion_id)

    @app.get("/v1/stations/{name}/deletions/{deletion_id}")
    async def deleted(request: Request, name: Name, deletion_id: Annotated[str, Path(pattern="^[0-9a-f]{24}$")]) -> DeletionState:
        """Whether a deletion is done, and its receipt."""
        async with admission.of(request, name, withdrawn=True):
            pass
        known, receipt = await asyncio.to_thread(_reading, engine, lambda connection: deletion.receipt_of(connection, name, deletion_id))
        if not known:
            raise Refused(404, "there is no such deletion of this station")
        return DeletionState(done=receipt is not None, receipt=receipt)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Whether requests are answered."""
        return {"status": "ok"}

    api_document.complete(app)
    return app


async def _checked(model: TypeAdapter[Any], body: bytes) -> Any:
    try:
        return await asyncio.to_thread(model.validate_json, body) if bodies.is_large(body) else model.validate_json(body)
    except ValidationError as error:
        problem = field_problems(error)[0]
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            raise Refused(400, f"the body is not JSON: {problem.remedy}") from None
        value = f" {problem.value} is refused;" if problem.value else ""
        raise Refused(422, f"{problem.field or 'the body'}:{value} {problem.remedy}", field=problem.field or None) from None


def _reading(engine: Engine, work: Callable[[Connection], Any]) -> Any:
    with engine.connect() as connection:
        return work(connection)


def _same_network(said: str, ours: str) -> None:
    if said != ours:
        raise Refused(422, f"network: {said!r} is not served here; this is {ours!r}", field="network")
