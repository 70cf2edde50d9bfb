"""A Shelly Gen2 with one or more switches, at wire level: JSON-RPC over HTTP and WebSocket.

Frames and error codes: https://shelly-api-docs.shelly.cloud/gen2/General/RPCProtocol and .../CommonErrors. Errors of `POST /rpc` come
in a frame with HTTP 200; those of `/rpc/<Method>` bare, with HTTP 404 or 500, as the firmware's RPC library does it.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from services.simulator.devices.shelly_auth import DigestGate
from services.simulator.devices.shelly_device import ShellyDevice
from services.simulator.devices.shelly_socket import Sockets
from services.simulator.devices.shelly_switch import Switch
from services.simulator.http_server import Request, Response, json_response

INVALID_ARGUMENT = -103
NOT_FOUND = -105
NO_HANDLER = 404
_OPEN = ("Shelly.GetDeviceInfo",)
"""Answered without the password, as `/shelly` is."""

Params = dict[str, Any]


class RpcError(Exception):
    """An error frame."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message}


class ShellyGen2(ShellyDevice):
    """The device, with JSON-RPC over HTTP and WebSocket. With a `password` it asks for it, except for who it is."""

    def __init__(
        self, name: str, switches: dict[int, Switch], *, host: str, port: int, powered: bool = True, password: str | None = None
    ) -> None:
        self.sockets = Sockets(self._socket_frame, lambda: self.mute)
        super().__init__(name, switches, self._respond, host=host, port=port, powered=powered, upgrade=self.sockets.serve)
        model, self._app = ("SNSW-001P16EU", "Plus1PM") if len(switches) == 1 else ("SNSW-102P16EU", "Plus2PM")
        self._id = f"shelly{self._app.lower()}-{self.mac.lower()}"
        self.gate = DigestGate(self._id, password) if password is not None else None
        self._info = {
            "name": name, "id": self._id, "mac": self.mac, "slot": 0, "model": model, "gen": 2,
            "fw_id": "20231219-133934/1.1.0-g34b5d4f", "ver": "1.1.0", "app": self._app,
            "auth_en": self.gate is not None, "auth_domain": self._id if self.gate else None,
        }  # fmt: skip
        self._methods: dict[str, Callable[[Params], object]] = {
            "Shelly.GetDeviceInfo": lambda _: self._info,
            "Shelly.GetStatus": lambda _: self._status(),
            "Shelly.ListMethods": lambda _: {"methods": sorted(self._methods)},
            "Switch.Set": self._set,
            "Switch.Toggle": self._toggle,
            "Switch.GetStatus": lambda params: self._with_id(params, lambda switch: switch.status()),
            "Switch.GetConfig": lambda params: self._with_id(params, lambda switch: switch.config.model_dump()),
            "Switch.SetConfig": self._set_config,
            "Switch.ResetCounters": lambda params: {"aenergy": {"total": round(self._switch(params).reset_counter(), 3)}},
        }
        for number, switch in self.switches.items():
            switch.changed = partial(self._tell, number, switch)

    def _tell(self, number: int, switch: Switch) -> None:
        status = {"id": number, "output": switch.reported, "source": switch.source}
        self.sockets.notify(self._id, {"ts": round(time.time(), 2), f"switch:{number}": status})

    def _respond(self, request: Request) -> Response:
        if request.path == "/shelly":
            return json_response(self._info)
        if self.gate and not self._open_to_all(request) and not self.gate.admits(request.method, request.headers.get("authorization", "")):
            return Response(HTTPStatus.UNAUTHORIZED, b"", "text/plain", headers=(self.gate.header(),))
        if request.path == "/rpc" and request.method == "POST":
            return self._frame(request.body)
        if request.path.startswith("/rpc/"):
            try:
                params = _object(request.body) if request.body else {name: _value(text) for name, text in request.query.items()}
                return json_response(self._call(request.path.removeprefix("/rpc/"), params))
            except RpcError as error:
                status = HTTPStatus.NOT_FOUND if error.body["code"] == NO_HANDLER else HTTPStatus.INTERNAL_SERVER_ERROR
                return json_response(error.body, status)
        return Response(HTTPStatus.NOT_FOUND, b"Not Found", "text/plain")

    def _open_to_all(self, request: Request) -> bool:
        if request.path == "/rpc" and request.method == "POST":
            try:
                return _object(request.body).get("method") in _OPEN
            except RpcError:
                return False
        return request.path.removeprefix("/rpc/") in _OPEN

    def answer_frame(self, body: bytes) -> dict[str, Any]:
        """The answer of a healthy device to a frame that comes by another way than HTTP: as over a WebSocket."""
        return self._socket_frame(body)

    def _socket_frame(self, body: bytes) -> dict[str, Any]:
        """The answer to a frame that came over a WebSocket, where the password is proved within the frame."""
        try:
            frame = _object(body)
        except RpcError as refusal:
            return refusal.body
        if self.gate and frame.get("method") not in _OPEN and not self.gate.admits_frame(frame.get("auth")):
            error = {"code": int(HTTPStatus.UNAUTHORIZED), "message": json.dumps(self.gate.challenge())}
            return {"id": frame.get("id"), "src": self._id, "dst": frame.get("src"), "error": error}
        answered: dict[str, Any] = json.loads(self._frame(body).body)
        return answered

    def _frame(self, body: bytes) -> Response:
        try:
            frame = _object(body)
        except RpcError as error:
            return json_response(error.body, HTTPStatus.BAD_REQUEST)
        answer = {"id": frame.get("id"), "src": self._id}
        if "src" in frame:
            answer["dst"] = frame["src"]
        try:
            params = frame.get("params") or {}
            return json_response(answer | {"result": self._call(_argument(frame, "method", str), _checked(params))})
        except RpcError as error:
            return json_response(answer | {"error": error.body})

    def _call(self, method: str, params: Params) -> object:
        if (handler := self._methods.get(method)) is None:
            raise RpcError(NO_HANDLER, f"No handler for {method}")
        return handler(params)

    def _switch(self, params: Params) -> Switch:
        number = _argument(params, "id", int)
        if number not in self.switches:
            raise RpcError(NOT_FOUND, f"Argument 'id', value {number} not found!")
        return self.switches[number]

    def _with_id(self, params: Params, read: Callable[[Switch], dict[str, Any]]) -> dict[str, Any]:
        return {"id": params.get("id")} | read(self._switch(params))

    def _set(self, params: Params) -> object:
        switch = self._switch(params)
        on = _argument(params, "on", bool)
        toggle_after_s = None
        if params.get("toggle_after") is not None:
            toggle_after_s = float(_argument(params, "toggle_after", int, float))
            if not 0.0 < toggle_after_s <= 86_400 * 365:
                raise RpcError(INVALID_ARGUMENT, f"Invalid argument 'toggle_after': {toggle_after_s:g}")
        return {"was_on": switch.put(on=on, source="HTTP_in", toggle_after_s=toggle_after_s)}

    def _toggle(self, params: Params) -> object:
        switch = self._switch(params)
        return {"was_on": switch.put(on=not switch.output, source="HTTP_in", toggle_after_s=None)}

    def _set_config(self, params: Params) -> object:
        switch = self._switch(params)
        change: dict[str, Any] = _argument(params, "config", dict)
        try:
            switch.configure({name: value for name, value in change.items() if name != "id"})
        except ValidationError as error:
            wrong = error.errors()[0]
            raise RpcError(INVALID_ARGUMENT, f"Invalid argument '{'.'.join(map(str, wrong['loc']))}': {wrong['msg']}") from None
        return {"restart_required": False}

    def _status(self) -> dict[str, Any]:
        unixtime = int(time.time())
        switches = {f"switch:{number}": {"id": number} | switch.status() for number, switch in self.switches.items()}
        return switches | {
            "sys": {
                "mac": self.mac,
                "restart_required": False,
                "time": time.strftime("%H:%M", time.gmtime(unixtime)),
                "unixtime": unixtime,
                "uptime": self.uptime_s,
                "available_updates": {},
            },
            "wifi": {"sta_ip": "127.0.0.1", "status": "got ip", "ssid": "simulated", "rssi": -50},
            "cloud": {"connected": False},
            "mqtt": {"connected": False},
        }


def _object(body: bytes) -> Params:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    return _checked(value)


def _checked(value: object) -> Params:
    if not isinstance(value, dict):
        raise RpcError(INVALID_ARGUMENT, "Invalid frame: not a JSON object")
    return value


def _value(text: str) -> object:
    """A query parameter: JSON where it is JSON, else a string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _argument(params: Params, name: str, *kinds: type) -> Any:
    value = params.get(name)
    if value is None:
        raise RpcError(INVALID_ARGUMENT, f"Missing required '{name}'")
    # To Python a bool is an int; to the device it is not.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise RpcError(INVALID_ARGUMENT, f"Invalid argument '{name}': {str(value)[:40]}")
    return value
