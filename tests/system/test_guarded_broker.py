"""The broker of the container lets in who may, bears what it must, and says why not; our clients say it to a person."""

import asyncio
import logging
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from services.bus.client import Bus
from services.bus.clock import SystemClock, utc_now
from services.bus.connection import Door
from services.bus.contract import CONTROLLER_STATE, EVENT, RELAY_STATE, SERVICE_ERROR
from services.bus.examples import example
from services.bus.link import Link
from services.bus.provision import Wishes, set_up
from services.bus.runtime import Context
from services.bus.secrets import login
from services.bus.tls import trusting
from services.core.config.station import Broker
from tests.support.guarded import HOST, UserClient, guarded
from tests.support.house import simulated_station
from tests.support.needs import need_mosquitto_pub
from tests.support.waiting import wait_for, wait_until

STATE = "sps/demo/controller/state"
STATUS = "sps/demo/service/controller/status"


@pytest.fixture
def station(tmp_path):
    return simulated_station(tmp_path).model_copy(update={"clock": "system"})


@pytest.fixture
def broker(tmp_path, station):
    with guarded(tmp_path, station, tls=True) as running:
        yield running


@pytest.fixture
def context(tmp_path, station, broker):
    """What a service gets whose secrets lie beside its state; `broker` settings as for this machine."""
    settings = Broker(host=HOST, port=broker.port, start=False)
    return Context(station.model_copy(update={"broker": settings}), SystemClock(), tmp_path / "var", random.Random(1))


def over_tls(context, broker, *, host=HOST, ca_file="mosquitto/ca.crt"):
    settings = Broker(host=host, port=broker.tls_port, start=False, tls=True, ca_file=ca_file)
    return Context(context.station.model_copy(update={"broker": settings}), context.clock, context.var, context.random)


async def test_a_service_logs_in_by_its_name_and_is_heard(broker, context) -> None:
    with UserClient(broker, "operator") as operator:
        operator.subscribe("sps/demo/#")
        async with context.bus("controller") as bus:
            await bus.wait_connected()
            bus.publish(CONTROLLER_STATE, example(CONTROLLER_STATE))
            await wait_for(lambda: operator.payloads(STATE))


@pytest.mark.parametrize(
    ("user", "password"), [(None, None), ("controller", "wrong"), ("operator", ""), ("nobody", "x"), ("witness", "witness")]
)
def test_nobody_gets_in_without_the_right_password(broker, user, password) -> None:
    with UserClient(broker, user, password=password) as client:
        assert client.answer == "Not authorized"


async def test_a_wrong_password_is_said_with_its_remedy_and_the_right_one_helps_without_a_restart(broker, context, caplog) -> None:
    path = broker.secrets / "mqtt" / "controller"
    right = path.read_text()
    path.write_text("not-the-password\n")
    with caplog.at_level(logging.WARNING):
        async with context.bus("controller") as bus:
            await wait_for(lambda: bus.turned_away)
            assert "it refuses user controller" in (bus.trouble or "")
            assert "run sps setup" in caplog.text
            assert "not-the-password" not in caplog.text
            path.write_text(right)
            await wait_for(lambda: bus.connected, 10)
            assert bus.trouble is None
            assert not bus.turned_away
    assert caplog.text.count("it refuses user controller") == 1, "told once, however often it is tried"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_text(""), "must hold the password on one line"),
        (lambda path: path.write_text("two\nlines\n"), "must hold the password on one line"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder, as a container makes"),
        (lambda path: path.unlink(), "it wants a user and password, and there is none for us"),
    ],
    ids=["empty", "lines", "bytes", "folder", "missing"],
)
async def test_a_password_that_cannot_be_had_is_named(broker, context, damage, words) -> None:
    damage(broker.secrets / "mqtt" / "controller")
    async with context.bus("controller") as bus:
        await wait_for(lambda: bus.turned_away)
        assert words in (bus.trouble or "")


async def test_over_tls_messages_of_every_size_pass_both_ways(broker, context) -> None:
    heard = []
    async with over_tls(context, broker).bus("controller") as bus, over_tls(context, broker).bus("recorder") as reader:
        reader.subscribe(SERVICE_ERROR, heard.append)
        await bus.wait_connected()
        await reader.wait_connected()
        # More than a record of TLS holds, and many in one.
        lengths = [1, 20_000, 60_000, *[10] * 200]
        for length in lengths:
            bus.publish(SERVICE_ERROR, example(SERVICE_ERROR).model_copy(update={"message": "x" * length}), service="controller")
        await wait_for(lambda: len(heard) == len(lengths))
        assert [len(received.message.message) for received in heard] == lengths


