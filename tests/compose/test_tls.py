"""The broker in the network at large: over TLS, with the certificate that setup made, and no other way."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

from tests.compose.engine import program
from tests.compose.stack import LIGHT, Stack
from tests.support.ports import free_port
from tests.support.waiting import wait_until


def test_an_event_by_hand_over_tls_reaches_the_broker_and_without_the_authority_none_does(make_stack: Callable[..., Stack]) -> None:
    stack, port = replace(make_stack("tls"), files=(*LIGHT, "compose/tls.yml")), free_port()
    stack.compose("up", "--detach", "mosquitto", SPS_BROKER_NAMES="127.0.0.1", SPS_PUBLISH_TLS="127.0.0.1", SPS_TLS_PORT=str(port))
    wait_until(lambda: stack.health("mosquitto") == "healthy", 60, what="a healthy broker")
    password = (stack.folder / "secrets/mqtt/operator").read_text().strip()
    authority = ["--cafile", str(stack.folder / "secrets/mosquitto/ca.crt")]
    who = ["-h", "127.0.0.1", "-p", str(port), "-u", "operator", "-P", password]
    what = ["-t", "sps/demo/controller/override", "-q", "1", "-m", '{"release":true}']

    def heard(*options: str) -> bool:
        listener = [program("docker"), "--host", stack.engine.socket, "exec", stack.container("mosquitto")]
        listener += ["mosquitto_sub", "-t", "sps/demo/controller/override", "-C", "1", "-W", "5"]
        with subprocess.Popen(listener, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as hearing:
            while hearing.poll() is None:  # it gives up by itself
                subprocess.run(["mosquitto_pub", *who, *what, *options], capture_output=True, timeout=10, check=False)
                time.sleep(0.2)
            assert hearing.stdout is not None
            return b"release" in hearing.stdout.read()

    assert heard(*authority)
    assert not heard()
    stack.compose("down", "--volumes", "--timeout", "3", SPS_BROKER_NAMES="127.0.0.1")
