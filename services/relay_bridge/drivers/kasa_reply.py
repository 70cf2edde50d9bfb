"""Strict reading of what a Kasa plug answers in the IOT protocol. Pure."""

from dataclasses import dataclass

from services.relay_bridge.drivers.shelly_json import Reply, number
from services.relay_bridge.errors import BadReply, DeviceRefused
from services.relay_bridge.status import Status


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the plug's table of countdowns."""

    id: str
    enabled: bool
    on: bool
    """What it will switch to."""
    left_s: float
    """Until then, by the plug; its whole duration where the plug does not tell."""


def result(reply: object, module: str, command: str) -> Reply:
    """What `command` of `module` gave. Raises DeviceRefused for an error of the plug's, BadReply for anything else."""
    if not isinstance(reply, dict):
        raise BadReply("body", reply, "a JSON object")
    answered = _object(reply, module)
    _refuse_error(answered, module)
    answer = _object(answered, command, f"{module}.")
    _refuse_error(answer, f"{module}.{command}")
    return answer


def is_metered(sysinfo: Reply) -> bool:
    """Whether the plug measures; asked for what they lack, some crash. Raises DeviceRefused for what is not a plug."""
    children = sysinfo.get("children")
    if isinstance(children, list) and children:
        raise DeviceRefused(f"is a strip of {len(children)} sockets; this driver switches single plugs")
    features = sysinfo.get("feature")
    return isinstance(features, str) and "ENE" in features.split(":")


def parse_status(sysinfo: Reply, meter: Reply | None, rules: list[Rule]) -> Status:
    """The status from `system.get_sysinfo`, `emeter.get_realtime` and `count_down.get_rules`. Raises BadReply."""
    state = sysinfo.get("relay_state")
    if isinstance(state, bool) or state not in (0, 1):
        raise BadReply("relay_state", state, "0 or 1")
    on = state == 1
    meter = meter or {}
    left_s = [rule.left_s for rule in rules if rule.enabled and rule.on != on]
    return Status(
        on=on,
        power_w=_reading(meter, "power_mw", "power", -20_000, 20_000),
        voltage_v=_reading(meter, "voltage_mv", "voltage", 0, 500),
        current_a=_reading(meter, "current_ma", "current", -100, 100),
        energy_wh=_energy_wh(meter),
        timer_s=min(left_s, default=None),
    )


def parse_rules(answer: Reply) -> list[Rule]:
    """The rules in `count_down.get_rules`. Raises BadReply."""
    rules = answer.get("rule_list")
    if not isinstance(rules, list):
        raise BadReply("rule_list", rules, "a list")
    return [_rule(rule) for rule in rules]


def _rule(rule: object) -> Rule:
    entry = rule if isinstance(rule, dict) else {}
    identity = entry.get("id")
    if not isinstance(identity, str) or not identity:
        raise BadReply("rule_list.id", identity, "a word")
    delay_s = number(entry, "delay", 0, 1e7, "rule_list.")
    left_s = number(entry, "remain", 0, 1e7, "rule_list.")
    enable, act = entry.get("enable"), entry.get("act")
    if enable not in (0, 1) or act not in (0, 1) or delay_s is None:
        raise BadReply("rule_list", entry, "rules with enable, act and delay")
    return Rule(identity, enable == 1, act == 1, delay_s if left_s is None else left_s)


def _reading(meter: Reply, thousandths: str, whole: str, low: float, high: float) -> float | None:
    """Newer firmware counts in thousandths; older in units."""
    value = number(meter, thousandths, low * 1000, high * 1000)
    return number(meter, whole, low, high) if value is None else value / 1000


def _energy_wh(meter: Reply) -> float | None:
    value = number(meter, "total_wh", 0, 1e10)
    if value is None and (kwh := number(meter, "total", 0, 1e7)) is not None:
        return kwh * 1000
    return value


def _object(reply: Reply, name: str, prefix: str = "") -> Reply:
    value = reply.get(name)
    if not isinstance(value, dict):
        raise BadReply(prefix + name, value, "a JSON object")
    return value


def _refuse_error(answer: Reply, what: str) -> None:
    code = answer.get("err_code", 0)
    if code != 0:
        raise DeviceRefused(f"refused by the device: {what}: {str(answer.get('err_msg', 'error'))[:100]} ({code})")
