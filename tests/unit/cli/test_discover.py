"""What is made of announcements, answers and advertisements, and the draft that is written from them."""

import json

import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.cli.discovery import ble, kasa, mdns
from services.cli.discovery.ask import ask_choices
from services.cli.discovery.draft import Choices, Placed, draft, is_complete
from services.cli.discovery.found import Finding, Kind, Outcome, fold
from services.cli.discovery.zone import machine_timezone
from services.cli.main import app
from services.core.config.load import FILL_IN, ConfigError, parse_station
from services.core.modes import AtsPriority

PLUS = mdns.relay(
    "shellyplus1pm-a8032ab12345._shelly._tcp.local.", "_shelly._tcp.local.", ["192.0.2.1"], 80, {"gen": "2", "app": "Plus1PM"}
)
TWO = mdns.relay("shellyplus2pm-a8032ab1ffff._shelly._tcp.local.", "_shelly._tcp.local.", ["fe80::1", "192.0.2.2"], 80, {"app": "Plus2PM"})
GEN1 = mdns.relay("shelly1pm-B929CC._http._tcp.local.", "_http._tcp.local.", ["192.0.2.3"], 80, {"id": "shelly1pm-B929CC"})
BLUETTI = ble.device("A4:C1:38:12:34:56", "AC1802237000123456", (), (), -60)
INA = Finding(Kind.SENSOR, "INA260 at 0x40", "INA260", "ina260", "/dev/i2c-1 0x40", ("I²C",))


def test_shelly_announcements_become_the_drivers_and_addresses_that_the_station_file_wants():
    assert PLUS is not None
    assert TWO is not None
    assert GEN1 is not None
    assert (PLUS.driver, PLUS.address, PLUS.model, PLUS.channels) == ("shelly_gen2", "http://192.0.2.1", "Plus1PM", 1)
    assert (TWO.driver, TWO.address, TWO.channels) == ("shelly_gen2", "http://192.0.2.2", 2)
    assert (GEN1.driver, GEN1.address) == ("shelly_gen1", "http://192.0.2.3")
    assert mdns.relay("shelly-x._shelly._tcp.local.", "_shelly._tcp.local.", ["fe80::1"], 80, {}) is None


@pytest.mark.parametrize(
    ("name", "services", "expected"),
    [
        ("AC1802237000123456", [], ("AC180", "bluetti_ble")),
        ("EB3A2237000123456", [], ("EB3A", "bluetti_ble")),
        ("EL302237000123456", [], ("EL30", "")),
        ("nameless", ["0000ff00-0000-1000-8000-00805f9b34fb"], ("", "")),
    ],
)
def test_bluetti_is_known_by_its_name_or_its_service(name, services, expected):
    found = ble.device("A4:C1:38:12:34:56", name, (), services, -60)
    assert found is not None
    assert (found.model, found.driver) == expected
    assert ("no register map" in found.note) == (expected[1] == "")


def test_shelly_is_known_by_its_maker_and_others_are_left_out():
    by_maker = ble.device("11:22:33:44:55:66", "", (0x0BA9,), (), -70)
    assert by_maker is not None
    assert (by_maker.kind, by_maker.driver) == (Kind.RELAY, "shelly_ble")
    assert ble.device("11:22:33:44:55:66", "JBL Flip", (0x0057,), (), -40) is None


def test_device_heard_on_the_network_and_over_bluetooth_is_one_and_keeps_its_network_address():
    over_ble = ble.device("A8:03:2A:B1:23:46", "ShellyPlus1PM-A8032AB12345", (0x0BA9,), (), -55)
    assert PLUS is not None
    assert over_ble is not None
    for order in ((PLUS, over_ble), (over_ble, PLUS)):
        (device,) = fold([Outcome("x", order)])
        assert (device.address, set(device.found_by)) == ("http://192.0.2.1", {"mDNS", "Bluetooth"})


@given(st.binary(max_size=300))
def test_kasa_cipher_is_its_own_way_back(plain):
    assert kasa.decrypt(kasa.encrypt(plain)) == plain


ANSWERS = st.recursive(
    st.none() | st.text(), lambda inner: st.dictionaries(st.sampled_from(["system", "get_sysinfo", "result"]), inner, max_size=2)
)


@given(st.binary(max_size=200) | ANSWERS.map(lambda answer: kasa.encrypt(json.dumps(answer).encode())))
def test_nothing_that_comes_over_udp_harms(answer):
    for port in (kasa.PORT, kasa.NEWER_PORT):
        assert kasa.plug(("192.0.2.9", port), answer) is None


def test_kasa_answers_of_old_and_new_firmware():
    old = {"system": {"get_sysinfo": {"alias": "Lamp", "model": "HS110(EU)", "relay_state": 1}}}
    plug = kasa.plug(("192.0.2.4", 9999), kasa.encrypt(json.dumps(old).encode()))
    assert plug is not None
    assert (plug.name, plug.driver, plug.address) == ("Lamp", "kasa", "kasa://192.0.2.4")
    for device_type, driver in (("IOT.SMARTPLUGSWITCH", "kasa"), ("SMART.KASAPLUG", "")):
        new = {"result": {"device_model": "KP125(US)", "device_type": device_type}}
        found = kasa.plug(("192.0.2.5", kasa.NEWER_PORT), bytes(16) + json.dumps(new).encode())
        assert found is not None
        assert found.driver == driver


