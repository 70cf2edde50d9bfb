"""House and devices together: what a switch does to the flows, and the controls at the station port."""

from pathlib import Path

import pytest
import requests

from services.core.config.station import Station
from services.simulator.lease import Lease
from services.simulator.place import ON_LOOPBACK, NotSimulatable, Place
from services.simulator.rig import PortTaken, Rig
from tests.support.house import get, post, rpc, running_house, simulated_station
from tests.support.waiting import wait_for


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return simulated_station(tmp_path)


async def power_w(station: Station, position: str) -> float:
    status = await rpc(station.positions.relays()[position].address, "Switch.GetStatus", id=0)
    return float(status["result"]["apower"])


async def test_the_relays_boot_into_their_safe_state_and_carry_the_load(station: Station):
    async with running_house(station):
        house = (await get(f"{station.battery.address}/house")).json()
        assert house["contacts"] == {"p1": True, "p2": False, "p3": True}
        assert await power_w(station, "p1") == pytest.approx(house["wanted_w"], abs=0.1)
        assert await power_w(station, "p2") == 0.0
        assert house["unserved_s"] == 0.0


async def test_opening_p1_moves_the_load_to_the_battery(station: Station):
    async with running_house(station, speed=60.0) as rig:
        await rpc(station.positions.relays()["p1"].address, "Switch.Set", id=0, on=False)
        await wait_for(lambda: rig.house.flows().p3_w > 0.0, what="the transfer")
        assert await power_w(station, "p1") == 0.0
        status = (await get(f"{station.battery.address}/status")).json()
        assert status["ac_out_w"] > 0.0
        assert set(status) == {"soc_pct", "ac_in_w", "ac_out_w", "dc_in_w", "dc_out_w", "ac_output_on", "eco_mode"}
        assert status["ac_output_on"] is True


async def test_closing_p2_charges_the_battery(station: Station):
    async with running_house(station, speed=60.0) as rig:
        await rpc(station.positions.p2.address, "Switch.Set", id=0, on=True)
        assert await power_w(station, "p2") == 700.0
        before = (await get(f"{station.battery.address}/status")).json()
        assert before["ac_in_w"] == 700.0
        await wait_for(lambda: rig.house.flows().soc_pct > before["soc_pct"] + 0.2, what="the charge")


async def test_in_an_outage_the_relays_are_silent_and_boot_afterwards(station: Station):
    async with running_house(station):
        await rpc(station.positions.p2.address, "Switch.Set", id=0, on=True)
        await post(f"{station.battery.address}/grid", {"ok": False})
        with pytest.raises(requests.Timeout):
            await get(f"{station.positions.relays()['p1'].address}/shelly", timeout=0.3)
        house = (await get(f"{station.battery.address}/house")).json()
        assert (house["flows"]["p1_w"], house["flows"]["p2_w"], house["flows"]["grid_v"]) == (0.0, 0.0, 0.0)
        await post(f"{station.battery.address}/grid", {"ok": True})
        house = (await get(f"{station.battery.address}/house")).json()
        assert house["contacts"] == {"p1": True, "p2": False, "p3": True}


async def test_a_fault_hits_the_named_device_until_it_is_healed(station: Station):
    fault, p1 = f"{station.battery.address}/fault", station.positions.relays()["p1"].address
    async with running_house(station):
        assert (await post(fault, {"device": "p1", "http_500": True})).ok
        assert (await get(f"{p1}/shelly")).status_code == 500
        assert (await get(f"{station.positions.p2.address}/shelly")).ok
        assert (await post(fault, {"device": "p1"})).ok
        assert (await get(f"{p1}/shelly")).ok
        await post(fault, {"device": "station", "nonsense": True})
        with pytest.raises(requests.JSONDecodeError):
            (await get(f"{station.battery.address}/status")).json()
        assert (await get(f"{station.battery.address}/house")).ok


async def test_a_welded_p1_goes_on_feeding_the_load(station: Station):
    async with running_house(station):
        await post(f"{station.battery.address}/fault", {"device": "p1", "welded": True})
        await rpc(station.positions.relays()["p1"].address, "Switch.Set", id=0, on=False)
        house = (await get(f"{station.battery.address}/house")).json()
        assert house["relays"]["p1"] == {"output": False, "contact": True, "timer_left_s": None}
        assert house["flows"]["p1_w"] > 0.0


async def test_a_reboot_takes_the_initial_state(station: Station):
    async with running_house(station):
        await rpc(station.positions.relays()["p1"].address, "Switch.Set", id=0, on=False, toggle_after=60)
        await post(f"{station.battery.address}/fault", {"device": "p1", "reboot": True})
        house = (await get(f"{station.battery.address}/house")).json()
        assert house["relays"]["p1"] == {"output": True, "contact": True, "timer_left_s": None}