async def test_over_tls_what_comes_in_one_record_is_heard_at_once(tmp_path, station) -> None:
    set_up(tmp_path / "secrets", station, Wishes(), utc_now())
    files = tmp_path / "secrets" / "mosquitto"
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files / "server.crt", files / "server.key")
    heard: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        connack, publish = b"\x20\x02\x00\x00", b"\x30\x04\x00\x01tx"
        writer.write(connack + 5 * publish)
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(greet, HOST, 0, ssl=server)
    async with listener:
        tls = trusting(files / "ca.crt")
        link = Link("test", will=None, on_message=lambda _topic, payload, _retained: heard.append(payload), on_read=lambda: None, tls=tls)
        await link.open(HOST, listener.sockets[0].getsockname()[1])
        await wait_for(lambda: len(heard) == 5)
        link.close()


async def test_over_tls_nobody_is_trusted_but_our_own_authority_and_name(tmp_path, broker, context, station) -> None:
    other = tmp_path / "other"
    set_up(other, station, Wishes(), utc_now())
    shutil.copy(other / "mosquitto" / "ca.crt", broker.secrets / "stranger.crt")
    (broker.secrets / "garbage.crt").write_text("no certificate")
    for changes, words in (
        ({"ca_file": "stranger.crt"}, "its certificate is not to be trusted"),
        ({"ca_file": None}, "its certificate is not to be trusted"),
        ({"host": "127.1"}, "its certificate is not to be trusted"),
        ({"ca_file": "garbage.crt"}, "is no certificate"),
        ({"ca_file": "missing.crt"}, "cannot be read"),
    ):
        async with over_tls(context, broker, **changes).bus("controller") as bus:
            await wait_for(lambda: bus.trouble)
            assert words in (bus.trouble or ""), changes
            assert bus.turned_away


def test_over_tls_without_the_authority_or_with_an_old_version_nothing_is_said(broker) -> None:
    assert broker.tls_port is not None
    strict = ssl.create_default_context(cafile=broker.secrets / "mosquitto" / "ca.crt")
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection((HOST, broker.tls_port)) as plain, strict.wrap_socket(plain, server_hostname="localhost") as good:
        assert good.version() in ("TLSv1.2", "TLSv1.3")
    for context in (ssl.create_default_context(), old_tls(broker)):
        with (
            socket.create_connection((HOST, broker.tls_port)) as plain,
            pytest.raises(ssl.SSLError),
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            pass
    with socket.create_connection((HOST, broker.tls_port), 5) as plain:
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x14\x00\x00")
        with suppress(ConnectionResetError):
            assert plain.recv(100)[:1] != b"\x20", "a CONNECT in plain text was answered"


def old_tls(broker) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=broker.secrets / "mosquitto" / "ca.crt")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def test_an_event_comes_from_the_network_as_the_docs_say(tmp_path, broker) -> None:
    need_mosquitto_pub()
    page = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8")
    (options,) = re.findall(r"```\n# ~/.config/mosquitto_pub.*?\n(.*?)```", page, re.DOTALL)
    (body,) = re.findall(r"^mosquitto_pub -t sps/demo/event/command -m '(.*)'$", page, re.MULTILINE)
    password = (broker.secrets / "mqtt" / "operator").read_text().strip()
    for written, here in {
        "powerstation.local": "localhost",
        "8883": str(broker.tls_port),
        "/home/me/powerstation-ca.crt": str(broker.secrets / "mosquitto" / "ca.crt"),
        "the line in secrets/mqtt/operator": password,
    }.items():
        assert written in options
        options = options.replace(written, here)
    (tmp_path / "mosquitto_pub").write_text(options)
    with UserClient(broker, "controller") as controller:
        controller.subscribe("sps/demo/#")
        command = ["mosquitto_pub", "-t", "sps/demo/event/command", "-m", body]
        subprocess.run(command, env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}, check=True, timeout=10)
        wait_until(lambda: controller.payloads("sps/demo/event/command") == [body.encode()])


