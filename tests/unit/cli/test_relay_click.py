"""A click puts the relay back, whatever goes wrong in the middle of it."""

import pytest

from services.cli import relay
from services.relay_bridge.errors import DeviceSilent
from services.relay_bridge.status import Status


class Flaky:
    """A relay whose calls with these numbers get no answer, though it may have obeyed."""

    def __init__(self, on: bool, silent: set[int], obeys: bool) -> None:
        self.on = on
        self.timer_s: float | None = None
        self.wishes: list[tuple[bool, float | None]] = []
        self._silent, self._obeys, self._calls = silent, obeys, 0

    def _answers(self) -> bool:
        self._calls += 1
        return self._calls not in self._silent

    def status(self) -> Status:
        if not self._answers():
            raise DeviceSilent("no answer")
        return Status(on=self.on, timer_s=self.timer_s)

    def set(self, *, on: bool, timer_s: float | None) -> Status:
        self.wishes.append((on, timer_s))
        answers = self._answers()
        if answers or self._obeys:
            self.on, self.timer_s = on, timer_s
        if not answers:
            raise DeviceSilent("no answer")
        return Status(on=self.on, timer_s=self.timer_s)

    def ensure_boot_state(self, *, on: bool) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr("services.cli.relay.time.sleep", lambda _: None)


@pytest.mark.parametrize("obeys", [True, False])
@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("silent", [{1}, {2}, {2, 3}, {2, 3, 4, 5}, {1, 3}])
def test_relay_stands_as_before_without_a_timer(on, silent, obeys):
    device = Flaky(on, silent, obeys)
    with pytest.raises(DeviceSilent):
        relay.click(device, Status(on=on), 2, 4.0)
    assert (device.on, device.timer_s) == (on, None)


def test_click_carries_the_devices_own_way_back():
    device = Flaky(on=True, silent=set(), obeys=True)
    relay.click(device, Status(on=True), 1, 4.0)
    assert device.wishes == [(False, 4.0), (True, None)]