async def test_charge_and_ac_output_can_be_set(station: Station):
    async with running_house(station):
        await post(f"{station.battery.address}/soc", {"pct": 12.5})
        await post(f"{station.battery.address}/ac_output", {"on": False})
        status = (await get(f"{station.battery.address}/status")).json()
        assert (status["soc_pct"], status["ac_output_on"]) == (12.5, False)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/soc", {"pct": 101}, "pct"),
        ("/soc", {"pct": "NaN"}, "pct"),
        ("/soc", {}, "pct"),
        ("/grid", {"ok": "perhaps"}, "ok"),
        ("/grid", [], "the body"),
        ("/fault", {"device": "p9"}, "device"),
        ("/fault", {"device": "station", "welded": True}, "device"),
        ("/fault", {"device": "p1", "sleepy": True}, "sleepy"),
        ("/fault", {"device": "p1", "delay_s": -1}, "delay_s"),
        ("/lease", {"seconds": 0}, "seconds"),
    ],
)
async def test_a_wrong_order_is_refused_by_name(station: Station, path: str, body: object, named: str):
    async with running_house(station):
        answer = await post(f"{station.battery.address}{path}", body)
        assert answer.status_code == 422
        assert named in answer.json()["error"]


async def test_web_pages_may_not_write(station: Station):
    async with running_house(station):
        answer = await post(f"{station.battery.address}/grid", {"ok": False}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        assert (await get(f"{station.battery.address}/house")).json()["grid_ok"] is True


async def test_a_saved_house_goes_on(station: Station):
    async with running_house(station, speed=60.0) as rig:
        await post(f"{station.battery.address}/soc", {"pct": 33})
        await rpc(station.positions.p2.address, "Switch.SetConfig", id=0, config={"name": "charger"})
        await post(f"{station.battery.address}/ac_output", {"on": False})
        kept = rig.saved()
    async with running_house(station, speed=60.0, saved=kept) as rig:
        assert rig.house.flows().soc_pct == pytest.approx(33, abs=0.5)
        assert rig.house.contacts.p3 is False
        assert rig.switches["p2"].config.name == "charger"
        assert kept.rate is not None
        assert rig.clock.rate().epoch_station == kept.rate.epoch_station


async def test_the_clock_is_anchored_to_what_the_bus_can_carry(station: Station):
    async with running_house(station, speed=3600.0) as rig:
        # A rest of a millisecond would put every follower off by 3.6 s.
        assert rig.clock.rate().epoch_wall.microsecond % 1000 == 0


async def test_relays_may_be_two_channels_of_one_device(tmp_path: Path):
    station = simulated_station(tmp_path)
    p2 = station.positions.p2.model_copy(update={"address": station.positions.relays()["p1"].address, "channel": 1})
    station = station.model_copy(update={"positions": station.positions.model_copy(update={"p2": p2})})
    async with running_house(station):
        assert (await get(f"{p2.address}/shelly")).json()["app"] == "Plus2PM"
        await rpc(p2.address, "Switch.Set", id=1, on=True)
        status = (await rpc(p2.address, "Shelly.GetStatus"))["result"]
        assert (status["switch:0"]["output"], status["switch:1"]["apower"]) == (True, 700.0)


async def test_a_taken_port_is_said_and_nothing_stays_open(station: Station):
    async with running_house(station):
        with pytest.raises(PortTaken, match=r"cannot listen on 127\.0\.0\.1:\d+: .*another simulator"):
            async with Rig(station, speed=1.0, lease=Lease(None)):
                pass
        assert (await get(f"{station.positions.relays()['p1'].address}/shelly")).ok


@pytest.mark.parametrize("address", ["http://192.168.1.20:80", "http://127.0.0.1", "nonsense", "http://127.0.0.1:99999"])
def test_only_loopback_addresses_with_a_port_are_simulated(address: str):
    with pytest.raises(NotSimulatable, match=r"positions\.p1\.address"):
        ON_LOOPBACK.endpoint("positions.p1.address", address)


def test_what_it_is_called_in_a_network_it_listens_for_there_and_nothing_else():
    place = Place("simulator")
    assert place.endpoint("positions.p1.address", "http://simulator:18081") == ("0.0.0.0", 18081)
    assert place.endpoint("positions.p1.address", "http://127.0.0.1:18081") == ("127.0.0.1", 18081)
    with pytest.raises(NotSimulatable, match=r"positions\.p1\.address"):
        place.endpoint("positions.p1.address", "http://192.168.1.20:18081")
