"""The broker of a container takes up what `sps setup` made anew, without a restart and without losing anybody."""

import os
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from services.bus.broker.choose import find_mosquitto
from services.bus.clock import utc_now
from services.bus.provision import Wishes, set_up
from services.bus.provision.certificates import names_in
from tests.support.guarded import HOST, SHIPPED, GuardedMosquitto, UserClient, guarded
from tests.support.house import simulated_station
from tests.support.waiting import wait_until

TOPIC = "homeassistant/sensor/demo_soc/config"
WITHIN_S = 15.0


@contextmanager
def run_as_in_its_container(broker: GuardedMosquitto) -> Iterator[subprocess.Popen[bytes]]:
    """By the script that the container runs, on this broker's files."""
    broker.stop()
    with (broker.folder / "mosquitto.log").open("ab") as output:
        process = subprocess.Popen(command(broker), stdout=output, stderr=output)
    try:
        wait_until(lambda: names(broker), WITHIN_S, what="the broker to answer")
        yield process
    finally:
        process.terminate()
        process.wait(10)


def command(broker: GuardedMosquitto) -> list[str]:
    program = find_mosquitto()
    assert program is not None
    files = [str(broker.secrets / "mosquitto" / name) for name in ("passwd", "acl", "server.crt", "server.key")]
    script = ["sh", str(SHIPPED / "run.sh"), str(broker.folder / "mosquitto.conf"), *files]
    return ["env", f"PATH={Path(program).parent}:{os.environ['PATH']}", *script]


def names(broker: GuardedMosquitto) -> tuple[str, ...]:
    """What the certificate is good for that the broker shows; none while it does not answer."""
    assert broker.tls_port is not None
    try:
        shown = ssl.get_server_certificate((HOST, broker.tls_port), timeout=5)
    except OSError:
        return ()
    return names_in(x509.load_pem_x509_certificate(shown.encode()))


@pytest.mark.timeout(60)
def test_rules_passwords_and_certificate_made_anew_hold_within_seconds_and_nobody_is_thrown_out(tmp_path) -> None:
    plain = simulated_station(tmp_path)
    wants_more = simulated_station(tmp_path, home_assistant={"enabled": True})
    with guarded(tmp_path, plain, tls=True) as broker, run_as_in_its_container(broker) as process:
        old_password = (broker.secrets / "mqtt" / "operator").read_text().strip()
        with UserClient(broker, "home_assistant") as bridge, UserClient(broker, "recorder") as other:
            (broker.secrets / "mqtt" / "operator").unlink()
            set_up(broker.secrets, wants_more, Wishes(("powerstation.local",)), utc_now())
            wait_until(lambda: "powerstation.local" in names(broker), WITHIN_S, what="the new certificate")
            with UserClient(broker, "operator") as person, UserClient(broker, "operator", password=old_password) as stranger:
                assert person.answer == "Success"
                assert stranger.answer != "Success"

            with UserClient(broker, "home_assistant_core") as core:
                core.subscribe("homeassistant/#")

                def told() -> bool:
                    bridge.publish(TOPIC, "x").wait_for_publish(5)
                    return bool(core.payloads(TOPIC))

                wait_until(told, WITHIN_S, what="the new rules for who was connected already")
            assert not bridge.lost.is_set()
            assert not other.lost.is_set()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not names(broker)


@pytest.mark.timeout(60)
def test_a_broker_that_ends_by_itself_ends_its_container(tmp_path) -> None:
    with guarded(tmp_path, simulated_station(tmp_path), tls=True) as broker:
        (broker.folder / "mosquitto.conf").write_text("nonsense true\n", encoding="utf-8")
        broker.stop()
        assert subprocess.run(command(broker), capture_output=True, timeout=20, check=False).returncode != 0
