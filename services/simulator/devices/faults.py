"""What can be wrong with an emulated device, on demand."""

import asyncio
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

from services.simulator.http_server import Response


class Faults(BaseModel):
    """The faults of one device. As built, it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    silent: bool = False
    """Accepts connections and never answers."""
    refuse: bool = False
    """Does not accept connections."""
    delay_s: float = Field(default=0.0, ge=0, le=600)
    """Answers this many real seconds late. What was asked for is done at once."""
    http_500: bool = False
    nonsense: bool = False
    """Answers something that is not JSON."""
    half: bool = False
    """Breaks off in the middle of its answer."""
    wrong_state: bool = False
    """A relay that reports the opposite of what its contact does."""
    welded: bool = False
    """A relay whose contact stays closed, whatever it reports."""
    counter_reset: bool = False
    """A relay whose energy counter starts at zero again, once, at the moment of this order."""
    nack: bool = False
    """A chip on a bus that does not acknowledge its address: OSError 121."""
    stuck: bool = False
    """A chip that finishes no more conversions: its registers keep their values."""
    wrong_identity: bool = False
    """Another chip of the family answers at the address."""


async def spoil(faults: Faults, response: Response) -> Response | None:
    """What of `response` reaches the client."""
    if faults.delay_s:
        await asyncio.sleep(faults.delay_s)
    if faults.silent:
        return None
    if faults.http_500:
        return Response(HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal Server Error", "text/plain")
    if faults.nonsense:
        return Response(HTTPStatus.OK, b"\xff\xfe<html>not what you asked for", "text/html")
    if faults.half:
        return Response(response.status, response.body, response.content_type, cut=True, headers=response.headers)
    return response
