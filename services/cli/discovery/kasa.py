"""TP-Link Kasa plugs, by asking everybody on the local network at once.

The IOT protocol over UDP: JSON, each byte XORed with the one before in the cipher, the first with 171. Plugs with newer
firmware answer at another port, in clear but only to say who they are; those want the account's password (KLAP).
"""

import asyncio
import json
from collections.abc import Sequence

from services.cli.discovery.found import Finding, Kind, Outcome

TECHNIQUE = "Kasa broadcast"
PORT = 9999
NEWER_PORT = 20002
_QUERY = b'{"system":{"get_sysinfo":{}}}'
_NEWER_QUERY = bytes.fromhex("020000010000000000000000463cb5d3")
_NEWER_HEADER = 16
_FIRST_KEY = 171
_ASK_EVERY_S = 1.0
"""A broadcast may be lost, so it is repeated."""

Address = tuple[str, int]


async def search(seconds: float, targets: Sequence[Address] = (("255.255.255.255", PORT), ("255.255.255.255", NEWER_PORT))) -> Outcome:
    """Ask `targets` again and again for so long."""
    loop = asyncio.get_running_loop()
    answers: dict[Address, bytes] = {}
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(answers), local_addr=("0.0.0.0", 0), allow_broadcast=True)  # noqa: S104 - to hear the answers
    except OSError as error:
        return Outcome(TECHNIQUE, problem=f"cannot open a socket: {error.strerror or error}")
    problem = ""
    try:
        until = loop.time() + seconds
        while loop.time() < until:
            for host, port in targets:
                try:
                    transport.sendto(_NEWER_QUERY if port == NEWER_PORT else encrypt(_QUERY), (host, port))
                except OSError as error:
                    problem = f"cannot ask {host}: {error.strerror or error}"
            await asyncio.sleep(min(_ASK_EVERY_S, max(0.0, until - loop.time())))
    finally:
        transport.close()
    found = tuple(finding for address, answer in answers.items() if (finding := plug(address, answer)) is not None)
    return Outcome(TECHNIQUE, found, "" if found else problem)


def encrypt(plain: bytes) -> bytes:
    """The protocol's XOR over UDP, where no length goes before."""
    cipher = bytearray()
    key = _FIRST_KEY
    for byte in plain:
        key ^= byte
        cipher.append(key)
    return bytes(cipher)


def decrypt(cipher: bytes) -> bytes:
    """The inverse of `encrypt`."""
    return bytes(byte ^ before for byte, before in zip(cipher, bytes([_FIRST_KEY]) + cipher[:-1], strict=False))


def plug(address: Address, answer: bytes) -> Finding | None:
    """The plug that answers so from there; None for what is no plug's answer."""
    host, port = address
    try:
        said = json.loads(answer[_NEWER_HEADER:] if port == NEWER_PORT else decrypt(answer))
    except (ValueError, RecursionError):
        return None
    return _newer(host, said) if port == NEWER_PORT else _older(host, port, said)


def _older(host: str, port: int, said: object) -> Finding | None:
    info = _part(_part(said, "system"), "get_sysinfo")
    model = _text(info, "model")
    if not model or "relay_state" not in info:
        return None
    where = f"kasa://{host}" if port == PORT else f"kasa://{host}:{port}"
    return Finding(Kind.RELAY, _text(info, "alias") or model, model, "kasa", where, (TECHNIQUE,))


def _newer(host: str, said: object) -> Finding | None:
    result = _part(said, "result")
    model = _text(result, "device_model")
    if not model:
        return None
    usable = _text(result, "device_type").startswith("IOT.")
    note = "wants the account's e-mail and password: a secret" if usable else "speaks only the SMART protocol, for which there is no driver"
    return Finding(Kind.RELAY, f"{model} at {host}", model, "kasa" if usable else "", f"kasa://{host}", (TECHNIQUE,), note=note)


def _part(said: object, name: str) -> dict[str, object]:
    part = said.get(name) if isinstance(said, dict) else None
    return part if isinstance(part, dict) else {}


def _text(said: dict[str, object], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


class _Answers(asyncio.DatagramProtocol):
    """Keeps the last answer from each address."""

    def __init__(self, answers: dict[Address, bytes]) -> None:
        self._answers = answers

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._answers[addr[0], addr[1]] = data

    def error_received(self, exc: Exception) -> None:
        """A refusal from one address says nothing about the others."""
