"""The whole stack with the simulated house: an event by hand, and what can happen to containers meanwhile. In the order of the file."""

import subprocess
import time

import pytest

from tests.compose.engine import MIB
from tests.compose.stack import SERVICES, Stack
from tests.support.waiting import wait_until

GAP_S = 1.0
"""The load may be without power for the transfers of the switch, 0.02 s each, and no more."""
HELD_S = 30
"""The relay bridge lets go of a relay whose wish nobody renews."""


def p1_closed(stack: Stack) -> bool:
    return bool(stack.house()["contacts"]["p1"])


def decided(stack: Stack) -> dict[str, object]:
    controller: dict[str, object] = stack.page("/api/state")["controller"] or {}
    return controller


def carries(stack: Stack) -> bool:
    """Whether the event goes on and the battery feeds the load."""
    return decided(stack).get("phase") == "ongoing" and not p1_closed(stack)


def wait_until_it_carries(stack: Stack, after: str) -> None:
    """After a disturbance the controller may have given the load back to the grid; it takes it again."""
    try:
        wait_until(lambda: carries(stack), 90, what=f"the event going on, after {after}")
    except AssertionError as late:
        raise AssertionError(f"{late}: {decided(stack)}\n{stack.logs('controller')[-2000:]}") from None


def event(stack: Stack, event_id: str) -> str | None:
    found = stack.retained(f"event/{event_id}")
    return None if found is None else str(found["status"])


def test_each_container_runs_as_nobody_on_a_root_that_it_cannot_write_and_sees_its_own_password(stack: Stack) -> None:
    for service in SERVICES:
        assert stack.exec(service, "id", "-u").strip() == "10001"
        assert stack.exec(service, "ls", "/secrets/mqtt").split() == [service.replace("-", "_")]
        with pytest.raises(subprocess.CalledProcessError):
            stack.exec(service, "touch", "/app/x")
        with pytest.raises(subprocess.CalledProcessError):
            stack.exec(service, "sh", "-c", "command -v gcc pip")
    assert stack.exec("mosquitto", "id", "-u").strip() == "1883"


def test_setup_says_where_secrets_lie_and_never_what_they_are(stack: Stack) -> None:
    said = stack.logs("setup")
    assert "mqtt/operator" in said
    assert "grafana/admin.password" in said
    secret = (stack.folder / "secrets/mqtt/operator").read_text().strip()
    assert secret not in said
    assert (stack.folder / "secrets/mqtt/operator").stat().st_mode & 0o077 == 0


def test_a_service_without_use_rests(stack: Stack) -> None:
    assert "nothing to do" in stack.logs("home-assistant")
    assert stack.health("home-assistant") == "healthy"


def test_the_broker_lets_nobody_in_without_a_password(stack: Stack) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        stack.exec("mosquitto", "env", "XDG_CONFIG_HOME=/nowhere", "mosquitto_sub", "-t", "#", "-C", "1", "-W", "3")
    assert "not authorised" in (refused.value.output + refused.value.stderr).lower()


def test_an_event_by_hand_opens_p1_and_is_reported(stack: Stack) -> None:
    stack.charge(90)
    wait_until(lambda: decided(stack).get("mode_confirmed"), 30, what="a first decision")
    assert p1_closed(stack)
    stack.publish("event/command", {"action": "schedule", "id": "by-hand", "start": "now", "duration": "PT1M"})
    wait_until(lambda: not p1_closed(stack), 30, what="P1 open at the simulated Shelly")
    wait_until(lambda: event(stack, "by-hand") == "completed", 90, what="the event's end")
    report = wait_until(lambda: stack.page("/api/events/by-hand/report").get("performance"), 40, what="its report")
    assert report["event_id"] == "by-hand"


def test_the_command_line_asks_the_recorder_from_a_container_of_its_own(stack: Stack) -> None:
    said = stack.compose("run", "--rm", "-T", "sps", "event", "list").stdout
    assert "by-hand" in said
    assert "completed" in said


