"""The aggregator's shell: its broker, its line to it, the stations' API and the page, in one event loop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from sqlalchemy import Connection, Engine

from services.aggregator import broker_files, metrics
from services.aggregator.api import create_api
from services.aggregator.config import ApiSection, BrokerSection, PageSection
from services.aggregator.desk import Desk
from services.aggregator.gate import Gate
from services.aggregator.keys import StationSecrets, Unusable, signing_key
from services.aggregator.line import Line
from services.aggregator.page.access import Access
from services.aggregator.page.app import create_page
from services.aggregator.page.guard import allowed_hosts
from services.aggregator.receipts import receipt
from services.aggregator.runtime import CannotStart, Context
from services.aggregator.signals import Signals
from services.aggregator.store import deletion
from services.aggregator.store.database import empty_log
from services.aggregator.store.writer import Writer
from services.bus import deployment, web
from services.bus import metrics as meters
from services.bus.beating import Heartbeat
from services.bus.broker import BrokerError
from services.bus.broker.choose import find_mosquitto, refuse_taken_port
from services.bus.broker.mosquitto import Child

LOOK_EVERY_S = 0.5
MAX_CONNECTIONS = 2_000
"""Of stations at once; each costs some kilobytes."""

log = logging.getLogger(__name__)


async def run(context: Context) -> None:
    """Run until cancelled. Raises CannotStart with one line for a person, and ConfigError."""
    heartbeat = context.heartbeat()
    with context.alone(), meters.served(deployment.here()):
        await _run(context, heartbeat)


async def _run(context: Context, heartbeat: Heartbeat) -> None:
    file = context.file
    key, secrets = _checked(context)
    engine = context.open_database()
    desk = Desk(context, engine)
    writer = Writer(engine)
    try:
        access = _prepared(desk)
        if file.page.guarded and access.first_password.exists():
            log.warning("the page's first password lies in %s; `sps aggregator password` sets your own", access.first_password)
        async with _broker(context) as child:
            line = Line(f"sps-aggregator-{file.network}", broker_files.OWN_USER, secrets.own("mqtt"), Signals.filters(file), _tls(context))
            heartbeat.follow(line)
            signals = Signals(file, line, engine, writer, key, context.clock)
            metrics.follow(lambda: line.connected, lambda: signals.online)
            due = asyncio.Event()
            gate = Gate(engine, secrets, context.clock, file.api.batches_per_minute)
            api = create_api(file, engine, writer, gate, context.clock, due.set)
            hosts = allowed_hosts(file.page.host, file.page.port, file.page.published)
            page = create_page(desk, access, hosts, signals.nudged.set, lambda: line.problem)
            with _listen(file.api) as for_stations, _listen(file.page) as for_people:
                line.start(_own_way(file.broker), file.broker.port)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(heartbeat.run(), name="aggregator: heartbeat")
                        tasks.create_task(signals.send(), name="aggregator: events")
                        tasks.create_task(signals.doubt(), name="aggregator: presence")
                        tasks.create_task(signals.hear(), name="aggregator: answers")
                        tasks.create_task(_delete(context, engine, writer, key, due), name="aggregator: deletions")
                        tasks.create_task(_follow_enrolments(context, child), name="aggregator: enrolments")
                        tasks.create_task(_serve_api(context, api, for_stations), name="aggregator: api")
                        tasks.create_task(web.serve(page, for_people), name="aggregator: page")
                finally:
                    line.stop()
    finally:
        writer.close()
        engine.dispose()


def _checked(context: Context) -> tuple[Ed25519PrivateKey, StationSecrets]:
    """What lies in `secrets`, before anything is begun with it. Raises CannotStart."""
    api = context.file.api
    certificate, key = context.secret_path(api.cert_file), context.secret_path(api.key_file)
    try:
        if certificate is not None:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        return signing_key(context.secrets), context.station_secrets()
    except Unusable as error:
        raise CannotStart(str(error)) from None
    except OSError as error:
        raise CannotStart(f"api.cert_file, api.key_file: {certificate} and {key} cannot be used: {error.strerror or error}") from None


def _prepared(desk: Desk) -> Access:
    """The broker's files and the page's door. Raises CannotStart."""
    context = desk.context
    try:
        desk.write_broker_files()
        return Access(context.state, context.secrets, guarded=context.file.page.guarded)
    except OSError as error:
        raise CannotStart(f"{error.filename} cannot be written: {error.strerror}") from None


async def _serve_api(context: Context, api: FastAPI, listener: socket.socket) -> None:
    certificate = context.secret_path(context.file.api.cert_file), context.secret_path(context.file.api.key_file)
    await web.serve(api, listener, most=MAX_CONNECTIONS, certificate=certificate)


def _listen(at: ApiSection | PageSection) -> socket.socket:
    try:
        return web.listen(at)
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {at.host} port {at.port}: {error.strerror}; set another port in the aggregator's file"
        ) from None


@contextlib.asynccontextmanager
async def _broker(context: Context) -> AsyncIterator[Child | None]:
    """The broker, where it is ours to start. Raises CannotStart."""
    broker = context.file.broker
    if not broker.start:
        yield None
        return
    program = find_mosquitto()
    if program is None:
        raise CannotStart("Mosquitto is not installed (Debian: apt install mosquitto); or set broker.start: false and name one elsewhere")
    state = context.state / "broker"
    state.mkdir(parents=True, exist_ok=True)
    certificate, key = context.secret_path(broker.cert_file), context.secret_path(broker.key_file)
    both = None if certificate is None or key is None or not broker.tls else (certificate, key)
    config = state / "mosquitto.conf"
    config.write_text(broker_files.configuration(broker.host, broker.port, secrets=context.secrets, state=state, certificate=both))
    child = Child([str(program), "-c", str(config)], broker.host, broker.port, state / "mosquitto.log")
    try:
        refuse_taken_port(broker.host, broker.port)
        await child.start()
    except BrokerError as error:
        raise CannotStart(str(error)) from None
    keeper = asyncio.create_task(child.keep(), name="aggregator: mosquitto")
    try:
        yield child
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
        await child.stop()


def _own_way(broker: BrokerSection) -> str:
    """Where we ourselves reach the broker: one that listens everywhere listens on loopback, too."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(broker.host, broker.host) if broker.start else broker.host  # noqa: S104 - compared


