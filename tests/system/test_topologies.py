"""Other kinds of stations over a real broker and emulated devices: an event on each, and the load never without a source but for a gap."""

import asyncio
import contextlib
import random
import re
from pathlib import Path

import pytest

from services.bluetti_bridge import service as bluetti_bridge
from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.controller import service as controller
from services.core.config.load import parse_station
from services.core.modes import Mode
from services.relay_bridge import service as relay_bridge
from services.simulator.devices.faults import Faults
from tests.support.house import running_house
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
GAP_S = 0.02
"""Of the transfer switch, and of the power station's own."""

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


def on_free_ports(name, broker, **changes):
    """The example, on this test's broker and on ports of its own, without a dwell."""
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    taken = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", text)))
    for port, free in zip(taken, free_ports(len(taken)), strict=True):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
    # At 82 % the daily cycle rests at any time of the day.
    station = parse_station(text + "\nlimits: {dwell_s: 0}\nnormal: {discharge_to_pct: 84, charge_to_pct: 86}\n")
    battery = station.battery.model_copy(update={"poll_s": 0.3, **changes})
    # The trace is played at the time of day it is: a load so small is held for an hour at any of them.
    simulation = station.simulation.model_copy(update={"load_scale": 0.05})
    broker_section = station.broker.model_copy(update={"port": broker.port})
    return station.model_copy(update={"broker": broker_section, "battery": battery, "simulation": simulation})


class Running:
    """A whole station, but for recorder and gateway."""

    def __init__(self, station, plain, house, tasks):
        self.station, self.plain, self.house, self.tasks = station, plain, house, tasks
        self.root = f"sps/{station.station}"

    def state(self):
        heard = self.plain.on(f"{self.root}/controller/state")
        return heard[-1].json if heard else {}

    async def lives(self, mode, within_s=20.0):
        """Wait until `mode` is commanded and confirmed by the devices."""

        def there():
            for task in self.tasks:
                assert not task.done(), task.exception()
            return (self.state().get("mode_commanded"), self.state().get("mode_confirmed")) == (mode, mode)

        await wait_for(there, within_s, what=f"mode {mode}")

    def event(self, **command):
        self.plain.publish(f"{self.root}/event/command", {"id": "e1", **command})

    def manual(self, **command):
        self.plain.publish(f"{self.root}/controller/override", command)

    def never_long_without(self):
        """The load went without a source for no longer than the transfers' own gaps."""
        truth = self.house.truth()
        gaps = truth["state"]["transfers"]
        assert truth["unserved_s"] <= gaps * GAP_S + 1e-6, truth
        return gaps

    async def fed_only_by(self, *names):
        """Wait until power comes by these ways: a transfer switch takes its time to return to the input that it prefers."""
        await wait_for(lambda: self.fed_by() == set(names), what=f"the load to be fed by {names}")

    def fed_by(self):
        flows = self.house.truth()["flows"]
        return {name for name in ("p1_w", "p2_w", "p3_w") if flows[name] > 1.0}


@contextlib.asynccontextmanager
async def station_at_work(station, plain, var, soc_pct=82.0):
    context = Context(station=station, clock=SystemClock(), var=var, random=random.Random(1))
    async with running_house(station) as house:
        house.set_soc(soc_pct)
        tasks = [asyncio.create_task(service.run(context)) for service in (relay_bridge, bluetti_bridge, controller)]
        running = Running(station, plain, house, tasks)
        try:
            await wait_for(running.state, 20.0, what="the first decision")
            yield running
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def test_with_p1_inside_p2_off_is_the_event_and_p2_on_is_safe(broker, plain, tmp_path):
    async with station_at_work(on_free_ports("ups-inside", broker), plain, tmp_path) as running:
        await running.lives(Mode.GRID_AND_CHARGE)
        before = running.house.truth()
        assert running.fed_by() == {"p2_w", "p3_w"}, "the grid reaches the load through the power station"
        assert before["flows"]["p2_w"] > before["flows"]["p3_w"], "and charges it"
        assert before["relays"]["p2"]["timer_left_s"] is None
        assert running.house.switches["p2"].config.initial_state == "on"
        running.event(start="now", duration="PT1H")
        await running.lives(Mode.BATTERY)
        await running.fed_only_by("p3_w")
        during = running.house.truth()
        assert during["flows"]["load_w"] == during["wanted_w"] > 0.0
        assert during["relays"]["p2"]["timer_left_s"] is not None, "the dead-man timer goes with P2 off"
        running.event(action="cancel")
        await running.lives(Mode.GRID_AND_CHARGE)
        assert running.house.truth()["relays"]["p2"]["timer_left_s"] is None
        assert running.never_long_without() >= 2

        def told() -> dict[str, float]:
            return {p: running.plain.on(f"{running.root}/position/{p}/reading")[-1].json["power_w"] for p in ("p1", "p2", "p3")}

        await wait_for(lambda: told()["p3"] > 0.0, 15, what="a reading of the load, fed through")
        readings = told()
        assert readings["p1"] == 0.0
        assert readings["p2"] >= readings["p3"]


