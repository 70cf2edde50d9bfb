"""Broker, simulated house and services together: up in order, and down in the opposite one."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import requests

from services.bus import interpreter, metrics
from services.bus.broker import BrokerError, start_broker
from services.bus.runtime import Context
from services.cli.exits import CommandFailed
from services.cli.simulation import SimulatorProcess
from services.cli.supervisor import load, run_all
from services.core.config.web import WebPage, local_url

READY_WAIT_S = 30.0
"""How long the first decision may take before we say how to reach the page all the same."""
READY_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What one `sps run` is to start."""

    services: Sequence[str]
    broker: bool = False
    simulator: SimulatorProcess | None = None
    ready: Callable[[], None] | None = None
    """Called once the page answers and the controller has decided."""


async def serve(context: Context, plan: Plan) -> None:
    """Run what `plan` says until SIGINT or SIGTERM. Raises CommandFailed if broker or simulator do not come up."""
    station = context.station
    stop = asyncio.Event()
    _stop_on_signals(stop, plan.simulator)
    async with AsyncExitStack() as stack:
        stack.enter_context(metrics.served(context.deployment))
        if plan.broker:
            try:
                await stack.enter_async_context(start_broker(station.broker, context.var))
            except BrokerError as error:
                raise CommandFailed(str(error)) from None
        if plan.simulator is not None:
            stack.push_async_callback(plan.simulator.stop)
            await plan.simulator.ensure()
            _in_background(stack, plan.simulator.keep())
        if plan.ready is not None:
            _in_background(stack, _when_deciding(station.web, plan.ready))
        services = load(plan.services)
        _in_background(stack, interpreter.settle())
        await run_all(services, context, stop)


def _stop_on_signals(stop: asyncio.Event, simulator: SimulatorProcess | None) -> None:
    """The first signal stops in order, the second at once."""

    def on_signal(number: int) -> None:
        if not stop.is_set():
            stop.set()
            return
        if simulator is not None:
            simulator.kill()
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)


def _in_background(stack: AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


async def _when_deciding(page: WebPage, ready: Callable[[], None]) -> None:
    """Call `ready` once the page knows of a decision: from then on a command typed by hand is heard."""
    for _ in range(round(READY_WAIT_S / READY_POLL_S)):
        if await asyncio.to_thread(_decides, f"{local_url(page.host, page.port)}/healthz"):
            break
        await asyncio.sleep(READY_POLL_S)
    ready()


def _decides(address: str) -> bool:
    try:
        return requests.get(address, timeout=2).json().get("deciding") is True
    except (requests.RequestException, ValueError):
        return False
