"""A stack brought up by docker-compose, and what one asks of it."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.compose.engine import STAND_IN, Engine, Used, program

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "station.yaml"
LIGHT = ("docker-compose.yml", "compose/light.yml")
"""InfluxDB and Grafana cannot be had without a registry."""
SERVICES = ("simulator", "bluetti-bridge", "relay-bridge", "ina260-reader", "controller", "recorder", "gateway", "home-assistant")
"""Ours; in the order in which tests disturb them."""


def station_folder(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Path:
    """A config folder with the shipped station, quick to decide, and `change`d."""
    station = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    station["limits"]["dwell_s"] = 0
    station["recorder"] = {"commit_every_s": 1}
    change(station)
    folder.mkdir(parents=True)
    (folder / "station.yaml").write_text(yaml.safe_dump(station, sort_keys=False), encoding="utf-8")
    folder.chmod(0o755)
    return folder


@dataclass(frozen=True, slots=True)
class Stack:
    """One compose project."""

    engine: Engine
    project: str
    folder: Path
    """Has `config/` and gets `secrets/`."""
    page_port: int
    files: tuple[str, ...] = LIGHT
    visitor: requests.Session = field(default_factory=requests.Session)
    """A person's browser."""
    settings: dict[str, str] = field(default_factory=dict)
    """What else `.env` would say."""

    @property
    def url(self) -> str:
        """Where the page is published."""
        return f"http://127.0.0.1:{self.page_port}"

    def first_password(self) -> str:
        """The page's, from where the docs say that it lies."""
        return self.exec("gateway", "cat", "/secrets/gateway/first-password").strip()

    def compose(self, *arguments: str, timeout_s: float = 240, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run docker-compose on it."""
        done = subprocess.run(
            [*self.command(), *arguments],
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done

    def sps(self, *arguments: str, given: Path | None = None, timeout_s: float = 240) -> bytes:
        """Run the command line in its container, as the docs say: what it wrote to standard output. `given` is its standard input."""
        with (given or Path(os.devnull)).open("rb") as stdin:
            done = subprocess.run(
                [*self.command(), "run", "--rm", "-T", "sps", *arguments],
                env=self.environment(),
                stdin=stdin,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        assert done.returncode == 0, f"sps {' '.join(arguments)}: {done.stderr[-3000:].decode(errors='replace')}"
        return done.stdout

    def command(self) -> list[str]:
        """docker-compose for this project."""
        command = [program("docker-compose"), "--project-name", self.project, "--project-directory", str(ROOT)]
        return command + [part for file in self.files for part in ("--file", str(ROOT / file))]

    def environment(self) -> dict[str, str]:
        """What it is run with."""
        return (
            self.engine.environment()
            | self.settings
            | {
                "BASE_IMAGE": STAND_IN,
                "MOSQUITTO_IMAGE": STAND_IN,
                "SPS_CONFIG_FOLDER": str(self.folder / "config"),
                "SPS_SECRETS_FOLDER": str(self.folder / "secrets"),
                "SPS_PAGE_PORT": str(self.page_port),
                # What comes first on PATH may be something else of that name.
                "PATH": f"/usr/bin:{os.environ.get('PATH', '')}",
            }
        )

    def container(self, service: str) -> str:
        """Its id."""
        found = self.engine.docker("ps", "--all", "--quiet", "--no-trunc", *self._labelled(service)).split()
        assert len(found) == 1, f"{service} has {len(found)} containers"
        return found[0]

    def look(self, service: str) -> dict[str, Any]:
        """What the engine knows of it."""
        found: list[dict[str, Any]] = json.loads(self.engine.docker("inspect", self.container(service)))
        return found[0]

    def running(self) -> set[str]:
        """The services whose containers run."""
        return set(self.engine.docker("ps", "--format", '{{.Label "com.docker.compose.service"}}', *self._labelled()).split())

    def health(self, service: str) -> str:
        """What its health check says: healthy, unhealthy or starting."""
        return str(self.look(service)["State"]["Health"]["Status"])

    def exec(self, service: str, *command: str) -> str:
        """The output of a command in its container."""
        return self.engine.docker("exec", self.container(service), *command)

    def alive(self, service: str) -> bool:
        """Whether its heartbeat is fresh, without waiting for the next health check."""
        try:
            self.exec(service, "python", "-m", "services.bus.heartbeat", service.replace("-", "_"), "--max-age", "12")
        except subprocess.CalledProcessError:
            return False
        return True

    def logs(self, service: str) -> str:
        """All that it said."""
        return self.engine.docker("logs", self.container(service), errors_too=True)

    def kill(self, service: str) -> None:
        """`kill -9` of its first process, from outside, so that the engine takes it for a crash."""
        os.kill(int(self.look(service)["State"]["Pid"]), signal.SIGKILL)

    def limit(self, service: str, mib: int) -> None:
        """Change the memory limit of its container, which lasts until it is made anew."""
        self.engine.docker("update", "--memory", f"{mib}m", "--memory-swap", f"{mib}m", self.container(service))

    def used(self, service: str) -> Used:
        """What its container uses."""
        return self.engine.used(self.container(service))

    def publish(self, topic: str, message: dict[str, Any]) -> None:
        """By mosquitto_pub beside the broker, as a person would."""
        self.exec("mosquitto", "mosquitto_pub", "-q", "1", "-t", f"sps/demo/{topic}", "-m", json.dumps(message))

    def retained(self, topic: str) -> dict[str, Any] | None:
        """What is retained on a topic."""
        try:
            said = self.exec("mosquitto", "mosquitto_sub", "-t", f"sps/demo/{topic}", "-C", "1", "-W", "3")
        except subprocess.CalledProcessError:
            return None
        found: dict[str, Any] | None = json.loads(said) if said else None
        return found

    def page(self, path: str) -> Any:
        """An answer of the published page, to somebody who is logged in."""
        answer = self.visitor.get(f"{self.url}{path}", timeout=5)
        if answer.status_code == 401:  # not yet, or its sessions ended with the container
            self.visitor.post(f"{self.url}/login", data={"password": self.first_password()}, headers={"Origin": self.url}, timeout=5)
            answer = self.visitor.get(f"{self.url}{path}", timeout=5)
        answer.raise_for_status()
        return answer.json()

    def house(self) -> dict[str, Any]:
        """The truth about the simulated house."""
        found: dict[str, Any] = self._controls("/house").json()
        return found

    def charge(self, pct: float) -> None:
        """Set the battery's charge by magic."""
        self._controls("/soc", {"pct": pct})

    def _controls(self, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        networks = self.look("simulator")["NetworkSettings"]["Networks"]
        url = f"http://{networks[f'{self.project}_bus']['IPAddress']}:18083{path}"
        answer = requests.get(url, timeout=5) if body is None else requests.post(url, json=body, timeout=5)
        answer.raise_for_status()
        return answer

    def _labelled(self, service: str = "") -> list[str]:
        labels = {"com.docker.compose.project": self.project} | ({"com.docker.compose.service": service} if service else {})
        return [option for name, value in labels.items() for option in ("--filter", f"label={name}={value}")]

    def remove(self) -> None:
        """Everything, the volumes too."""
        self.compose("down", "--volumes", "--timeout", "3", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
