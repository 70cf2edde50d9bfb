"""TP-Link Kasa plugs that speak the IOT protocol, through python-kasa (GPL-3.0-or-later, the optional extra `kasa`).

No other file imports python-kasa, and this one does so only when a station is configured with it.

The address is `kasa://192.168.1.30`, with a port where it is not 9999. With a secret, the protocol is wrapped in KLAP, as newer
firmware wants it, over HTTP on port 80; the secret's file holds `e-mail:password` of the TP-Link account. Devices that speak
only TP-Link's SMART protocol (Tapo, and Kasa of the latest kind) are not switched by this driver.

The dead-man is a rule of the plug's own `count_down` table, which holds one. People use it as a fail-safe, but it is unproven by
us on real plugs, as is what a renewal (`edit_rule`) does to a running countdown: prove it with `sps relay verify-deadman`, or
say `deadman: none` in the configuration, and the plug is asked for no timer. These plugs cannot be told a state for after a
power cut: they return to the one before.
"""

from asyncio import IncompleteReadError
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from services.bus.loop_thread import LoopThread, NotFinished
from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.kasa_reply import Rule, is_metered, parse_rules, parse_status, result
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent, NotCarriedOut
from services.relay_bridge.status import Status, discrepancy, word

if TYPE_CHECKING:
    from kasa import BaseProtocol, DeviceConfig

T = TypeVar("T")

_RULE_NAME = "dead-man"
_EXCHANGES = 5
"""At most so many in one call, each with a time-out of its own for connecting and for the answer."""


def connect(device: RelayDevice, monotonic: Callable[[], float], password: str | None = None) -> "Kasa":  # noqa: ARG001 - plugs count down aloud
    """The driver for `device`. Raises ValueError for an unusable address, channel or secret, and where python-kasa is missing."""
    try:
        import kasa  # noqa: F401, PLC0415
    except ImportError:
        raise ValueError("driver: 'kasa' needs python-kasa; pip install 'smart-power-station[kasa]'") from None
    if device.channel != 0:
        raise ValueError(f"channel: {device.channel}; a Kasa plug has channel 0 alone")
    return Kasa(device.address, device.timeout_s, password)


def identify_for(device: RelayDevice) -> Callable[[str, float], str] | None:
    """How to tell the plug from others. With an account it cannot be told: who answers is asked without one."""
    return identify if device.secret is None else None


def identify(address: str, timeout_s: float) -> str:
    """The `deviceId` of the plug there. Raises DeviceError, or ValueError for an unusable address."""
    plug = Kasa(address, timeout_s)
    try:
        return plug.identity()
    finally:
        plug.close()


class Kasa:
    """One plug. Commands and polls have a connection each, so that neither waits for the other."""

    def __init__(self, address: str, timeout_s: float, secret: str | None = None) -> None:
        config = _config(address, timeout_s, secret)
        self._timeout_s = timeout_s
        self._loop = LoopThread(f"kasa {config.host}")
        self._config = config
        self._commands: BaseProtocol | None = None
        self._polls: BaseProtocol | None = None
        self._metered: bool | None = None
        """Whether it has a meter; None until it was asked, once."""
        self._counts = True
        """Whether it knows countdowns; without them it can do no more than `deadman: none` asks of it."""
        self._rule: str | None = None
        """The id of the rule last seen in the plug's table."""
        self._ruleless = False
        """Whether the table was last seen without one."""
        self._boot_state_told = False

    def status(self) -> Status:
        """See RelayDriver."""
        return self._call(self._status)

    def set(self, *, on: bool, timer_s: float | None) -> Status:
        """See RelayDriver. The plug has its timer before it takes the unsafe state, and loses it after it has left it."""
        status = self._call(lambda: self._set(on, timer_s))
        if (difference := discrepancy(status, on=on, timer_s=timer_s)) is not None:
            raise NotCarriedOut(difference, status)
        return status

    def ensure_boot_state(self, *, on: bool) -> bool:
        """See RelayDriver. Refused, but only once: there is nothing that anybody could change."""
        if not self._boot_state_told:
            self._boot_state_told = True
            raise DeviceRefused(f"it cannot be told to be {word(on)} after a power cut; it takes the state it had before")
        return False

    def identity(self) -> str:
        """What the plug is called for life."""
        return self._call(self._identity)

    def close(self) -> None:
        """See RelayDriver."""
        self._loop.close(self._close)

    def _call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return self._loop.call(work, 2 * _EXCHANGES * self._timeout_s)
        except NotFinished as error:
            raise DeviceSilent(f"the driver: {error}") from None

    async def _identity(self) -> str:
        self._polls = self._polls or _protocol(self._config)
        found = (await _ask(self._polls, "system", "get_sysinfo", {})).get("deviceId")
        if not isinstance(found, str) or not found:
            raise BadReply("deviceId", found, "a word")
        return found

    async def _status(self) -> Status:
        self._polls = self._polls or _protocol(self._config)
        return await self._read(self._polls)

    async def _set(self, on: bool, timer_s: float | None) -> Status:
        plug = self._commands = self._commands or _protocol(self._config)
        if timer_s is not None:
            await self._arm(plug, on=not on, delay_s=max(1, round(timer_s)))
        await _ask(plug, "system", "set_relay_state", {"state": int(on)})
        try:
            status = await self._read(plug, disarm=timer_s is None)
            # A plug may look up its rules before it deletes them.
            return await self._read(plug) if timer_s is None and status.timer_s is not None else status
        except DeviceRefused as error:
            # To the caller, refused would mean that nothing was switched.
            raise DeviceSilent(f"was set {word(on)}, but not read back: {error}") from error

    async def _arm(self, plug: "BaseProtocol", *, on: bool, delay_s: int) -> None:
        """Have the plug's one rule count anew: never without a rule in between, as deleting and adding it would be."""
        rule = {"enable": 1, "delay": delay_s, "act": int(on), "name": _RULE_NAME}
        known, ruleless, self._rule, self._ruleless = self._rule, self._ruleless, None, False
        try:
            if known is not None:
                await _ask(plug, "count_down", "edit_rule", rule | {"id": known})
            elif ruleless:
                await _ask(plug, "count_down", "add_rule", rule)
            else:
                await self._arm_unseen(plug, rule)
        except DeviceRefused:
            if known is None and not ruleless:
                raise
            # The table is not as it was last seen.
            await self._arm_unseen(plug, rule)
        self._counts = True

    async def _arm_unseen(self, plug: "BaseProtocol", rule: dict[str, Any]) -> None:
        if rules := await self._rules(plug):
            await _ask(plug, "count_down", "edit_rule", rule | {"id": rules[0].id})
        else:
            await _ask(plug, "count_down", "add_rule", rule)

    async def _rules(self, plug: "BaseProtocol") -> list[Rule]:
        return parse_rules(await _ask(plug, "count_down", "get_rules", {}))

    async def _read(self, plug: "BaseProtocol", *, disarm: bool = False) -> Status:
        """With `disarm`, delete its rules in the same exchange."""
        if self._metered is None:
            await self._learn(plug)
        request: dict[str, Any] = {"system": {"get_sysinfo": {}}}
        if self._counts:
            request["count_down"] = ({"delete_all_rules": {}} if disarm else {}) | {"get_rules": {}}
        if self._metered:
            request["emeter"] = {"get_realtime": {}}
        reply = await _query(plug, request)
        if self._counts and disarm:
            result(reply, "count_down", "delete_all_rules")
        rules = parse_rules(result(reply, "count_down", "get_rules")) if self._counts else []
        self._rule, self._ruleless = rules[0].id if rules else None, not rules and self._counts
        meter = result(reply, "emeter", "get_realtime") if self._metered else None
        return parse_status(result(reply, "system", "get_sysinfo"), meter, rules)

    async def _learn(self, plug: "BaseProtocol") -> None:
        """What it can be asked for: some plugs crash at what they do not know."""
        metered = is_metered(await _ask(plug, "system", "get_sysinfo", {}))
        try:
            await self._rules(plug)
        except DeviceRefused:
            self._counts = False
        self._metered = metered

    async def _close(self) -> None:
        for protocol in (self._commands, self._polls):
            if protocol is not None:
                await protocol.close()


