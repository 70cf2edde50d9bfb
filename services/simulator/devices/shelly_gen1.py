"""A Shelly of the first generation (1PM, Plug S, 2.5) at wire level: plain HTTP with Basic authentication.

https://shelly-api-docs.shelly.cloud/gen1/ : `/shelly`, `/status`, `/relay/<n>`, `/settings/relay/<n>`. Its meter counts
watt-minutes, and its timer is told in whole seconds.
"""

import time
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from services.simulator.devices.shelly_auth import basic_admits
from services.simulator.devices.shelly_device import ShellyDevice
from services.simulator.devices.shelly_switch import Switch
from services.simulator.http_server import Request, Response, json_response

_BOOT_WORDS = {"off": "off", "on": "on", "last": "restore_last", "switch": "match_input"}
"""Gen1's words for what Gen2 calls `initial_state`."""
_WATT_MINUTES_PER_WH = 60.0


class ShellyGen1(ShellyDevice):
    """The device. With a `password` it asks for it, except at `/shelly`."""

    def __init__(
        self, name: str, switches: dict[int, Switch], *, host: str, port: int, powered: bool = True, password: str | None = None
    ) -> None:
        super().__init__(name, switches, self._respond, host=host, port=port, powered=powered)
        self._password = password
        self._type = "SHSW-PM" if len(switches) == 1 else "SHSW-25"

    def _respond(self, request: Request) -> Response:
        if request.path == "/shelly":
            return json_response(self._info())
        if self._password is not None and not basic_admits(self._password, request.headers.get("authorization", "")):
            challenge = ("WWW-Authenticate", f'Basic realm="shelly{self._type.lower()}-{self.mac}"')
            return Response(HTTPStatus.UNAUTHORIZED, b"401 Unauthorized", "text/plain", headers=(challenge,))
        if request.path == "/status":
            return json_response(self._status())
        what, _, number = request.path.rpartition("/")
        switch = self.switches.get(int(number)) if number.isascii() and number.isdigit() else None
        if switch is not None and what == "/relay":
            return self._relay(switch, request.query)
        if switch is not None and what == "/settings/relay":
            return self._settings(switch, request.query)
        return Response(HTTPStatus.NOT_FOUND, b"Not Found", "text/plain")

    def _relay(self, switch: Switch, query: dict[str, str]) -> Response:
        turn, timer = query.get("turn"), query.get("timer", "0")
        if turn is not None:
            if turn not in ("on", "off", "toggle"):
                return _bad("Bad turn!")
            if not (timer.isascii() and timer.isdigit()):
                return _bad("Bad timer!")
            on = not switch.output if turn == "toggle" else turn == "on"
            switch.put(on=on, source="http", toggle_after_s=float(timer) or None)
        return json_response(_relay(switch))

    def _settings(self, switch: Switch, query: dict[str, str]) -> Response:
        if (word := query.get("default_state")) is not None:
            if word not in _BOOT_WORDS:
                return _bad("Bad default_state!")
            switch.configure({"initial_state": _BOOT_WORDS[word]})
        for name in ("auto_on", "auto_off"):
            if (text := query.get(name)) is not None:
                try:
                    delay_s = float(text)
                    switch.configure({name: delay_s > 0.0} | ({f"{name}_delay": delay_s} if delay_s > 0.0 else {}))
                except (ValueError, ValidationError):
                    return _bad(f"Bad {name}!")
        config = switch.config
        word = next(gen1 for gen1, gen2 in _BOOT_WORDS.items() if gen2 == config.initial_state)
        return json_response(
            {
                "name": config.name, "appliance_type": "General", "ison": switch.reported, "has_timer": switch.timer is not None,
                "default_state": word, "btn_type": "toggle", "btn_reverse": 0,
                "auto_on": config.auto_on_delay if config.auto_on else 0.0, "auto_off": config.auto_off_delay if config.auto_off else 0.0,
                "schedule": False, "schedule_rules": [],
            }
        )  # fmt: skip

    def _info(self) -> dict[str, Any]:
        return {
            "type": self._type, "mac": self.mac, "auth": self._password is not None, "fw": "20230913-112003/v1.14.0-gcb84623",
            "discoverable": True, "longid": 1, "num_outputs": len(self.switches), "num_meters": len(self.switches),
        }  # fmt: skip

    def _status(self) -> dict[str, Any]:
        unixtime = int(time.time())
        switches = [self.switches[number] for number in sorted(self.switches)]
        meters = [_meter(switch, unixtime) for switch in switches]
        celsius = 35.0 + sum(meter["power"] for meter in meters) / 250.0
        return {
            "wifi_sta": {"connected": True, "ssid": "simulated", "ip": "127.0.0.1", "rssi": -50},
            "cloud": {"enabled": False, "connected": False},
            "mqtt": {"connected": False},
            "time": time.strftime("%H:%M", time.gmtime(unixtime)),
            "unixtime": unixtime,
            "serial": 1,
            "has_update": False,
            "mac": self.mac,
            "relays": [_relay(switch) for switch in switches],
            "meters": meters,
            "temperature": round(celsius, 2),
            "overtemperature": False,
            "tmp": {"tC": round(celsius, 2), "tF": round(celsius * 1.8 + 32.0, 2), "is_valid": True},
            "uptime": self.uptime_s,
        }


def _relay(switch: Switch) -> dict[str, Any]:
    timer, left_s = switch.timer, switch.timer_left_s
    return {
        "ison": switch.reported,
        "has_timer": timer is not None,
        "timer_started": int(timer[0]) if timer else 0,
        "timer_duration": int(timer[1]) if timer else 0,
        "timer_remaining": int(left_s) if left_s is not None else 0,
        "overpower": False,
        "source": switch.source,
    }


def _meter(switch: Switch, unixtime: int) -> dict[str, Any]:
    measured, counted_wh = switch.measure()
    return {
        "power": round(measured.power_w, 2),
        "overpower": 0.0,
        "is_valid": True,
        "timestamp": unixtime,
        "counters": [round(measured.power_w, 3)] * 3,
        "total": int(counted_wh * _WATT_MINUTES_PER_WH),
    }


def _bad(why: str) -> Response:
    return Response(HTTPStatus.BAD_REQUEST, why.encode(), "text/plain")
