"""*Devices*: each with its link, when it was last seen, its faults, and a test of its switch."""

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.bus.client import Received
from services.bus.messages.devices import BatteryReadingMessage, PositionReading, RelayStateMessage
from services.core.config.hardware import Ina260Sensor, RelayDevice, StationSensor
from services.core.modes import Mode
from services.core.positions import Position
from services.gateway import overriding, switch_test
from services.gateway.access.rules import require
from services.gateway.desk import Desk
from services.gateway.languages.reason_patterns import N_
from services.gateway.pages.events import refusal
from services.gateway.pages.site import Site
from services.gateway.problems import ApiError
from services.gateway.switch_test import Stage, SwitchTest

Link = Literal["good", "silent", "never", "unknown"]
PLACES = {
    "p1": N_("P1, grid to load"),
    "p2": N_("P2, grid to battery"),
    "p3": N_("P3, battery to load"),
    "p4": N_("P4, PV to battery"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """One device as the page shows it."""

    key: str
    """Its position, the load's name, or `battery`."""
    kind: Literal["relay", "sensor", "battery", "load"]
    driver: str
    address: str
    name: str
    """As it reports itself."""
    link: Link
    age_s: float | None
    """Real seconds since it was last heard."""
    fault: str = ""
    relay_on: bool | None = None
    deadman_proved: bool | None = None
    confirmed_by: str | None = None
    rssi_dbm: float | None = None
    model: str = ""
    measures: tuple[str, ...] = ()
    """The positions that a power station measures itself."""


def found(desk: Desk) -> list[Device]:
    """All devices of the station file, with what was heard of them."""
    devices = [_battery(desk)]
    for position in Position:
        place = getattr(desk.station.positions, position.value)
        if place is None:
            continue
        reading = desk.heard.positions.get(position.value)
        if isinstance(place, RelayDevice):
            devices.append(_relay(desk, position.value, "relay", place, reading, desk.heard.relays.get(position.value)))
        elif isinstance(place, Ina260Sensor):
            devices.append(
                Device(
                    position.value,
                    "sensor",
                    "ina260",
                    f"I²C {place.bus}, 0x{place.address:02x}",
                    reading.message.device if reading else "",
                    _link(desk, reading, desk.station.control.stale_after_s),
                    _age(desk, reading),
                )
            )
    devices += [
        _relay(desk, name, "load", device, desk.heard.loads.get(name), desk.heard.load_relays.get(name))
        for name, device in desk.station.loads.items()
    ]
    return devices


def _battery(desk: Desk) -> Device:
    station, heard = desk.station.battery, desk.heard.battery
    link = desk.heard.battery_link
    seen = _link(desk, heard, desk.station.control.battery_stale_after_s)
    failed = link is not None and not link.available and link.last_failure
    return Device(
        "battery",
        "battery",
        station.driver,
        station.address,
        heard.message.device if heard else link.device if link else "",
        "silent" if link is not None and link.silent and seen != "unknown" else seen,
        _age(desk, heard),
        fault=str(link.last_failure) if link is not None and failed else "",
        rssi_dbm=link.rssi_dbm if link else None,
        model=station.model or "",
        measures=tuple(p.upper() for p in Position if isinstance(getattr(desk.station.positions, p.value), StationSensor)),
    )


def _relay(
    desk: Desk,
    key: str,
    kind: Literal["relay", "load"],
    device: Any,
    reading: Received[PositionReading] | None,
    relay: RelayStateMessage | None,
) -> Device:
    address = f"{device.address}, {device.channel}" if device.channel else device.address
    known = relay if desk.bus.connected else None
    return Device(
        key,
        kind,
        device.driver,
        address,
        reading.message.device if reading else "",
        _link(desk, reading, desk.station.control.stale_after_s),
        _age(desk, reading),
        fault=(known.fault or "") if known else "",
        relay_on=known.on if known else None,
        deadman_proved=known.deadman_proved if known else None,
        confirmed_by=known.confirmed_by if known else None,
    )


def _age(desk: Desk, received: Received[PositionReading] | Received[BatteryReadingMessage] | None) -> float | None:
    return None if received is None else max(0.0, desk.clock.monotonic() - received.received_at)


def _link(desk: Desk, received: Received[PositionReading] | Received[BatteryReadingMessage] | None, limit_s: float) -> Link:
    if not desk.bus.connected:
        return "unknown"
    age_s = _age(desk, received)
    return "never" if age_s is None else "good" if age_s <= limit_s else "silent"


def router(desk: Desk, site: Site) -> APIRouter:
    """The routes of devices."""
    routes = APIRouter(include_in_schema=False)
    tests: dict[str, SwitchTest] = {}

    def planned(position: str) -> SwitchTest | None:
        """The test that could begin now."""
        relay = desk.state().positions[position].relay_on
        if not desk.clock.known:
            return None
        return switch_test.plan(position, relay, desk.station.board, overriding.possible_modes(desk), desk.clock.now())

    async def look() -> None:
        """Take each running test further; give the station back to itself once one is over."""
        for position, test in list(tests.items()):
            after = switch_test.looked(test, desk.state().positions[position].relay_on, desk.clock.now())
            tests[position] = after
            if after.stage is not Stage.WAITING and test.stage is Stage.WAITING:
                await _let_go(desk, test)

    async def shown() -> dict[str, Any]:
        await look()
        switched = desk.station.positions.switched()
        return {
            "devices": found(desk),
            "tests": tests,
            "plans": {position: planned(position) for position in switched},
            "testing": any(test.stage is Stage.WAITING for test in tests.values()),
            "places": PLACES,
            "services": desk.state().services,
            "mode_of": Mode,
        }

    @routes.get("/devices", dependencies=[require("read")])
    async def page(request: Request) -> Response:
        return site.render(request, "devices.html", await shown())

    @routes.get("/devices/list", dependencies=[require("read")])
    async def listed(request: Request) -> Response:
        return site.render(request, "_devices.html", await shown())

    @routes.post("/devices/{position}/test", dependencies=[require("admin")])
    async def test(request: Request, position: str) -> Response:
        back = "/devices"
        if position not in desk.station.positions.switched():
            return site.told(request, site.text(request, N_("There is no switch to test there.")), back=back, good=False, status=404)
        await look()
        if any(one.stage is Stage.WAITING for one in tests.values()):
            return site.told(
                request, site.text(request, N_("One test at a time: another one is running.")), back=back, good=False, status=409
            )
        state = desk.state().controller
        if state is not None and (state.phase == "ongoing" or state.reason_code == "manual"):
            text = N_("Not during an event or a mode by hand: wait until it is over.")
            return site.told(request, site.text(request, text), back=back, good=False, status=409)
        if (begun := planned(position)) is None:
            text = N_("Its state is not known, or no harmless mode would switch it.")
            return site.told(request, site.text(request, text), back=back, good=False, status=409)
        try:
            await overriding.wish(desk, begun.mode, switch_test.LASTS)
        except ApiError as error:
            return site.told(request, refusal(site, request, error), back=back, good=False, status=error.status)
        tests[position] = begun
        return site.told(request, site.text(request, N_("The test has begun; its line shows how it goes.")), back=back)

    @routes.post("/devices/test/stop", dependencies=[require("admin")])
    async def stop(request: Request) -> Response:
        await look()
        for position, one in list(tests.items()):
            if one.stage is Stage.WAITING:
                del tests[position]
                await _let_go(desk, one)
        return site.told(request, site.text(request, N_("The test is over; the station decides by itself again.")), back="/devices")

    return routes


async def _let_go(desk: Desk, test: SwitchTest) -> None:
    state = desk.state().controller
    manual = Mode(state.mode_commanded) if state is not None and state.reason_code == "manual" else None
    if not switch_test.holds(test, manual, desk.clock.now()):
        return
    try:
        await overriding.wish(desk, None)
    except ApiError:
        return  # the controller takes the mode back by itself when its time is over
