"""What `make install` puts in place: units that systemd understands and finds tight, and commands in them that really run.

systemd itself is not booted here: its part towards the services (the notify socket) is played.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from services.bus.deployment import Deployment
from services.cli.supervisor import SERVICES
from tests.support.needs import need_mosquitto, need_systemd_analyze
from tests.support.sps import station_file, wait_for

REPO = Path(__file__).parents[2]
PLACES = ("/opt/smart-power-station", "/etc/smart-power-station", "/var/lib/smart-power-station")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A root folder with the station installed."""
    need_systemd_analyze()
    need_mosquitto()
    found: Path = tmp_path_factory.mktemp("root")
    environment = os.environ | {"DESTDIR": str(found), "VENV": sys.prefix}
    subprocess.run([REPO / "systemd" / "install.sh"], env=environment, check=True, capture_output=True)
    return found


class Unit:
    """An installed unit with its drop-ins, as systemd reads it: a later value of most settings takes the place of an earlier one."""

    def __init__(self, root: Path, name: str, instance: str = "") -> None:
        folder = root / "etc" / "systemd" / "system"
        files = [folder / name, *sorted((folder / f"{name.replace('@', f'@{instance}')}.d").glob("*.conf"))]
        self.settings: dict[str, list[str]] = {}
        for file in files:
            for line in file.read_text().splitlines():
                if (match := re.fullmatch(r"([A-Za-z]+)=(.*)", line)) is not None:
                    self.settings.setdefault(match[1], []).append(match[2].replace("%i", instance))
        self._root = root

    def command(self, setting: str) -> list[str]:
        """With the places of the installed system moved under the root."""
        text = self.settings[setting][-1]
        for place in PLACES:
            text = text.replace(place, f"{self._root}{place}")
        return shlex.split(text)

    def __getitem__(self, setting: str) -> str:
        return self.settings[setting][-1]


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_understands_every_unit(root) -> None:
    units = [f"sps@{service}.service" for service in (*SERVICES, "simulator")]
    said = analyze("verify", f"--root={root}", *units, "sps-broker.service", "sps.target").stderr
    # The root holds our units and nothing else of a system.
    expected = r"Failed to create .*/start: Unit sysinit\.target not found|is not executable: No such file"
    assert not [line for line in said.splitlines() if not re.search(expected, line)]


@pytest.mark.parametrize("unit", [*(f"sps@{service}.service" for service in (*SERVICES, "simulator")), "sps-broker.service"])
def test_systemd_finds_every_unit_tight(root, unit) -> None:
    said = analyze("security", "--offline=yes", "--no-pager", f"--root={root}", unit).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) <= 2.5, said


def test_a_unit_may_ask_whether_a_time_service_keeps_the_clock_and_may_not_set_it(root) -> None:
    unit = Unit(root, "sps@.service", "controller")
    allowed = unit.settings["SystemCallFilter"]
    assert {"adjtimex", "clock_adjtime"} <= set(allowed[-1].split())
    assert "~@privileged" in allowed[-2]
    assert "ProtectClock" not in unit.settings  # it filters the question with the setting
    assert unit["CapabilityBoundingSet"] == ""


def test_no_unit_but_the_controllers_reads_what_switches_relays_and_none_what_is_the_brokers_or_a_persons(root) -> None:
    secrets = "/etc/smart-power-station/secrets"
    nobodys = {"ca", "mosquitto", "grafana", "influx/admin.password", "influx/admin.token", "influx/grafana.token", "mqtt/operator"}
    for service in (*SERVICES, "simulator"):
        lines = Unit(root, "sps@.service", service).settings["InaccessiblePaths"]
        since = max((number for number, line in enumerate(lines) if not line), default=0)  # an empty one begins anew
        closed = {path.removeprefix(f"-{secrets}/") for line in lines[since:] for path in line.split()}
        assert closed == nobodys | (set() if service == "controller" else {"mqtt/controller"}), service
    assert "InaccessiblePaths" not in Unit(root, "sps-broker.service").settings  # it makes them


def test_devices_are_reached_only_by_who_needs_them(root) -> None:
    for service in (*SERVICES, "simulator"):
        unit = Unit(root, "sps@.service", service)
        assert unit["PrivateDevices"] == ("no" if service == "ina260_reader" else "yes"), service
        bluetooth = "bluetooth" in unit.settings.get("SupplementaryGroups", [])
        assert bluetooth == (service in ("bluetti_bridge", "relay_bridge")), service
    assert Unit(root, "sps@.service", "ina260_reader").settings["DeviceAllow"] == ["/dev/i2c-1 rw"]