def test_complete_draft_is_a_station_that_passes_check_config(tmp_path):
    assert PLUS is not None
    assert TWO is not None
    choices = Choices(
        name="cabin", timezone="America/New_York", relays={"p1": Placed(TWO, 0), "p2": Placed(TWO, 1), "p3": Placed(PLUS)},
        battery=BLUETTI, panel=INA,
    )  # fmt: skip
    text = draft(choices, [PLUS, TWO])
    assert is_complete(text)
    station = parse_station(text)
    assert (station.station, station.clock, station.transfer_switch.priority) == ("cabin", "system", AtsPriority.UNKNOWN)
    assert [(name, relay.address, relay.channel) for name, relay in station.positions.relays().items()] == [
        ("p1", "http://192.0.2.2", 0), ("p2", "http://192.0.2.2", 1), ("p3", "http://192.0.2.1", 0),
    ]  # fmt: skip
    assert (station.battery.driver, station.battery.model, station.battery.capacity_wh) == ("bluetti_ble", "AC180", 1152)
    sensor = station.positions.ina260s()["p4"]
    assert (sensor.bus, sensor.address) == ("/dev/i2c-1", 0x40)
    assert station.control.battery_stale_after_s > 2 * station.battery.poll_s
    file = tmp_path / "station.yaml"
    file.write_text(text)
    checked = CliRunner().invoke(app, ["check-config", str(file)])
    assert (checked.exit_code, "mode 2" in checked.output) == (0, True), checked.output


def test_answers_to_the_questions_make_a_complete_draft():
    assert PLUS is not None
    assert TWO is not None
    assert BLUETTI is not None
    questions = typer.Typer()

    @questions.command()
    def asked():
        typer.echo(draft(ask_choices([TWO, PLUS, BLUETTI], Choices(battery=BLUETTI)), []))

    # P1 is the first channel of the two; then the wrong number, and P2 the first of those left; no P3 relay.
    typed = ["1", "9", "1", "", "cabin", "Mars/Olympus", "Europe/Paris", "", "", "650", "y"]
    result = CliRunner().invoke(questions, input="\n".join(typed) + "\n")
    assert result.exit_code == 0, result.output
    station = parse_station(result.stdout[result.stdout.index("# A draft") :])
    assert [(r.address, r.channel) for r in station.positions.relays().values()] == [("http://192.0.2.2", 0), ("http://192.0.2.2", 1)]
    assert (station.station, station.timezone, station.battery.capacity_wh, station.battery.charge_w) == (
        "cabin",
        "Europe/Paris",
        1152,
        650,
    )
    assert station.positions.p4 is not None


def test_draft_without_answers_marks_the_places_names_the_candidates_and_does_not_pass_for_a_station():
    assert PLUS is not None
    text = draft(Choices(battery=BLUETTI), [PLUS])
    assert not is_complete(text)
    assert "candidate: shelly_gen2 http://192.0.2.1" in text
    with pytest.raises(ConfigError, match="timezone"):
        parse_station(text)
    filled = yaml.safe_load(text)
    assert filled["positions"]["p1"]["address"] == filled["positions"]["p2"]["address"] == FILL_IN


def test_check_config_names_each_place_of_a_draft_that_is_left_to_fill_in_once(tmp_path):
    file = tmp_path / "station.yaml"
    text = draft(Choices(), [])
    file.write_text(text)
    checked = CliRunner().invoke(app, ["check-config", str(file)])
    told = [line for line in checked.stderr.splitlines() if FILL_IN in line]
    blank = [number for number, line in enumerate(text.splitlines(), 1) if FILL_IN in line.split("#", 1)[0]]
    assert checked.exit_code == 2
    assert [f"line {number}:" in line for number, line in zip(blank, told, strict=True)] == [True] * len(blank)
    fields = ["timezone", "positions.p1.driver", "positions.p1.address", "positions.p2.driver", "battery.driver", "battery.capacity_wh"]
    assert all(any(f"{field}: FILL-IN; write" in line for line in told) for field in fields), told


def test_draft_proposes_the_zone_that_the_machine_is_set_to_but_not_the_utc_of_one_that_nobody_set_up(tmp_path):
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Paris")
    assert machine_timezone(None, tmp_path) == "Europe/Paris"
    (tmp_path / "timezone").write_text("America/New_York\n")
    assert machine_timezone(None, tmp_path) == "America/New_York"
    assert machine_timezone(":Asia/Tokyo", tmp_path) == "Asia/Tokyo"
    for nothing in ("Etc/UTC", "UTC0", "Mars/Olympus"):
        (tmp_path / "timezone").write_text(nothing)
        assert machine_timezone(nothing, tmp_path) == "Europe/Paris"
    assert machine_timezone(None, tmp_path / "none") is None
    assert yaml.safe_load(draft(Choices(timezone="Asia/Tokyo"), []))["timezone"] == "Asia/Tokyo"


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20))
def test_name_of_a_device_cannot_break_the_draft(name):
    odd = Finding(Kind.RELAY, name, "m", "kasa", "kasa://192.0.2.7", ("x",))
    text = draft(Choices(timezone="UTC", relays={"p1": Placed(odd), "p2": Placed(odd)}), [odd])
    assert yaml.safe_load(text)["positions"]["p1"] == {"driver": "kasa", "address": "kasa://192.0.2.7"}


def test_way_that_breaks_is_a_line_and_the_others_count(monkeypatch):
    async def broken(*_):
        raise RuntimeError("adapter on fire")

    async def fine(*_):
        return Outcome("Kasa broadcast", (Finding(Kind.RELAY, "Lamp", "HS110", "kasa", "kasa://192.0.2.4", ("x",)),))

    monkeypatch.setattr(ble, "search", broken)
    monkeypatch.setattr(kasa, "search", fine)
    result = CliRunner().invoke(app, ["discover", "--only", "ble", "--only", "kasa", "--seconds", "1"])
    assert (result.exit_code, "Lamp" in result.stdout, "adapter on fire" in result.stderr) == (0, True, True), result.output
