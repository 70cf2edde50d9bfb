"""A device is known by its id: found again where it moved, never mistaken for another."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.core.config.hardware import RelayDevice
from services.relay_bridge.errors import DeviceRefused, DeviceSilent
from services.relay_bridge.located import LONGEST_SEARCH_WAIT_S, SEARCH_AFTER_S, Located, Ways
from services.relay_bridge.mdns import lookup_near, named
from services.relay_bridge.status import Status

MAC, OTHER = "A8032412AB34", "A80324FFFFFF"
HOME, AWAY, ELSEWHERE = "http://192.0.2.20", "http://192.0.2.77", "http://192.0.2.99"


class FakeDriver:
    def __init__(self, network: "Network", device: RelayDevice) -> None:
        self.network = network
        self.address = device.address
        self.closed = False

    def status(self) -> Status:
        if self.address not in self.network.hosts:
            raise DeviceSilent("does not answer")
        return Status(True)

    def set(self, *, on: bool, timer_s: float | None) -> Status:
        self.status()
        self.network.switched.append(self.network.hosts[self.address])
        return Status(on, timer_s=timer_s)

    def ensure_boot_state(self, *, on: bool) -> bool:
        self.status()
        return False

    def close(self) -> None:
        self.closed = True


@dataclass
class Network:
    """Who answers where, without a wire."""

    hosts: dict[str, str]
    now: float = 0.0
    announced: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lookups: int = 0
    switched: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    drivers: list[FakeDriver] = field(default_factory=list)

    def identify(self, address: str, timeout_s: float) -> str:
        self.asked.append(address)
        if address not in self.hosts:
            raise DeviceSilent("does not answer")
        return self.hosts[address]

    def lookup(self, device_id: str) -> list[str]:
        self.lookups += 1
        return self.announced

    def connect(self, device: RelayDevice) -> FakeDriver:
        self.drivers.append(FakeDriver(self, device))
        return self.drivers[-1]

    def located(self, folder: Path, **more: object) -> Located:
        device = RelayDevice.model_validate({"address": HOME} | more)
        return Located(
            device, Ways(self.connect, self.identify, self.lookup, lambda: self.now, self.moved.append), folder / "device-p1.json"
        )

    def silent_for(self, located: Located, seconds: float, every_s: float = 1.0) -> None:
        """Poll in vain."""
        end = self.now + seconds
        while self.now < end:
            with pytest.raises((DeviceSilent, DeviceRefused)):
                located.status()
            self.now += every_s


def test_who_answers_is_asked_once_and_remembered(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path)
    assert [located.status().on for _ in range(3)] == [True] * 3
    located.set(on=False, timer_s=60.0)
    assert network.asked == [HOME]
    assert MAC in (tmp_path / "device-p1.json").read_text()


def test_after_a_while_of_silence_it_is_found_by_its_announcement(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path)
    located.status()
    network.hosts, network.announced = {AWAY: MAC, ELSEWHERE: OTHER}, [ELSEWHERE, AWAY]
    network.silent_for(located, SEARCH_AFTER_S + 1)
    assert located.set(on=False, timer_s=60.0).timer_s == 60.0
    assert network.switched == [MAC]
    assert network.moved == [AWAY]
    assert [driver.closed for driver in network.drivers] == [True, False]


def test_it_is_found_among_the_addresses_of_the_station_file(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path, also_at=[ELSEWHERE, AWAY])
    located.status()
    network.hosts = {AWAY: MAC}
    network.silent_for(located, SEARCH_AFTER_S + 1)
    assert located.status().on


def test_a_short_silence_starts_no_search(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path)
    located.status()
    for _ in range(3):
        network.hosts = {}
        network.silent_for(located, SEARCH_AFTER_S - 1)
        network.hosts = {HOME: MAC}
        located.status()
    assert network.lookups == 0


def test_searching_in_vain_becomes_rarer(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path)
    located.status()
    network.hosts = {}
    network.silent_for(located, 3600.0, every_s=10.0)
    assert 3600 / LONGEST_SEARCH_WAIT_S - 2 <= network.lookups <= 3600 / LONGEST_SEARCH_WAIT_S + 5


def test_where_it_was_found_is_known_after_a_restart(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path, also_at=[AWAY])
    located.status()
    network.hosts = {AWAY: MAC}
    network.silent_for(located, SEARCH_AFTER_S + 1)
    located.status()
    network.asked.clear()
    assert network.located(tmp_path).status().on
    assert network.asked == [AWAY]


def test_back_at_its_old_address_it_is_found_there(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path, also_at=[AWAY])
    located.status()
    for address in (AWAY, HOME, AWAY):
        network.hosts = {address: MAC}
        network.silent_for(located, SEARCH_AFTER_S + 1)
        assert located.status().on
    assert network.moved == [AWAY, HOME, AWAY]


def test_a_stranger_at_the_address_is_not_switched(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    network.located(tmp_path).status()
    network.hosts = {HOME: OTHER}
    located = network.located(tmp_path)
    calls: list[Callable[[], object]] = [
        lambda: located.set(on=False, timer_s=60.0), located.status, lambda: located.ensure_boot_state(on=True),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(DeviceRefused, match=f"another device \\({OTHER}\\) answers at {HOME} than the known one \\({MAC}\\)") as caught:
            call()
        assert "device-p1.json" in caught.value.remedy
    assert network.switched == []
    network.hosts |= {AWAY: MAC}
    network.announced = [AWAY]
    network.silent_for(located, SEARCH_AFTER_S + 1)
    located.set(on=False, timer_s=60.0)
    assert network.switched == [MAC]


def test_a_stranger_that_came_during_a_silence_is_not_switched(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    located = network.located(tmp_path)
    located.status()
    network.hosts = {}
    network.silent_for(located, 2)
    network.hosts = {HOME: OTHER}
    with pytest.raises(DeviceRefused):
        located.set(on=False, timer_s=60.0)
    assert network.switched == []


def test_another_line_in_the_station_file_is_another_device(tmp_path: Path) -> None:
    network = Network({HOME: MAC})
    network.located(tmp_path).status()
    network.hosts = {AWAY: OTHER}
    assert network.located(tmp_path, address=AWAY).status().on


@pytest.mark.parametrize("memory", [b"", b"{", b"[]", b'{"id": 5}', b"\xff"])
def test_a_spoilt_memory_is_made_anew(tmp_path: Path, memory: bytes) -> None:
    (tmp_path / "device-p1.json").write_bytes(memory)
    network = Network({HOME: MAC})
    assert network.located(tmp_path).status().on
    assert MAC in (tmp_path / "device-p1.json").read_text()


@pytest.mark.parametrize(
    ("service", "its"),
    [
        ("shellyplus1pm-a8032412ab34._shelly._tcp.local.", True),
        ("ShellyPlus1PM-A8032412AB34._shelly._tcp.local.", True),
        ("shelly1pm-12AB34._http._tcp.local.", True),
        ("shellyplus1pm-a80324ffffff._shelly._tcp.local.", False),
        ("printer-12AB34._http._tcp.local.", False),
        ("shellyplus1pm._shelly._tcp.local.", False),
    ],
)
def test_the_names_a_device_announces_itself_by(service: str, its: bool) -> None:
    assert named(service, MAC) is its


def test_nothing_is_asked_of_the_network_about_a_simulated_device() -> None:
    assert lookup_near("http://127.0.0.1:18081", MAC) == []
    assert lookup_near("http://localhost:18081", MAC) == []
