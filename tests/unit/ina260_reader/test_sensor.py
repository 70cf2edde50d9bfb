"""One sensor on an emulated chip, through the calls of smbus2 and through the simulated bus."""

import asyncio
import errno
import threading
from contextlib import asynccontextmanager

import pytest

from services.core.config.hardware import Ina260Sensor
from services.ina260_reader.drivers import kernel
from services.ina260_reader.errors import BusMissing, ChipError, ChipSilent, NoNewValue, WrongChip
from services.ina260_reader.port import open_port
from services.ina260_reader.sensor import Ina260
from services.simulator.devices.faults import Faults
from services.simulator.devices.ina260 import Direct, Ina260Chip
from services.simulator.devices.ina260_port import Ina260Port


class Bench:
    """A chip on bus 1 of an emulated machine, with time moved by hand."""

    def __init__(self, monkeypatch, **settings):
        self.now = 0.0
        self.line = Direct(24.0, 5.0)
        self.chip = Ina260Chip(lambda: self.line, monotonic=lambda: self.now)
        self.lost = 0
        self.words = 0
        self.opened = []
        bench = self

        class EmulatedSMBus:
            """The calls of smbus2.SMBus that are used."""

            def __init__(self, bus):
                if bus != 1:
                    raise FileNotFoundError(errno.ENOENT, "No such file or directory", f"/dev/i2c-{bus}")
                self.closed = False
                bench.opened.append(self)

            def read_word_data(self, address, register):
                bench.attempt(self)
                return bench.chip.read_word(address, register)

            def write_word_data(self, address, register, word):
                bench.attempt(self)
                bench.chip.write_word(address, register, word)

            def close(self):
                self.closed = True

        monkeypatch.setattr(kernel, "SMBus", EmulatedSMBus)
        self.sensor = Ina260(Ina260Sensor.model_validate({"sensor": "ina260"} | settings))

    def attempt(self, bus):
        assert not bus.closed
        self.words += 1
        if self.lost:
            self.lost -= 1
            raise OSError(errno.EREMOTEIO, "Remote I/O error")

    def read(self):
        """As the next poll would."""
        self.now += 1.0
        return self.sensor.read()

    def settle(self):
        """The first poll sets up; its average is still to come."""
        with pytest.raises(NoNewValue):
            self.read()


@pytest.fixture
def bench(monkeypatch):
    made = Bench(monkeypatch)
    made.settle()
    return made


def test_it_reads_volts_amperes_and_watts(bench):
    reading = bench.read()
    assert (reading.voltage_v, reading.current_a, reading.power_w) == pytest.approx((24.0, 5.0, 120.0))


def test_a_current_that_flows_back_has_a_sign(bench):
    bench.line = Direct(12.0, -0.5)
    assert bench.read().power_w == pytest.approx(-6.0)


def test_the_chip_is_told_to_average_over_the_period(bench):
    assert bench.chip.span_s == pytest.approx(0.864, abs=0.001)


def test_offset_comes_off_before_the_calibration_factor(monkeypatch):
    bench = Bench(monkeypatch, offset_a=0.25, calibration=1.02)
    bench.settle()
    assert bench.read().current_a == pytest.approx((5.0 - 0.25) * 1.02)


def test_two_lost_acknowledgements_are_made_good_at_once(bench):
    bench.lost = 2
    assert bench.read().power_w == pytest.approx(120.0)


def test_a_chip_that_does_not_acknowledge_is_silent_and_is_found_again(bench):
    bench.chip.suffer(Faults(nack=True))
    bench.words = 0
    with pytest.raises(ChipSilent, match="3 times"):
        bench.read()
    assert bench.words == 3
    bench.chip.suffer(Faults())
    assert bench.read().power_w == pytest.approx(120.0)
    assert [bus.closed for bus in bench.opened] == [True, False]


def test_a_wrong_address_is_silence(monkeypatch):
    with pytest.raises(ChipSilent):
        Bench(monkeypatch, address=0x44).read()


def test_another_chip_at_the_address_is_said_by_its_numbers(monkeypatch):
    bench = Bench(monkeypatch)
    bench.chip.suffer(Faults(wrong_identity=True))
    with pytest.raises(WrongChip, match="0x5449 0x2260"):
        bench.read()


def test_a_missing_bus_is_said_and_tried_again(monkeypatch):
    with pytest.raises(BusMissing, match="No such file"):
        Bench(monkeypatch, bus=7).read()


def test_a_bus_number_in_quotes_is_that_bus_and_a_word_is_refused_with_what_would_be_right():
    assert Ina260Sensor(sensor="ina260", bus="1").bus == 1
    for wrong in ("one", "-1", "999", "i2c-1"):
        with pytest.raises(ValueError, match="number of an I²C bus such as 1, a device file such as /dev/i2c-1"):
            Ina260Sensor(sensor="ina260", bus=wrong)


