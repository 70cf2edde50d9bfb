"""The driver for encrypted firmware against an emulated power station that signs with a key of its own.

The maker's key is not to be had, so the client is told to trust the emulator's; the rest of the handshake is as bluetti-bt-lib has it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from bluetti_bt_lib.bluetooth import encryption
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.bluetti_bridge.drivers import bluetti_ble
from services.bluetti_bridge.drivers.bluetti_ble import BluettiBle
from services.bluetti_bridge.drivers.bluetti_encrypted import connect
from services.bluetti_bridge.errors import BadReply, StationError, StationRefused, StationSilent
from services.core.readings import BatteryReading
from services.simulator.devices.bluetti import Bluetti, BluettiFaults
from services.simulator.devices.bluetti_encryption import SecureEnd
from tests.support.bluetti import Emulated, emulated_bluetti

READING = BatteryReading(71, 410, 123, 50, 7, True, False)
MAKERS_KEY = ec.generate_private_key(ec.SECP256R1())
STATIC_KEY = bytes.fromhex(encryption.LOCAL_AES_KEY)
APPS_KEY = ec.derive_private_key(int(encryption.PRIVATE_KEY_L1, 16), ec.SECP256R1()).public_key()


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    der = MAKERS_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setattr(encryption, "PUBLIC_KEY_K2", der.hex())


@asynccontextmanager
async def secure_bluetti(model: str = "AC180", *, mtu: int = 247, key: ec.EllipticCurvePrivateKey = MAKERS_KEY) -> AsyncIterator[Emulated]:
    secure = partial(SecureEnd, static_key=STATIC_KEY, signing_key=key, app_key=APPS_KEY)
    async with emulated_bluetti(model, mtu=mtu, make=partial(Bluetti, secure=secure)) as emulated:
        yield emulated


@asynccontextmanager
async def driver_for(emulated: Emulated, **settings: Any) -> AsyncIterator[BluettiBle]:
    driver = connect(emulated.station(driver="bluetti_encrypted", **settings))
    try:
        yield driver
    finally:
        await asyncio.to_thread(driver.close)


@pytest.mark.parametrize("mtu", [160, 247])
async def test_reads_behind_the_handshake_again_and_again(mtu: int) -> None:
    async with secure_bluetti(mtu=mtu) as emulated, driver_for(emulated) as driver:
        for _ in range(3):
            reply = await asyncio.to_thread(driver.read)
            assert (reply.reading, reply.refused) == (READING, ())


async def test_writes_and_reads_back() -> None:
    async with secure_bluetti() as emulated, driver_for(emulated) as driver:
        await asyncio.to_thread(driver.set, "ac_output", "off")
        assert emulated.said.status["ac_output_on"] is False


FAULTS = {
    "silent": (BluettiFaults(silent=True), StationSilent, "connection failed"),
    "half a message": (BluettiFaults(half=True), StationSilent, "did not answer"),
    "bad crc": (BluettiFaults(bad_crc=True), BadReply, "crc"),
    "failure": (BluettiFaults(failure=True), StationRefused, "MODBUS exception 4"),
}


@pytest.mark.parametrize(("faults", "error", "words"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_named_and_over_with_its_cause(faults: BluettiFaults, error: type[StationError], words: str) -> None:
    async with secure_bluetti() as emulated, driver_for(emulated, timeout_s=0.5) as driver:
        await emulated.device.suffer(faults)
        with pytest.raises(error, match=words):
            await asyncio.to_thread(driver.read)
        await emulated.device.suffer(BluettiFaults())
        assert (await asyncio.to_thread(driver.read)).reading == READING


async def test_somebody_elses_signature_is_refused() -> None:
    async with secure_bluetti(key=ec.generate_private_key(ec.SECP256R1())) as emulated, driver_for(emulated) as driver:
        with pytest.raises(StationRefused, match="signature is not the maker's"):
            await asyncio.to_thread(driver.read)


async def test_plain_firmware_is_not_mistaken_for_encrypted_nor_the_other_way() -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated, timeout_s=0.3) as driver:
        with pytest.raises(StationSilent):
            await asyncio.to_thread(driver.read)
    async with secure_bluetti() as emulated:
        plain = bluetti_ble.connect(emulated.station(timeout_s=0.5))
        try:
            with pytest.raises(StationError):
                await asyncio.to_thread(plain.read)
        finally:
            await asyncio.to_thread(plain.close)


async def test_no_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with secure_bluetti() as emulated, driver_for(emulated) as driver:
        await asyncio.to_thread(driver.read)
    assert "key" not in caplog.text.lower()