async def test_killed_with_retained_messages_it_comes_back_with_all_that_has_an_owner(broker, context) -> None:
    async with context.bus("controller") as bus, context.bus("relay_bridge") as bridge:
        await bus.wait_connected()
        await bridge.wait_connected()
        bus.publish(EVENT, example(EVENT), event_id="e1")
        bus.publish(CONTROLLER_STATE, example(CONTROLLER_STATE))
        bridge.publish(RELAY_STATE, example(RELAY_STATE), position="p1")
        with UserClient(broker, "operator") as operator:
            operator.subscribe("sps/#")
            await wait_for(lambda: operator.payloads("sps/demo/relay/p1/state"))
            await wait_for(lambda: operator.payloads(STATE))
        before = await retained(broker)
        assert {"sps/demo/event/e1", STATE, STATUS, "sps/demo/relay/p1/state"} <= before.keys()
        broker.kill()
        await wait_for(lambda: not bus.connected and not bridge.connected)
        broker.start()
        await bus.wait_connected()
        await bridge.wait_connected()
        async with asyncio.timeout(10):
            while dateless(after := await retained(broker)) != dateless(before) or after.keys() != before.keys():
                await asyncio.sleep(0.05)


def dateless(messages: dict[str, bytes]) -> dict[str, bytes]:
    """All but the statuses, which are said anew."""
    return {topic: payload for topic, payload in messages.items() if not topic.endswith("/status")}


async def retained(broker) -> dict[str, bytes]:
    def look() -> dict[str, bytes]:
        with UserClient(broker, "operator") as newcomer:
            newcomer.subscribe("sps/#")
            newcomer.subscribe("barrier")
            return {heard.topic: heard.payload for heard in newcomer.heard if heard.retained}

    return await asyncio.to_thread(look)


async def test_a_packet_past_the_limit_costs_its_sender_the_connection_and_nobody_else(broker, context) -> None:
    async with context.bus("controller") as bus:
        await bus.wait_connected()
        with UserClient(broker, "operator") as sender:
            sender.publish("sps/demo/event/command", b"x" * 200_000)
            sender.subscribe("barrier")
            assert not sender.lost.is_set(), "it is below the limit"
            sender.publish("sps/demo/event/command", b"x" * 300_000)
            wait_until(sender.lost.is_set)
        assert bus.connected


def test_too_many_connections_are_turned_away_and_those_there_are_serve_on(tmp_path, station) -> None:
    with guarded(tmp_path, station, max_connections=4) as broker, ExitStack() as stack:
        clients = [stack.enter_context(UserClient(broker, "operator")) for _ in range(4)]
        with UserClient(broker, "operator") as fifth:
            assert fifth.answer is None
            assert fifth.lost.is_set()
        clients[0].subscribe("sps/demo/#")
        clients[1].publish("sps/demo/event/command", "{}")
        wait_until(lambda: clients[0].payloads("sps/demo/event/command"))


def test_who_does_not_read_fills_no_memory_and_holds_nobody_up(tmp_path, station) -> None:
    with guarded(tmp_path, station, everything=False) as broker, ExitStack() as stack:
        assert broker.process is not None
        memory = psutil.Process(broker.process.pid).memory_info
        before = memory().rss
        deaf = stack.enter_context(UserClient(broker, "operator"))
        deaf.subscribe("sps/demo/#", qos=1)
        deaf.stop_reading()
        with UserClient(broker, "controller") as reader, UserClient(broker, "gateway") as writer:
            reader.subscribe("sps/demo/#", qos=1)
            for number in range(400):
                writer.publish("sps/demo/event/command", f"{number:_>100000}")
                wait_until(lambda: len(reader.heard) == number + 1, 20)  # noqa: B023
        assert memory().rss - before < 20e6, "40 MB were sent past one who does not read"


async def test_a_last_will_on_a_topic_of_somebody_else_is_not_published(broker) -> None:
    # Who may not write a topic may not have the broker write it either.
    with UserClient(broker, "operator") as operator:
        operator.subscribe("sps/demo/#")
        async with Bus(
            "demo", "controller", (HOST, broker.port), clock=SystemClock(), jitter=random.Random(1), door=as_simulator(broker)
        ) as bus:
            await wait_for(lambda: bus.connected or bus.trouble)
        operator.subscribe("barrier")
        assert not operator.payloads(STATUS)


def as_simulator(broker):
    return Door(login=lambda: login("simulator", broker.secrets))
