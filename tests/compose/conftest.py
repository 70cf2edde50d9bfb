"""One engine, one build and one stack for the session; further stacks for what goes wrong at a start."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compose.base import tarball
from tests.compose.engine import Engine, NoEngine, running_engine
from tests.compose.stack import SERVICES, Stack, station_folder
from tests.support.ports import free_port
from tests.support.waiting import wait_until

WITHOUT = "SPS_WITHOUT_ENGINE"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine with the stand-in image; where none can be had the run fails, unless SPS_WITHOUT_ENGINE=1 says otherwise."""
    if os.environ.get(WITHOUT) == "1":
        pytest.skip(f"{WITHOUT}=1: no container was started")
    try:
        with running_engine() as running:
            running.import_stand_in(tarball())
            yield running
    except NoEngine as why:
        pytest.fail(f"no engine: {why}; {WITHOUT}=1 goes without, and proves less")


@pytest.fixture(scope="session")
def make_stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Makes stacks, built and not yet up, and takes them down at the end."""
    made: list[Stack] = []

    def make(project: str, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Stack:
        folder: Path = tmp_path_factory.mktemp(project)
        station_folder(folder / "config", change)
        stack = Stack(engine, project, folder, free_port())
        if not made:
            stack.compose("build", timeout_s=1500)
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.remove()


@pytest.fixture(scope="session")
def stack(make_stack: Callable[..., Stack]) -> Stack:
    """The shipped station, simulated in real time, up and healthy."""
    running = make_stack("sps")
    running.compose("up", "--detach")
    for service in ("mosquitto", *SERVICES):
        wait_until(lambda service=service: running.health(service) == "healthy", 90, what=f"{service} to be healthy")  # type: ignore[misc]
    return running