def test_a_container_that_dies_in_an_event_comes_back_and_the_load_never_notices(stack: Stack) -> None:
    stack.publish("event/command", {"action": "schedule", "id": "killed", "start": "now", "duration": "PT2H"})
    wait_until(lambda: not p1_closed(stack), 30, what="P1 open")
    before = stack.house()["unserved_s"]
    for service in ("mosquitto", *(name for name in SERVICES if name != "home-assistant")):
        started = stack.look(service)["State"]["StartedAt"]
        stack.kill(service)
        wait_until(lambda s=service, at=started: stack.look(s)["State"]["StartedAt"] != at, 30, what=f"{service} started again")  # type: ignore[misc]
        if service != "mosquitto":
            wait_until(lambda s=service: stack.alive(s), 40, what=f"a heartbeat of {service}")  # type: ignore[misc]
        wait_until_it_carries(stack, f"a kill of {service}")
        assert stack.house()["unserved_s"] - before < GAP_S
    assert event(stack, "killed") == "ongoing"


def test_a_controller_cut_off_hands_the_load_to_the_grid_and_takes_it_again(stack: Stack) -> None:
    before = stack.house()["unserved_s"]
    network, controller = f"{stack.project}_bus", stack.container("controller")
    stack.engine.docker("network", "disconnect", network, controller)
    cut = time.monotonic()
    wait_until(lambda: p1_closed(stack), HELD_S + 15, what="the relay bridge let go of P1")
    assert time.monotonic() - cut < HELD_S + 15
    wait_until(lambda: not stack.alive("controller"), 60, what="no heartbeat without a session")
    stack.engine.docker("network", "connect", "--alias", "controller", network, controller)
    wait_until(lambda: stack.alive("controller"), 60, what="a heartbeat of the controller")
    wait_until_it_carries(stack, "its network was back")
    assert stack.house()["unserved_s"] - before < GAP_S


def test_a_container_out_of_memory_is_started_again_and_the_house_goes_on(stack: Stack) -> None:
    before = stack.house()["unserved_s"]
    limit = stack.look("gateway")["HostConfig"]["Memory"] // MIB
    # The kernel takes no limit below what is used: it bites at the next start.
    stack.engine.docker("stop", stack.container("gateway"))
    stack.limit("gateway", 12)
    stack.engine.docker("start", stack.container("gateway"))
    try:
        wait_until(lambda: stack.look("gateway")["RestartCount"] > 1, 60, what="killed and started again, twice")
    finally:
        stack.limit("gateway", limit)
    wait_until(lambda: stack.alive("gateway"), 90, what="the gateway back")
    wait_until_it_carries(stack, "the page was back")
    assert stack.house()["unserved_s"] - before < GAP_S


def test_every_container_keeps_well_below_its_limit(stack: Stack) -> None:
    for service in ("mosquitto", *SERVICES):
        used, limit = stack.used(service).memory_mib, stack.look(service)["HostConfig"]["Memory"] / MIB
        assert used < 0.8 * limit, f"{service} uses {used:.0f} of {limit:.0f} MiB"


def test_all_are_healthy_in_the_end(stack: Stack) -> None:
    for service in ("mosquitto", *SERVICES):
        wait_until(lambda s=service: stack.health(s) == "healthy", 60, what=f"{service} to be healthy")  # type: ignore[misc]


def test_down_and_up_again_finds_the_same_state(stack: Stack) -> None:
    operator = (stack.folder / "secrets/mqtt/operator").read_text()
    unserved = stack.house()["unserved_s"]
    events = {one["id"]: one["status"] for one in stack.page("/api/events")}
    assert events["killed"] == "ongoing"
    stack.compose("down", "--timeout", "10")
    assert stack.running() == set()
    stack.compose("up", "--detach")
    wait_until(lambda: stack.alive("controller") and stack.alive("gateway"), 60, what="controller and gateway back")
    wait_until_it_carries(stack, "down and up")
    assert {one["id"]: one["status"] for one in stack.page("/api/events")} == events
    assert stack.page("/api/events/by-hand/report")["performance"]["event_id"] == "by-hand"
    assert (stack.folder / "secrets/mqtt/operator").read_text() == operator
    # The house goes on from where it was saved; what it had counted by then stays counted.
    assert stack.house()["unserved_s"] <= unserved + GAP_S
