"""The frames: what is sent, and what of the replies is believed."""

import contextlib

import crcmod.predefined
import pytest
from bluetti_mqtt.core.commands import ReadHoldingRegisters, WriteSingleRegister
from hypothesis import given
from hypothesis import strategies as st

from services.bluetti_bridge.errors import BadReply, StationError
from services.bluetti_bridge.frames import ModbusException, Reply, crc16, read, sealed, write
from services.simulator.devices.bluetti import crc16 as emulators_crc16

ADDRESSES = st.integers(0, 0xFFFF)


@given(st.binary(max_size=300))
def test_the_crc_is_that_of_modbus_in_bridge_and_emulator(data: bytes) -> None:
    assert crc16(data) == crcmod.predefined.mkCrcFun("modbus")(data)
    assert emulators_crc16(data) == crc16(data).to_bytes(2, "little")


@given(st.integers(0, 0xFF00), st.integers(1, 125), ADDRESSES, ADDRESSES)
def test_requests_are_those_of_bluetti_mqtt(address: int, count: int, register: int, value: int) -> None:
    assert read(address, count).frame == bytes(ReadHoldingRegisters(address, count))
    assert write(register, value).frame == bytes(WriteSingleRegister(register, value))


@pytest.mark.parametrize(("address", "count"), [(0, 0), (0, 126), (0xFFFF, 2), (-1, 1)])
def test_what_no_frame_can_carry_is_refused(address: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        read(address, count)


@given(st.binary(min_size=2, max_size=250).filter(lambda data: len(data) % 2 == 0), st.integers(1, 260))
def test_a_reply_is_put_together_whatever_the_mtu_cut_it_to(data: bytes, size: int) -> None:
    reply = Reply(read(100, len(data) // 2))
    frame = sealed(bytes([1, 3, len(data)]) + data)
    *first, last = [reply.feed(frame[start : start + size]) for start in range(0, len(frame), size)]
    assert first == [None] * len(first)
    assert last == data


@given(st.integers(0, 8), st.integers(1, 255))
def test_a_hurt_bit_is_never_believed(position: int, mask: int) -> None:
    frame = bytearray(sealed(bytes([1, 3, 4]) + b"\x00\x47\x00\x00"))
    frame[position] ^= mask
    reply = Reply(read(102, 2))
    with contextlib.suppress(StationError):
        assert reply.feed(bytes(frame)) is None, "a frame whose length no longer fits is not complete"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10))
def test_no_bytes_raise_anything_but_a_station_error(fragments: list[bytes]) -> None:
    reply = Reply(read(100, 5))
    with contextlib.suppress(StationError):
        for fragment in fragments:
            reply.feed(fragment)


def test_a_modbus_exception_is_told_with_its_meaning_and_its_own_length() -> None:
    with pytest.raises(ModbusException, match=r"registers 100 to 161: MODBUS exception 2 \(illegal data address\)"):
        Reply(read(100, 62)).feed(sealed(bytes([1, 0x83, 2])))


def test_a_write_is_acknowledged_by_its_echo_alone() -> None:
    request = write(2011, 1)
    assert Reply(request).feed(request.frame) == b"\x00\x01"
    with pytest.raises(BadReply, match="echo"):
        Reply(request).feed(write(2011, 0).frame)