async def test_with_p1_inside_a_station_whose_services_die_is_fed_by_the_grid_again(broker, plain, tmp_path, monkeypatch):
    async with station_at_work(on_free_ports("ups-inside", broker), plain, tmp_path) as running:
        running.event(start="now", duration="PT1H")
        await running.lives(Mode.BATTERY)
        # What the bridge set when it last renewed: the device's own timer, cut short here instead of waiting a minute.
        running.house.switches["p2"].put(on=False, source="test", toggle_after_s=0.2)
        await wait_for(lambda: running.house.truth()["contacts"]["p2"], 5.0, what="the device to flip back by itself")
        await wait_for(lambda: "p2_w" in running.fed_by(), what="the grid to feed the load")
        running.never_long_without()


async def test_with_inverter_priority_p3_moves_the_load_and_p1_stands_by(broker, plain, tmp_path):
    async with station_at_work(on_free_ports("inverter-priority", broker), plain, tmp_path) as running:
        await running.lives(Mode.GRID)
        await running.fed_only_by("p1_w")
        assert running.house.switches["p3"].config.initial_state == "off"
        assert running.house.truth()["relays"]["p3"] == {"output": False, "contact": False, "timer_left_s": None}
        running.event(start="now", duration="PT1H")
        await running.lives(Mode.BATTERY)
        await running.fed_only_by("p3_w")
        during = running.house.truth()
        assert during["contacts"]["p1"]
        assert during["relays"]["p3"]["timer_left_s"] is not None, "the dead-man timer goes with P3 on"
        assert during["relays"]["p1"]["timer_left_s"] is None
        # The inverter dies: the transfer switch hands the load back by itself, and the controller follows.
        running.house.set_ac_output(on=False)
        await running.fed_only_by("p1_w")
        await running.lives(Mode.GRID)
        assert running.never_long_without() >= 2


async def test_the_ac_output_switched_over_bluetooth_is_the_actuator_at_p3(broker, plain, tmp_path):
    pytest.importorskip("bumble")
    async with station_at_work(on_free_ports("ac-output", broker), plain, tmp_path) as running:
        await running.lives(Mode.GRID)
        running.event(start="now", duration="PT1H")
        await running.lives(Mode.BATTERY)
        await running.fed_only_by("p3_w")
        running.event(action="cancel")
        await running.lives(Mode.GRID)
        await running.fed_only_by("p1_w")
        assert running.never_long_without() >= 2
        running.manual(mode=0, duration="PT1H")
        await running.lives(Mode.ALL_OFF)
        truth = running.house.truth()
        assert (truth["flows"]["ac_output_on"], truth["flows"]["load_w"]) == (False, 0.0)
        state = running.plain.on(f"{running.root}/relay/p3/state")[-1].json
        assert (state["on"], state["confirmed_by"], state["fault"]) == (False, "readback", None)
        assert state["command_id"].startswith("p3-")
        running.manual(release=True)
        await running.lives(Mode.GRID)
        assert running.house.truth()["flows"]["ac_output_on"]
        written = running.house._bluetti._registers.written
        assert {address for address, _ in written} == {2011}, "nothing but the AC output's register, least of all power_off"


async def test_an_ac_output_that_does_not_obey_is_said_so_and_the_load_stays_on_the_grid(broker, plain, tmp_path):
    station = on_free_ports("ac-output", broker, driver="simulated", address="http://127.0.0.1:1")
    (port,) = free_ports(1)
    station = station.model_copy(
        update={
            "battery": station.battery.model_copy(update={"address": f"http://127.0.0.1:{port}"}),
            "simulation": station.simulation.model_copy(update={"port_address": None}),
        }
    )
    async with station_at_work(station, plain, tmp_path) as running:
        await running.lives(Mode.GRID)

        # Whoever presses the button on the box is not overruled: it is told, and P1 stays closed.
        def p3():
            return plain.on(f"{running.root}/relay/p3/state")[-1].json

        await wait_for(lambda: p3()["command_id"] is not None, what="the first wish to be carried out")
        running.house.set_ac_output(on=False)
        await wait_for(lambda: "switched at the power station itself" in (p3()["fault"] or ""), what="the button to be noticed")
        running.event(start="now", duration="PT1H")
        await wait_for(lambda: running.state().get("reason_code") in {"p3_not_closed", "p3_not_alive"}, what="the reason")
        await running.fed_only_by("p1_w")
        running.house.set_ac_output(on=True)
        await running.lives(Mode.BATTERY)
        await running.house.suffer("station", Faults(silent=True), reboot=False)
        await wait_for(lambda: running.state().get("reason_code") == "p3_lost", 20.0, what="the silence to be noticed")
        await wait_for(lambda: "p1_w" in running.fed_by(), what="the load on the grid")
        running.never_long_without()