def test_the_bridges_take_turns_at_one_lock_though_each_has_a_tmp_of_its_own(root) -> None:
    locks = {}
    for service in (*SERVICES, "simulator"):
        unit = Unit(root, "sps@.service", service)
        assert unit["PrivateTmp"] == "yes"
        said = dict(word.split("=", 1) for line in unit.settings["Environment"] for word in line.split())
        if (lock := Deployment.of(said).bluetooth_lock) is not None:
            assert lock.parent == Path("/run") / unit["RuntimeDirectory"]
            assert unit["RuntimeDirectoryPreserve"] == "yes"  # else the lock goes from under the other, when one of them stops
            locks[service] = lock
    assert locks.keys() == {"bluetti_bridge", "relay_bridge"}
    assert len(set(locks.values())) == 1


def test_the_command_line_takes_turns_with_the_bridges_once_there_is_their_lock(root, tmp_path) -> None:
    script = (root / "opt" / "smart-power-station" / "sps").read_text()
    lock = Path(dict([Unit(root, "sps@.service", "relay_bridge")["Environment"].split("=", 1)])["SPS_BLUETOOTH_LOCK"])
    moved = script.replace(str(lock), str(tmp_path / "lock"))
    assert moved != script
    moved = re.sub(r"^exec .*$", 'echo "${SPS_BLUETOOTH_LOCK:-none}"', moved, flags=re.MULTILINE)
    clean = {name: value for name, value in os.environ.items() if name != "SPS_BLUETOOTH_LOCK"}
    told = []
    for _ in range(2):
        told.append(subprocess.run(["sh", "-eu", "-c", moved], env=clean, capture_output=True, text=True, check=True).stdout.strip())
        (tmp_path / "lock").touch()
    assert told == ["none", str(tmp_path / "lock")]


def test_every_group_that_a_unit_names_is_made_where_it_is_missing(root, tmp_path) -> None:
    named = {
        group
        for file in (root / "etc" / "systemd" / "system").rglob("*")
        if file.is_file()
        for line in re.findall(r"^(?:Supplementary)?Groups?=(.+)$", file.read_text(), re.MULTILINE)
        for group in line.split()
    }
    assert named == {"sps", "bluetooth", "i2c"}
    # A machine that has none of them, played up to the first file that would be written.
    played = {
        "id": "echo 0",
        "systemctl": "",
        "getent": "exit 2",
        "groupadd": f'echo "$2" >>{tmp_path}/made',
        "useradd": "",
        "install": "exit 9",
    }
    for name, does in played.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PREFIX": str(tmp_path), "ETC": str(tmp_path), "DESTDIR": ""}
    installed = subprocess.run([REPO / "systemd" / "install.sh"], env=environment, capture_output=True, text=True, check=False)
    assert installed.returncode == 9, installed.stderr
    assert set((tmp_path / "made").read_text().split()) == named


def test_the_target_wants_every_service_and_each_unit_asks_whether_it_is_of_use(root) -> None:
    wanted = " ".join(Unit(root, "sps.target").settings["Wants"]).split()
    assert set(wanted) == {"sps-broker.service", *(f"sps@{service}.service" for service in (*SERVICES, "simulator"))}
    codes = {
        service: subprocess.run(Unit(root, "sps@.service", service).command("ExecCondition"), capture_output=True, check=False).returncode
        for service in ("controller", "home_assistant")
    }
    assert codes == {"controller": 0, "home_assistant": 1}


def test_what_a_person_edited_stays_over_an_upgrade(root) -> None:
    file = root / "etc" / "smart-power-station" / "station.yaml"
    before = file.read_text()
    file.write_text("# mine\n" + before)
    subprocess.run(
        [REPO / "systemd" / "install.sh"], env=os.environ | {"DESTDIR": str(root), "VENV": sys.prefix}, check=True, capture_output=True
    )
    assert file.read_text() == "# mine\n" + before
    file.write_text(before)


