"""Shellys over HTTP: from `relay/p1/command` to the confirmed state, and from a flip by hand to the published one."""

import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import requests
import yaml

from tests.benchmarks.figure import Figure
from tests.benchmarks.reaction import process
from tests.benchmarks.relays_more import Call, Told, one, seconds, station_file
from tests.support.brokers import TestBroker

FLIPS = 100
POLL_S = 1.0
_CALL_S = 10.0


def measure() -> list[Figure]:
    """The p99 of both generations, and of a flip by hand with push and without."""
    confirmed = [one("shelly_gen2", bare_gen2), one("shelly_gen1", bare_gen1)]
    pushed, polled = flips(push=True), flips(push=False)
    return [
        *confirmed,
        wall_switch("wall_switch", pushed, polled, push=True),
        wall_switch("wall_switch_polled", polled, pushed, push=False),
    ]


def bare_gen2(stack: ExitStack, address: str) -> tuple[Call, Callable[[], None]]:
    """`requests` alone, on a kept connection."""
    session = stack.enter_context(requests.Session())
    session.trust_env = False

    def call(method: str, **params: object) -> None:
        session.post(f"{address}/rpc", json={"id": 1, "method": method, "params": params}, timeout=_CALL_S).json()

    return lambda on: call("Switch.Set", id=0, on=on), partial(call, "Switch.GetStatus", id=0)


def bare_gen1(stack: ExitStack, address: str) -> tuple[Call, Callable[[], None]]:
    """Likewise."""
    session = stack.enter_context(requests.Session())
    session.trust_env = False

    def get(path: str) -> None:
        session.get(address + path, timeout=_CALL_S).json()

    return lambda on: get(f"/relay/0?turn={'on' if on else 'off'}"), partial(get, "/status")


def flips(*, push: bool) -> list[float]:
    """How long each of many flips took to be published, in seconds."""
    with ExitStack() as stack:
        devices = stack.enter_context(process("tests.benchmarks.relay_device", "shelly_gen2"))
        assert devices.stdout is not None
        p1, p2, _ = (devices.stdout.readline().strip() for _ in range(3))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = TestBroker("mosquitto", folder)
        broker.start()
        stack.callback(broker.close)
        told = Told(broker.host, broker.port)
        stack.callback(told.close)
        file = station_file(folder, "shelly_gen2", broker, p1, p2)
        station = yaml.safe_load(file.read_text(encoding="utf-8"))
        for relay in station["positions"].values():
            relay |= {"push": push, "poll_s": POLL_S}
        file.write_text(yaml.safe_dump(station), encoding="utf-8")
        stack.enter_context(process("services.relay_bridge", "--config", str(file), "--var", str(folder / "var")))
        told.state(lambda state: state["on"] is True)
        time.sleep(1.0)
        # Past the bridge, as a hand does: the device tells of it and is polled just the same.
        by_hand, _ = bare_gen2(stack, p1)
        return [flip(told, by_hand, on=number % 2 == 1) for number in range(FLIPS)]


def flip(told: Told, by_hand: Call, *, on: bool) -> float:
    """One flip, at a time that falls anywhere between two polls."""
    time.sleep(random.uniform(0.1, 0.1 + POLL_S))
    return seconds(lambda: (by_hand(on), told.state(lambda state: state["on"] is on))[1])


def wall_switch(name: str, ours: list[float], other: list[float], *, push: bool) -> Figure:
    """The figure from both samples, in seconds."""
    p99, other_p99 = (statistics.quantiles(samples, n=100, method="inclusive")[-1] for samples in (ours, other))
    how = ("with push", "without") if push else ("without push", "with")
    conditions = (
        f"p99 of {len(ours)} flips past the bridge to relay/p1/state {how[0]}: {p99:.3f} s, p50 {statistics.median(ours):.3f} s, worst "
        f"{max(ours):.3f} s; reference, the same {how[1]}: p99 {other_p99:.3f} s, p50 {statistics.median(other):.3f} s; polled every "
        f"{POLL_S:g} s, emulated Gen2 in a process of its own on loopback, Mosquitto, {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
    return Figure(name, p99, "s", other_p99, 1.0 if push else POLL_S, conditions)
