"""The power station over a plain local port, and beside it the simulator's own controls for tests and for `sps run`."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.config.base import Percent
from services.simulator.devices.faults import Faults, spoil
from services.simulator.http_server import HttpServer, Request, Response, json_response


class Controls(Protocol):
    """What the port shows and moves."""

    def status(self) -> dict[str, Any]:
        """What the power station says of itself."""
        ...

    def truth(self) -> dict[str, Any]:
        """All there is to know about the house."""
        ...

    def identity(self) -> dict[str, Any]:
        """Who answers here."""
        ...

    async def suffer(self, device: str, faults: Faults, *, reboot: bool) -> None:
        """Give `device` these faults. Raises ValueError, in words for a person."""
        ...

    async def set_grid(self, *, ok: bool) -> None:
        """Begin or end an outage."""
        ...

    def press(self, device: str) -> None:
        """Flip the switch at the wall of this relay. Raises ValueError, in words for a person."""
        ...

    def set_soc(self, pct: float) -> None:
        """Charge the battery by magic."""
        ...

    def set_ac_output(self, *, on: bool) -> None:
        """Press the power station's AC button."""
        ...

    def renew_lease(self, seconds: float | None) -> None:
        """Live on for so long; None for as long as said at the start."""
        ...


class _Order(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FaultOrder(Faults):
    """`POST /fault`: all faults of one device; those left out end."""

    device: str
    reboot: bool = False
    """Restart the relay now, into its initial state."""


class GridOrder(_Order):
    """`POST /grid`."""

    ok: bool


class PressOrder(_Order):
    """`POST /press`: the relay whose switch at the wall is flipped by hand."""

    device: str


class SocOrder(_Order):
    """`POST /soc`."""

    pct: Percent


class AcOutputOrder(_Order):
    """`POST /ac_output`."""

    on: bool


class LeaseOrder(_Order):
    """`POST /lease`; the body may be empty."""

    seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None


class StationPort:
    """The HTTP port at the battery's address."""

    def __init__(self, controls: Controls, *, host: str, port: int) -> None:
        self._controls = controls
        self._server = HttpServer(self._answer, host, port)
        self._faults = Faults()
        self._reads: dict[str, Callable[[], dict[str, Any]]] = {"/house": controls.truth, "/identity": controls.identity}
        self._writes: dict[str, Callable[[bytes], Awaitable[None]]] = {
            "/fault": self._fault,
            "/grid": self._grid,
            "/press": self._press,
            "/soc": self._soc,
            "/ac_output": self._ac_output,
            "/lease": self._lease,
        }

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        await self._server.start()

    async def stop(self) -> None:
        """Close the port."""
        await self._server.stop()

    def suffer(self, faults: Faults) -> None:
        """Have `faults` at `/status`; the controls stay usable."""
        self._faults = faults

    async def _answer(self, request: Request) -> Response | None:
        if request.method == "GET" and request.path == "/status":
            return await spoil(self._faults, json_response(self._controls.status()))
        if request.method == "GET" and request.path in self._reads:
            return json_response(self._reads[request.path]())
        if request.method == "POST" and request.path in self._writes:
            return await self._write(request)
        return json_response({"error": f"no {request.method} {request.path} here"}, HTTPStatus.NOT_FOUND)

    async def _write(self, request: Request) -> Response:
        # Browsers name the page that a write comes from; no page has business here.
        if "origin" in request.headers:
            return json_response({"error": "not for web pages"}, HTTPStatus.FORBIDDEN)
        try:
            await self._writes[request.path](request.body)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, wrong['loc'])) or 'the body'}: {wrong['msg']}" for wrong in error.errors()]
            return json_response({"error": "; ".join(problems)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        except ValueError as error:
            return json_response({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        return json_response({"ok": True})

    async def _fault(self, body: bytes) -> None:
        order = FaultOrder.model_validate_json(body)
        faults = Faults.model_validate(order.model_dump(exclude={"device", "reboot"}))
        await self._controls.suffer(order.device, faults, reboot=order.reboot)

    async def _grid(self, body: bytes) -> None:
        await self._controls.set_grid(ok=GridOrder.model_validate_json(body).ok)

    async def _press(self, body: bytes) -> None:
        self._controls.press(PressOrder.model_validate_json(body).device)

    async def _soc(self, body: bytes) -> None:
        self._controls.set_soc(SocOrder.model_validate_json(body).pct)

    async def _ac_output(self, body: bytes) -> None:
        self._controls.set_ac_output(on=AcOutputOrder.model_validate_json(body).on)

    async def _lease(self, body: bytes) -> None:
        self._controls.renew_lease(LeaseOrder.model_validate_json(body or b"{}").seconds)
