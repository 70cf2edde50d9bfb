"""What tests of all kinds share."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from services.bus.client import Bus
from services.bus.clock import Clock, SystemClock
from tests.support.brokers import KINDS, TestBroker
from tests.support.plain_client import PlainClient

# A busy machine is no failing property.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestBroker]:
    """A running broker; each test that asks for it runs once with Mosquitto and once with the embedded one."""
    folder = tmp_path / "broker"
    folder.mkdir()
    running = TestBroker(request.param, folder)
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture
def plain(broker: TestBroker) -> Iterator[PlainClient]:
    """A bare client that records everything on the broker."""
    with PlainClient(broker.host, broker.port) as client:
        yield client


@pytest.fixture
def make_bus(broker: TestBroker) -> Callable[..., Bus]:
    """Makes a bus client for station `demo`, by its service's name."""

    def make(service: str = "controller", clock: Clock | None = None) -> Bus:
        return Bus("demo", service, (broker.host, broker.port), clock=clock or SystemClock(), jitter=random.Random(1))

    return make


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Containers need an engine and several minutes: they are tested when asked for, by `make test-compose`."""
    return True if collection_path.name == "compose" and not any("compose" in argument for argument in config.args) else None