def _config(address: str, timeout_s: float, secret: str | None) -> "DeviceConfig":
    from kasa import Credentials, DeviceConfig, DeviceConnectionParameters, DeviceEncryptionType, DeviceFamily  # noqa: PLC0415

    host, port = _endpoint(address)
    credentials = None
    encryption = DeviceEncryptionType.Xor
    if secret is not None:
        user, colon, password = secret.partition(":")
        if not colon:
            raise ValueError("secret: its file must hold the TP-Link account as 'e-mail:password'")
        credentials, encryption = Credentials(user, password), DeviceEncryptionType.Klap
    # A fraction of a second works as well as the whole ones that python-kasa's annotation knows.
    return DeviceConfig(
        host,
        timeout=timeout_s,  # type: ignore[arg-type]
        port_override=port,
        credentials=credentials,
        connection_type=DeviceConnectionParameters(DeviceFamily.IotSmartPlugSwitch, encryption),
    )


def _endpoint(address: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme != "kasa" or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"address: {address!r} is not usable; use one such as 'kasa://192.168.1.30'")
    return host, port


def _protocol(config: "DeviceConfig") -> "BaseProtocol":
    from kasa.device_factory import get_protocol  # noqa: PLC0415

    protocol = get_protocol(config)
    assert protocol is not None  # noqa: S101 - both kinds that _config makes are known to it
    return protocol


async def _ask(plug: "BaseProtocol", module: str, command: str, arguments: dict[str, Any]) -> dict[str, object]:
    return result(await _query(plug, {module: {command: arguments}}), module, command)


async def _query(plug: "BaseProtocol", request: dict[str, Any]) -> object:
    """The answer. A connection or session that turns out to be dead is opened anew, once: what we ask for may be asked for twice."""
    from kasa import AuthenticationError, KasaException  # noqa: PLC0415

    try:
        return await plug.query(request, retry_count=0)
    except KasaException as error:
        # Without a cause it is the device that refused: its session, perhaps, after a restart.
        dead = error.__cause__ is None or isinstance(error.__cause__, IncompleteReadError | ConnectionError)
        if not dead or isinstance(error, AuthenticationError):
            raise _why(error) from error
    try:
        return await plug.query(request, retry_count=0)
    except KasaException as error:
        raise _why(error) from error


def _why(error: Exception) -> DeviceError:
    from kasa import AuthenticationError  # noqa: PLC0415
    from kasa import TimeoutError as KasaTimeout  # noqa: PLC0415

    if isinstance(error, KasaTimeout):
        return DeviceSilent("did not answer in time")
    if isinstance(error, AuthenticationError):
        return DeviceRefused(f"refused the account: {error}")
    if isinstance(error.__cause__, ValueError):
        return BadReply("body", str(error.__cause__)[:60], "JSON in TP-Link's cipher")
    # What answers in another protocol has refused nothing, and may have switched.
    if "unexpected klap response" in str(error):
        return BadReply("body", str(error)[-60:], "a KLAP handshake")
    if error.__cause__ is None:
        return DeviceRefused(f"refused by the device: {str(error)[:200]}")
    return DeviceSilent(f"does not answer: {type(error.__cause__).__name__}")
