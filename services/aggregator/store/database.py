"""Opens the database: SQLite so that what is committed survives a power cut, PostgreSQL as it comes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from services.aggregator.store.schema import VERSION, about, metadata

BUSY_S = 10.0
LOG_BUSY_MS = 500


class StoreError(Exception):
    """The database cannot be used; says why and what to do, without its password."""


def open_database(url: str, password: str | None, folder: Path) -> Engine:
    """The database at `url`, or SQLite in `folder` for an empty one, with its tables made. Raises StoreError."""
    try:
        address = make_url(url or f"sqlite:///{folder.absolute() / 'aggregator.db'}")
        if password is not None:
            address = address.set(password=password)
        if address.get_backend_name() not in ("sqlite", "postgresql"):
            raise StoreError(f"database: {address.get_backend_name()} is not known here; use sqlite or postgresql+psycopg")
        engine = create_engine(address, **_options(address.get_backend_name()))
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        _make_tables(engine)
    except ArgumentError:
        raise StoreError("database: it is not a URL such as postgresql+psycopg://user@host/name") from None
    except ModuleNotFoundError as error:
        raise StoreError(f"database: the driver {error.name} is not installed; install smart-power-station[postgres]") from None
    except SQLAlchemyError as error:
        raise StoreError(f"database {address.render_as_string()}: {str(getattr(error, 'orig', error)).strip().splitlines()[0]}") from None
    return engine


def of_the_database(error: Exception) -> bool:
    """Whether the database is at fault, and may be well again later; False where the value is one that it will never take."""
    if isinstance(error, (DataError, IntegrityError)) or not isinstance(error, SQLAlchemyError):
        return False
    # One that comes from no driver is of a value that could not even be handed to it.
    return isinstance(error, DBAPIError) or not isinstance(error, StatementError)


def empty_log(engine: Engine) -> bool:
    """Have SQLite empty its write-ahead log, in which old pages stand until then; False while somebody still reads them."""
    if engine.dialect.name != "sqlite":
        return True
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        # Waiting for readers keeps writers out.
        cursor.execute(f"PRAGMA busy_timeout = {LOG_BUSY_MS}")
        busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() or (1, 0, 0)
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
        return not busy
    finally:
        raw.close()


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, keep: Sequence[str] = ()) -> None:
    """Insert `rows`, or put them in the place of those of the same key; of an old row the columns `keep` stay."""
    if not rows:
        return
    maker = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    keys = [column.name for column in table.primary_key.columns]
    statement = maker(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys and name not in keep}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def _options(backend: str) -> dict[str, Any]:
    if backend == "sqlite":
        return {"connect_args": {"timeout": BUSY_S, "check_same_thread": False}}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": int(BUSY_S)}}


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # The driver's own idea of transactions begins them too late for savepoints; `begun` does it instead.
        connection.isolation_level = None
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            # What a person has had deleted is overwritten, not only unlinked.
            "secure_delete = ON",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _make_tables(engine: Engine) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        metadata.create_all(connection)
        version = connection.execute(select(about.c.value).where(about.c.name == "version")).scalar()
        if version is None:
            connection.execute(insert(about), {"name": "version", "value": str(VERSION)})
        elif int(version) != VERSION:
            raise StoreError(f"database: its tables are of version {version}, and this is version {VERSION}; use the matching release")
