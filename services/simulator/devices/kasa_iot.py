"""What a TP-Link Kasa plug with a meter (HS110 and its kin) does and answers, in the IOT protocol's JSON.

Commands: https://github.com/softScheck/tplink-smartplug/blob/master/tplink-smarthome-commands.txt, and what python-kasa sends. Assumed,
since no source says it: a countdown ends with a power cut, switching leaves a countdown alone, and editing a rule starts it anew.
"""

import asyncio
import math
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from services.simulator.devices.shelly_switch import Switch

UNKNOWN_MODULE = {"err_code": -1, "err_msg": "module not support"}
UNKNOWN_MEMBER = {"err_code": -2, "err_msg": "member not support"}
BAD_ARGUMENT = {"err_code": -3, "err_msg": "invalid argument"}
TABLE_FULL = {"err_code": -10, "err_msg": "table is full"}
NO_SUCH_RULE = {"err_code": -14, "err_msg": "entry not exist"}
_DONE = {"err_code": 0}

Answer = dict[str, Any]
Arguments = dict[str, Any]


class Countdown:
    """The plug's table of countdown rules: it holds one, which stays, disabled, after it has run out."""

    def __init__(self, act: Callable[[bool], None]) -> None:
        self._act = act
        self._rule: Arguments | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._made = 0

    @property
    def left_s(self) -> float | None:
        """Real seconds until it acts; None while nothing counts down."""
        return None if self._timer is None else max(0.0, self._timer.when() - asyncio.get_running_loop().time())

    def clear(self, _: Arguments | None = None) -> Answer:
        """Forget the rule."""
        self._stop()
        self._rule = None
        return _DONE

    def add(self, arguments: Arguments) -> Answer:
        """A rule where there is none."""
        if self._rule is not None:
            return TABLE_FULL
        self._made += 1
        return self._take(arguments, blake2b(str(self._made).encode(), digest_size=16).hexdigest().upper())

    def edit(self, arguments: Arguments) -> Answer:
        """Another content for the rule with this id; it counts anew."""
        if self._rule is None or arguments.get("id") != self._rule["id"]:
            return NO_SUCH_RULE
        return self._take(arguments, self._rule["id"])

    def rules(self, _: Arguments) -> Answer:
        """The table."""
        left_s = self.left_s
        remain = 0 if left_s is None else math.ceil(left_s)
        return {"rule_list": [self._rule | {"remain": remain}] if self._rule else [], "err_code": 0}

    def _take(self, arguments: Arguments, identity: str) -> Answer:
        enable, delay, act = (arguments.get(name) for name in ("enable", "delay", "act"))
        if enable not in (0, 1) or act not in (0, 1) or not isinstance(delay, int) or delay < 0:
            return BAD_ARGUMENT
        self._stop()
        self._rule = {"enable": enable, "id": identity, "name": str(arguments.get("name", "")), "delay": delay, "act": act}
        if enable:
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)
        return {"id": identity, "err_code": 0}

    def _fire(self) -> None:
        self._timer = None
        if self._rule is not None:
            self._rule["enable"] = 0
            self._act(bool(self._rule["act"]))

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class KasaIot:
    """The plug's side of the conversation."""

    def __init__(self, name: str, switch: Switch, *, metered: bool = True) -> None:
        self.switch = switch
        self.countdown = Countdown(lambda on: self._switch(on=on))
        self.broken = False
        """Answers every command with an error."""
        self._metered = metered
        self._switched_at = time.monotonic()
        digest = blake2b(name.encode(), digest_size=20).hexdigest().upper()
        self._identity = {
            "sw_ver": "1.5.6 Build 191114 Rel.104204",
            "hw_ver": "4.0",
            "type": "IOT.SMARTPLUGSWITCH",
            "model": "HS110(EU)" if metered else "HS100(EU)",
            "mac": ":".join(digest[i : i + 2] for i in range(0, 12, 2)),
            "dev_name": "Smart Wi-Fi Plug With Energy Monitoring" if metered else "Smart Wi-Fi Plug",
            "alias": name,
            "deviceId": digest,
            "hwId": digest[:32],
            "oemId": digest[8:40],
            "feature": "TIM:ENE" if metered else "TIM",
        }
        self._members: dict[str, dict[str, Callable[[Arguments], Answer]]] = {
            "system": {"get_sysinfo": self._sysinfo, "set_relay_state": self._set_relay_state},
            "time": {
                "get_time": lambda _: dict(zip(("year", "month", "mday", "hour", "min", "sec"), time.gmtime(), strict=False)) | _DONE,
                "get_timezone": lambda _: {"index": 38, "err_code": 0},
            },
            "count_down": {
                "get_rules": self.countdown.rules,
                "add_rule": self.countdown.add,
                "edit_rule": self.countdown.edit,
                "delete_all_rules": self.countdown.clear,
            },
        }
        if metered:
            self._members["emeter"] = {"get_realtime": self._realtime}

    def boot(self) -> None:
        """As after a power cut: the state of before, which is all that these plugs know. The first time, the switch's initial state."""
        self.countdown.clear()
        self.switch.boot()
        self.switch.configure({"initial_state": "restore_last"})

    def halt(self) -> None:
        """Lose power."""
        self.countdown.clear()
        self.switch.halt()

    def answer(self, request: object) -> object:
        """What it says to a request: module by module, command by command, in the order asked."""
        if not isinstance(request, dict):
            return {"err_code": -4, "err_msg": "json format error"}
        return {module: self._module(module, commands) for module, commands in request.items()}

    def _module(self, module: str, commands: object) -> object:
        members = self._members.get(module)
        if members is None or not isinstance(commands, dict):
            return UNKNOWN_MODULE
        return {name: self._command(members, name, arguments) for name, arguments in commands.items()}

    def _command(self, members: dict[str, Callable[[Arguments], Answer]], name: str, arguments: object) -> Answer:
        if self.broken or name not in members:
            return UNKNOWN_MEMBER
        return members[name](arguments if isinstance(arguments, dict) else {})

    def _sysinfo(self, _: Arguments) -> Answer:
        on = self.switch.reported
        return self._identity | {
            "relay_state": int(on),
            "on_time": int(time.monotonic() - self._switched_at) if on else 0,
            "active_mode": "none" if self.countdown.left_s is None else "count_down",
            "rssi": -54,
            "led_off": 0,
            "updating": 0,
            "err_code": 0,
        }

    def _set_relay_state(self, arguments: Arguments) -> Answer:
        state = arguments.get("state")
        if state not in (0, 1):
            return BAD_ARGUMENT
        self._switch(on=bool(state))
        return _DONE

    def _realtime(self, _: Arguments) -> Answer:
        measured, counted_wh = self.switch.measure()
        current_a = measured.power_w / measured.voltage_v if measured.voltage_v else 0.0
        thousandths = {"voltage_mv": measured.voltage_v, "current_ma": current_a, "power_mw": measured.power_w}
        return {name: round(1000.0 * value) for name, value in thousandths.items()} | {"total_wh": round(counted_wh), "err_code": 0}

    def _switch(self, *, on: bool) -> None:
        self._switched_at = time.monotonic()
        self.switch.put(on=on, source="kasa", toggle_after_s=None)
