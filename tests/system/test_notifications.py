"""Notifications over the wire: a real HTTP and a real SMTP server, restarts and kills in between."""

import asyncio
import email
import email.policy
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from services.core.config.notifications import Notifications
from tests.support.gateway import House
from tests.support.sps import station_file
from tests.support.waiting import wait_until

SECRET = "hush-hush-token"


class Phone(ThreadingHTTPServer):
    """Takes what apprise sends to `json://`; may refuse, or never answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        self.hangs = threading.Event()
        self.hangs.set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://someone:{SECRET}@127.0.0.1:{self.server_port}/{SECRET}?rto=60"

    def titles(self) -> list[str]:
        return [one["title"] for one in self.taken]

    def close(self) -> None:
        self.hangs.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Taking(BaseHTTPRequestHandler):
    server: Phone

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        self.server.hangs.wait()
        if self.server.status == 200:
            self.server.taken.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def phone() -> Iterator[Phone]:
    phone = Phone()
    yield phone
    phone.close()


def secret(folder: Path, name: str, url: str) -> None:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / name).write_text(url + "\n")


@contextmanager
def notifying(folder: Path, *targets: str, **kinds: bool) -> Iterator[House]:
    with House(folder, notifications=Notifications(to=targets, **kinds)) as house:
        house.publish("controller/state", {"phase": "normal", "mode_commanded": 2, "mode_confirmed": 2, "reason": "", "reason_code": "x"})
        yield house


def errors(house: House) -> str:
    return " ".join(str(one.payload) for one in house.client.on(f"sps/{house.station.station}/service/gateway/error"))


def test_an_event_reaches_the_phone_once_and_no_restart_repeats_it(tmp_path: Path, phone: Phone) -> None:
    secret(tmp_path, "phone.url", phone.url)
    with notifying(tmp_path, "phone.url") as house:
        house.event("e1")
        wait_until(lambda: phone.titles() == ["demo: Event announced"], 20, what="the announcement")
        house.event("e1", status="ongoing", start_s=-60)
        wait_until(lambda: len(phone.taken) == 2, 20, what="the start")
        assert phone.titles()[1] == "demo: Event starts"
        for _ in range(2):
            house.stop_gateway()
            house.start_gateway()
        house.event("e2")
        wait_until(lambda: len(phone.taken) == 3, 20, what="the next event's announcement")
        assert phone.titles() == ["demo: Event announced", "demo: Event starts", "demo: Event announced"]
        assert house.get("/api/notifications").json()["targets"] == [{"target": "phone.url", "waiting": 0}]


def test_a_kind_that_is_switched_off_is_not_told_and_not_told_later_either(tmp_path: Path, phone: Phone) -> None:
    secret(tmp_path, "phone.url", phone.url)
    with notifying(tmp_path, "phone.url", event_announced=False) as house:
        assert house.get("/api/notifications").json()["kinds"]["event_announced"] is False
        house.event("e1")
        house.event("e2", status="ongoing", start_s=-60)
        wait_until(lambda: phone.titles() == ["demo: Event starts"], 20, what="what is wanted")
        house.stop_gateway()
        house.station = house.station.model_copy(update={"notifications": Notifications(to=("phone.url",))})
        house.start_gateway()
        house.event("e3")
        wait_until(lambda: len(phone.taken) == 2, 20, what="the new event's announcement")
        assert phone.taken[1]["title"] == "demo: Event announced"


def test_a_target_that_refuses_is_tried_again_and_told_without_its_secrets(
    tmp_path: Path, phone: Phone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("services.gateway.notify.notifier.FIRST_RETRY_S", 0.2)
    other = Phone()
    secret(tmp_path, "phone.url", phone.url)
    secret(tmp_path, "other.url", other.url)
    phone.status = 503
    try:
        with notifying(tmp_path, "phone.url", "other.url") as house:
            house.event("e1")
            wait_until(lambda: phone.asked >= 3, 30, what="the attempts")
            assert other.titles() == ["demo: Event announced"], "one that refuses holds up no other"
            wait_until(lambda: "phone.url" in errors(house), what="the service's error")
            phone.status = 200
            wait_until(lambda: len(phone.taken) == 1, 30, what="the delivery")
            assert len(other.taken) == 1
            said = errors(house) + caplog.text + house.get("/api/state").text
    finally:
        other.close()
    assert SECRET not in said
    assert "phone.url (json)" in said


@pytest.mark.parametrize("status", [200, 503])
def test_a_target_that_takes_long_gets_the_message_again_only_if_it_refused_it(
    status: int, tmp_path: Path, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.notify.sender.SEND_S", 0.3)
    monkeypatch.setattr("services.gateway.notify.notifier.FIRST_RETRY_S", 0.2)
    secret(tmp_path, "phone.url", phone.url)
    phone.hangs.clear()
    with notifying(tmp_path, "phone.url") as house:
        house.event("e1")
        wait_until(lambda: "hangs" in errors(house), 20, what="word of it")
        phone.status = status
        phone.hangs.set()
        if status != 200:
            wait_until(lambda: "could not be delivered" in errors(house), 20, what="its refusal")
            phone.status = 200
        wait_until(lambda: house.get("/api/notifications").json()["targets"][0]["waiting"] == 0, 20, what="the delivery")
        assert len(phone.taken) == 1
        house.event("e2")
        wait_until(lambda: len(phone.taken) == 2, 20, what="the next event's announcement")
        assert phone.asked == 2 if status == 200 else phone.asked > 2


def test_a_missing_or_wrong_url_is_named(tmp_path: Path) -> None:
    secret(tmp_path, "wrong.url", f"nosuch://{SECRET}")
    with notifying(tmp_path, "missing.url", "wrong.url") as house:
        results = {one["target"]: one for one in house.post("/api/notifications/test").json()["results"]}
        assert not results["missing.url"]["delivered"]
        assert "missing.url cannot be read" in results["missing.url"]["detail"]
        assert "no URL that apprise knows" in results["wrong.url"]["detail"]
        assert SECRET not in str(results)
        again = house.post("/api/notifications/test")
        assert (again.status_code, "wait" in again.json()["remedy"]) == (429, True)


def test_without_targets_nobody_is_told_and_apprise_is_never_imported(tmp_path: Path) -> None:
    script = "import sys; import services.gateway.service; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
    with House(tmp_path) as house:
        refused = house.post("/api/notifications/test")
        assert (refused.status_code, refused.json()["field"]) == (409, "notifications.to")
        assert not (house.var / "gateway" / "notified.json").exists()


def test_a_hanging_target_does_not_hold_up_the_gateways_end(tmp_path: Path, phone: Phone) -> None:
    secret(tmp_path, "phone.url", phone.url)
    phone.hangs.clear()
    with notifying(tmp_path, "phone.url") as house:
        house.event("e1")
        wait_until(lambda: phone.asked == 1, 20, what="the attempt")
        assert house.get("/api/state").status_code == 200
        house.stop_gateway()
        phone.hangs.set()
        house.start_gateway()


def test_killed_in_the_middle_of_a_delivery_it_is_not_told_twice(tmp_path: Path, phone: Phone) -> None:
    secret(tmp_path, "phone.url", phone.url)
    with House(tmp_path) as house:
        house.stop_gateway()
        file = station_file(
            tmp_path,
            broker={"port": house.broker.port, "start": False},
            notifications={"to": ["phone.url"]},
            web={"port": house.station.web.port},
        )
        file.write_text(file.read_text().replace("clock: simulated", "clock: system"))
        phone.hangs.clear()
        command = [sys.executable, "-m", "services.gateway", "--config", str(file), "--var", str(house.var)]

        def started() -> "subprocess.Popen[bytes]":
            process = subprocess.Popen(command, env=dict(os.environ))
            wait_until(house.ready, 30, what="the gateway")
            return process

        process = started()
        house.event("e1")
        wait_until(lambda: phone.asked == 1, 30, what="the attempt")
        process.send_signal(signal.SIGKILL)
        process.wait()
        phone.hangs.set()
        wait_until(lambda: len(phone.taken) == 1, 10, what="the server to have taken it")
        process = started()
        try:
            house.event("e2", test=True)
            wait_until(lambda: "demo: Event announced (test)" in phone.titles(), 30, what="the next one")
            assert phone.asked == 2, "the one under way was not repeated"
        finally:
            process.terminate()
            process.wait(10)


class MailServer:
    """As much of SMTP as a client needs: keeps what is mailed."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._talk, "127.0.0.1", 0), self._loop).result(5)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test ESMTP\r\n")
        while line := (await reader.readline()).strip().upper():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                body = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(email.message_from_bytes(body[:-5], policy=email.policy.default))
            writer.write(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 ok\r\n")
            await writer.drain()
            if line.startswith(b"QUIT"):
                break
        writer.close()


def test_a_mail_arrives_as_a_mail(tmp_path: Path) -> None:
    with MailServer() as server:
        secret(tmp_path, "mail.url", f"mailto://127.0.0.1:{server.port}?from=station@example.org&to=me@example.org&mode=insecure")
        with notifying(tmp_path, "mail.url") as house:
            house.event("e1", goal={"kind": "pledge", "reduction_w": 150})
            wait_until(lambda: server.mails, 30, what="the mail")
    (mail,) = server.mails
    assert mail["Subject"] == "demo: Event announced"
    assert "me@example.org" in mail["To"]
    body = mail.get_body()
    assert body is not None
    assert "take 150 W less" in body.get_content()


def test_sps_notify_test_sends_from_here(tmp_path: Path, phone: Phone) -> None:
    secret(tmp_path, "phone.url", phone.url)
    run: Callable[[Path], subprocess.CompletedProcess[str]] = lambda file: subprocess.run(  # noqa: E731
        [sys.executable, "-m", "services.cli", "notify", "test", "--config", str(file), "--var", str(tmp_path / "var")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    file = station_file(tmp_path, notifications={"to": ["phone.url"]})
    done = run(file)
    assert (done.returncode, done.stdout.strip()) == (0, "phone.url: delivered"), done.stderr
    assert phone.taken[0]["message"].startswith("This is a test")
    phone.status = 500
    failed = run(file)
    assert (failed.returncode, SECRET in failed.stderr + failed.stdout) == (1, False)
    nobody = run(station_file(tmp_path))
    assert (nobody.returncode, "nobody is to be notified" in nobody.stderr) == (2, True)


def test_a_faulty_relay_and_a_low_battery_are_told_once_they_have_lasted(
    tmp_path: Path, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.notify.deciding.LASTS", timedelta(seconds=4))
    secret(tmp_path, "phone.url", phone.url)
    with notifying(tmp_path, "phone.url") as house:
        house.relay("p1", on=None, fault="not answering")
        house.readings(soc_pct=12.0)
        wait_until(lambda: phone.titles() == ["demo: The relay at P1: trouble"] or len(phone.taken) == 2, 30, what="the relay's trouble")

        def both() -> bool:
            house.readings(soc_pct=12.0)  # a silent battery is unknown, not low
            return len(phone.taken) == 2

        wait_until(both, 30, what="the battery")
        told = {one["title"]: one["message"] for one in phone.taken}
        assert "Not answering." in told["demo: The relay at P1: trouble"]
        assert told["demo: Battery below its reserve"] == "It stands at 12 %, your backup reserve is 20 %."
        assert {one["type"] for one in phone.taken} == {"warning"}