def _tls(context: Context) -> ssl.SSLContext | None:
    if not context.file.broker.tls:
        return None
    ca = context.secret_path(context.file.broker.ca_file)
    try:
        believed = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as error:
        raise CannotStart(f"broker.ca_file: {ca} cannot be used: {error.strerror}") from None
    # A broker that we have just started is not asked for the name under which others know it.
    believed.check_hostname = not context.file.broker.start
    return believed


async def _follow_enrolments(context: Context, child: Child | None) -> None:
    """Have the broker read its files again whenever somebody was enrolled or withdrawn, until cancelled."""
    paths = [broker_files.folder(context.secrets) / name for name in ("passwd", "acl")]
    read: list[int] | None = None
    while True:
        with contextlib.suppress(OSError):
            now = [path.stat().st_mtime_ns for path in paths]
            if read is not None and now != read and child is not None and child.pid is not None:
                os.kill(child.pid, signal.SIGHUP)
            read = now
        await context.clock.sleep(LOOK_EVERY_S)


async def _delete(context: Context, engine: Engine, writer: Writer, key: Ed25519PrivateKey, due: asyncio.Event) -> None:
    """Carry out what people asked to have deleted, until cancelled; what a restart interrupted is found again."""
    # A kill may have left old pages in the log of which nothing else tells any more.
    emptied = told = False
    while True:
        due.clear()
        try:
            removed = [await writer.do(_removing(deletion_id)) for deletion_id in await asyncio.to_thread(_due, engine)]
            if removed or not emptied:
                emptied = await asyncio.to_thread(empty_log, engine)
            if emptied:
                for one in removed:
                    await writer.do(_proving(one, context, key))
                told = False
            else:
                if not told:
                    log.warning("the database is still being read as it was before a deletion; its receipt waits")
                told = True
                await context.clock.sleep(2 * LOOK_EVERY_S)
                due.set()
        except Exception:
            # The outermost edge: the request stays, and is tried again.
            log.exception("a deletion could not be carried out; trying again")
            await context.clock.sleep(10 * LOOK_EVERY_S)
            due.set()
        await due.wait()


def _removing(deletion_id: str) -> Callable[[Connection], deletion.Deleted]:
    return lambda connection: deletion.remove(connection, deletion_id)


def _proving(done: deletion.Deleted, context: Context, key: Ed25519PrivateKey) -> Callable[[Connection], None]:
    now = context.clock.now()
    return lambda connection: deletion.prove(connection, done.id, now, receipt(done, now, context.file, key))


def _due(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return deletion.due(connection)