def test_the_command_line_knows_the_places_of_the_installation(root) -> None:
    text = (root / "opt" / "smart-power-station" / "sps").read_text()
    said = dict(re.findall(r'(SPS_[A-Z]+)="\$\{\1:-([^}]+)\}"', text))
    assert said == {
        "SPS_CONFIG": "/etc/smart-power-station/station.yaml",
        "SPS_VAR": "/var/lib/smart-power-station/var",
        "SPS_SECRETS": "/etc/smart-power-station/secrets",
    }
    moved = {name: f"{root}{value}" for name, value in said.items()}
    command = [root / "opt" / "smart-power-station" / "sps", "services", "--wants", "controller"]
    here = subprocess.run(
        ["sh", "-c", text.replace('exec "/opt', f'exec "{root}/opt'), *map(str, command)],
        env=os.environ | moved, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (here.returncode, here.stderr) == (0, "")


def test_state_outside_var_lib_is_refused(tmp_path) -> None:
    environment = os.environ | {"DESTDIR": str(tmp_path), "VENV": sys.prefix, "STATE": "/srv/station"}
    refused = subprocess.run([REPO / "systemd" / "install.sh"], env=environment, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "STATE=/srv/station: systemd keeps a service's state below /var/lib" in refused.stderr


class Watchdog:
    """systemd's end of the notify socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def lines(self) -> list[str]:
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def is_fed(self) -> bool:
        return {"READY=1", "WATCHDOG=1"} <= set(self.lines())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def started(root, tmp_path) -> Iterator[tuple[dict[str, Watchdog], dict[str, subprocess.Popen[bytes]], dict[str, Any]]]:
    """Every unit's command running, as its user would have it, with ports of its own."""
    etc, state = root / "etc" / "smart-power-station", root / "var" / "lib" / "smart-power-station"
    file = station_file(tmp_path, simulation={"speed": 60, "seed_days": 0}, limits={"dwell_s": 0})
    shutil.copy(file, etc / "station.yaml")
    port = yaml.safe_load(file.read_text())["broker"]["port"]
    conf = (etc / "mosquitto.conf").read_text().replace("listener 1883", f"listener {port}")
    for place in PLACES:
        conf = conf.replace(f" {place}", f" {root}{place}")
    if os.geteuid() == 0:
        conf += "user root\n"
    (etc / "mosquitto.conf").write_text(conf)
    (state / "broker").mkdir(parents=True)
    broker = Unit(root, "sps-broker.service")
    subprocess.run(broker.command("ExecStartPre"), check=True, capture_output=True)
    sockets = tmp_path / "s"
    sockets.mkdir()
    watchdogs, processes = {}, {}
    try:
        with (tmp_path / "log").open("ab") as log:
            processes["broker"] = subprocess.Popen(broker.command("ExecStart"), stdout=log, stderr=log)
            for service in ("simulator", "relay_bridge", "bluetti_bridge", "controller", "recorder", "gateway"):
                unit = Unit(root, "sps@.service", service)
                watchdogs[service] = Watchdog(sockets / service)
                environment = {
                    "PATH": os.environ["PATH"],
                    "NOTIFY_SOCKET": str(watchdogs[service].path),
                    "SPS_SECRETS": str(etc / "secrets"),
                }
                processes[service] = subprocess.Popen(unit.command("ExecStart"), stdout=log, stderr=log, env=environment, cwd="/")
        yield watchdogs, processes, yaml.safe_load(file.read_text())
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in processes.values():
            process.wait(20)
        for watchdog in watchdogs.values():
            watchdog.close()


def test_every_service_starts_by_its_unit_feeds_the_watchdog_and_answers_an_event(started, root) -> None:
    watchdogs, processes, station = started
    for service, watchdog in watchdogs.items():
        wait_for(watchdog.is_fed, within_s=40, what=f"{service} is ready")
    page, relay = f"http://127.0.0.1:{station['web']['port']}", station["positions"]["p1"]["address"]
    wait_for(lambda: requests.get(f"{page}/api/state", timeout=5).json()["controller"], within_s=30, what="a decision")
    answer = requests.post(f"{page}/api/events", json={"start": "now", "duration": "PT1H"}, timeout=10)
    assert answer.status_code in (201, 202), answer.text
    wait_for(lambda: not requests.get(f"{relay}/rpc/Switch.GetStatus?id=0", timeout=5).json()["output"], within_s=30, what="P1 opens")
    processes["controller"].send_signal(signal.SIGSTOP)  # it hangs
    watchdogs["controller"].lines()
    fed = len(watchdogs["controller"].heard)
    other = len(watchdogs["recorder"].lines())
    wait_for(lambda: len(watchdogs["recorder"].lines()) > other + 1, within_s=30, what="the recorder goes on feeding")
    assert len(watchdogs["controller"].lines()) == fed
