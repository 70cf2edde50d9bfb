"""When a service's heart beats, and when it does not."""

import asyncio
import socket
from dataclasses import dataclass

import pytest

from services.bus.beating import Heartbeat
from services.bus.heartbeat import age_s, verdict
from services.bus.systemd import Systemd
from tests.support.waiting import wait_for


@dataclass(eq=False)
class Session:
    connected: bool = True


class Stopwatch:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def notified(tmp_path):
    """systemd's end of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def heard(sock: socket.socket) -> list[str]:
    lines = []
    while True:
        try:
            lines += sock.recv(4096).decode().split("\n")
        except BlockingIOError:
            return lines


def test_it_beats_while_a_session_is_up_and_never_without(tmp_path, watch) -> None:
    heart = Heartbeat("controller", tmp_path, Systemd(None), watch)
    heart.beat()
    assert not heart.path.exists()
    session, other = Session(connected=False), Session(connected=False)
    heart.follow(session)
    heart.follow(other)
    heart.beat()
    assert not heart.path.exists()
    other.connected = True
    heart.beat()
    assert age_s(heart.path, watch) == 0.0
    other.connected = False
    watch.now_s += 20
    heart.beat()
    assert age_s(heart.path, watch) == 20.0


def test_a_loop_that_does_not_come_round_silences_it(tmp_path, watch) -> None:
    heart = Heartbeat("controller", tmp_path, Systemd(None), watch)
    session = Session()
    heart.follow(session)
    heart.came_round("decision loop", 30)
    watch.now_s += 29
    heart.beat()
    assert age_s(heart.path, watch) == 0.0
    watch.now_s += 2
    heart.beat()
    assert age_s(heart.path, watch) == 2.0
    heart.came_round("decision loop", 30)
    heart.beat()
    assert age_s(heart.path, watch) == 0.0


def test_a_loop_that_ended_as_it_may_is_not_awaited(tmp_path, watch) -> None:
    heart = Heartbeat("controller", tmp_path, Systemd(None), watch)
    session = Session()
    heart.follow(session)
    heart.came_round("decision loop", 30)
    heart.ended("decision loop")
    watch.now_s += 100
    heart.beat()
    assert age_s(heart.path, watch) == 0.0


async def test_it_is_gone_when_the_service_is(tmp_path) -> None:
    heart = Heartbeat("recorder", tmp_path, Systemd(None))
    session = Session()
    heart.follow(session)
    running = asyncio.create_task(heart.run())
    await wait_for(lambda: verdict("recorder", tmp_path)[0])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not verdict("recorder", tmp_path)[0]


def test_systemd_hears_ready_once_and_the_watchdog_while_no_loop_hangs(tmp_path, watch, notified) -> None:
    heart = Heartbeat("controller", tmp_path, Systemd(notified.getsockname()), watch)
    heart.beat()
    # A broker that is away is nothing that a restart would mend.
    assert heard(notified) == ["READY=1", "WATCHDOG=1", "STATUS=controller: no session with the broker"]
    session = Session()
    heart.follow(session)
    heart.beat()
    heart.beat()
    assert heard(notified) == ["WATCHDOG=1", "STATUS=controller: running", "WATCHDOG=1"]
    heart.came_round("decision loop", 30)
    watch.now_s += 31
    heart.beat()
    assert heard(notified) == ["STATUS=controller: its decision loop hangs"]


def test_one_service_that_hangs_silences_the_watchdog_of_all_in_its_process(notified) -> None:
    systemd = Systemd(notified.getsockname())
    systemd.beat("gateway", running=True, status="gateway: running")
    systemd.beat("controller", running=False, status="controller: its decision loop hangs")
    heard(notified)
    systemd.beat("gateway", running=True, status="gateway: running")
    assert heard(notified) == ["STATUS=gateway: running"]
    systemd.gone("controller")
    systemd.beat("gateway", running=True, status="gateway: running")
    assert heard(notified) == ["WATCHDOG=1"]


def test_a_systemd_that_does_not_listen_harms_nobody(tmp_path) -> None:
    Systemd(str(tmp_path / "nobody")).beat("gateway", running=True, status="gateway: running")
    Systemd("@nobody-at-an-abstract-address").beat("gateway", running=True, status="gateway: running")


async def test_a_folder_that_cannot_be_written_is_said_once_and_costs_nothing_else(tmp_path, caplog) -> None:
    (tmp_path / "gateway").touch()
    heart = Heartbeat("gateway", tmp_path, Systemd(None))
    session = Session()
    heart.follow(session)
    heart.beat()
    heart.beat()
    assert [record.getMessage() for record in caplog.records] == [
        f"gateway: its heartbeat cannot be kept in {tmp_path / 'gateway' / 'alive'}: File exists"
    ]