def test_without_an_i2c_bus_the_real_smbus2_says_that_it_is_missing():
    # No machine has this many: this is the real library, and the real kernel.
    with pytest.raises(BusMissing, match="No such file"):
        Ina260(Ina260Sensor(sensor="ina260", bus=255)).read()


def test_a_chip_that_finishes_no_conversion_has_no_new_value(bench):
    bench.read()
    bench.chip.suffer(Faults(stuck=True))
    for _ in range(3):
        with pytest.raises(NoNewValue):
            bench.read()
    bench.chip.suffer(Faults())
    bench.line = Direct(24.0, 1.0)
    assert bench.read().power_w == pytest.approx(24.0)


def test_a_value_is_never_told_twice(bench):
    bench.read()
    with pytest.raises(NoNewValue):
        bench.sensor.read()


def test_after_a_brown_out_the_chip_is_set_up_again(bench):
    bench.read()
    bench.chip.power_on()
    assert bench.chip.span_s == pytest.approx(0.0022)
    bench.settle()
    assert bench.chip.span_s == pytest.approx(0.864, abs=0.001)
    assert bench.read().power_w == pytest.approx(120.0)


def test_more_than_the_chip_can_take_is_not_believed(bench):
    bench.line = Direct(24.0, 60.0)
    with pytest.raises(ChipError, match="current_a"):
        bench.read()
    bench.line = Direct(38.0, 1.0)
    with pytest.raises(ChipError, match="voltage_v"):
        bench.read()


def test_a_thousand_failures_leave_nothing_open(bench):
    bench.chip.suffer(Faults(nack=True))
    for _ in range(1000):
        with pytest.raises(ChipSilent):
            bench.read()
    assert all(bus.closed for bus in bench.opened)


@asynccontextmanager
async def simulated_bus(line=Direct(24.0, 5.0)):  # noqa: B008 - it is frozen
    port = Ina260Port(Ina260Chip(lambda: line), host="127.0.0.1", port=0)
    await port.start()
    try:
        yield port
    finally:
        await port.stop()


def on(port, **settings):
    return Ina260(Ina260Sensor.model_validate({"sensor": "ina260", "bus": f"tcp:127.0.0.1:{port.port}", "poll_s": 0.1} | settings))


async def first_reading(sensor):
    for _ in range(100):
        try:
            return await asyncio.to_thread(sensor.read)
        except NoNewValue:
            await asyncio.sleep(0.02)
    raise AssertionError("no new value in 2 s")


async def test_the_simulated_bus_carries_the_same_words():
    async with simulated_bus() as port:
        sensor = on(port)
        assert (await first_reading(sensor)).power_w == pytest.approx(120.0)
        sensor.close()


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(nack=True), ChipSilent),
        (Faults(refuse=True), BusMissing),
        (Faults(wrong_identity=True), WrongChip),
        (Faults(silent=True), ChipSilent),
        (Faults(delay_s=1.5), ChipSilent),
    ],
    ids=["121", "no bus", "wrong identity", "silent", "too late"],
)
async def test_each_fault_of_the_simulated_bus_is_told_apart_and_passes(faults, expected):
    async with simulated_bus() as port:
        sensor = on(port)
        await port.suffer(faults)
        with pytest.raises(expected):
            await asyncio.to_thread(sensor.read)
        await port.suffer(Faults())
        assert (await first_reading(sensor)).power_w == pytest.approx(120.0)
        sensor.close()


async def test_a_bus_that_goes_away_is_missing_and_comes_back():
    async with simulated_bus() as port:
        sensor = on(port)
        await first_reading(sensor)
        await port.suffer(Faults(refuse=True))
        for _ in range(2):
            with pytest.raises(BusMissing):
                await asyncio.to_thread(sensor.read)
        await port.suffer(Faults())
        await first_reading(sensor)
        sensor.close()


async def test_what_is_no_call_is_answered_by_an_error_and_the_bus_goes_on():
    async with simulated_bus() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        for line in (b"hello\n", b"r zz 00\n", b"\xff\n", b"r 40 fe\n"):
            writer.write(line)
        assert [await reader.readline() for _ in range(4)] == [b"error 16\n"] * 3 + [b"ok 4954\n"]
        writer.close()


async def test_a_hundred_failures_on_the_simulated_bus_leave_no_thread_or_connection():
    async with simulated_bus() as port:
        sensor = on(port)
        await port.suffer(Faults(nack=True))
        threads = threading.active_count()

        def fail_often():
            for _ in range(100):
                with pytest.raises(ChipSilent):
                    sensor.read()

        await asyncio.to_thread(fail_often)
        await asyncio.sleep(0.05)
        assert threading.active_count() <= threads + 1
        assert len(port._connections) == 0
        sensor.close()


def test_the_way_to_a_bus_is_chosen_by_its_name():
    with pytest.raises(ConnectionRefusedError):
        open_port("tcp:127.0.0.1:1")
    with pytest.raises(FileNotFoundError):
        open_port("/dev/i2c-255")
