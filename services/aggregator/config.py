"""The aggregator's own file, and what its surroundings change in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from services.bus.deployment import host_and_port, url_of
from services.core.config.aggregator import KEY_ID, NETWORK, SecretName
from services.core.config.base import Port, Section
from services.core.config.load import ConfigError, Problem, parse_file
from services.core.config.web import is_loopback

DEFAULT_FILE = Path("config/aggregator.yaml")
PUBLISHED = r"^[^\s:/@]+:[0-9]{1,5}$"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("use an IANA name such as Europe/Paris") from None
    return name


class BrokerSection(Section):
    """The aggregator's own broker: never the one of a house."""

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: Port = 1884
    start: bool = True
    """Whether Mosquitto is started here; false where it runs elsewhere, with the files from `secrets/aggregator/mosquitto`."""
    tls: bool = False
    """Beyond loopback always on: passwords do not travel in the open."""
    ca_file: SecretName | None = None
    """Whose certificate the broker must show. Unset: those the system believes."""
    cert_file: SecretName | None = None
    key_file: SecretName | None = None
    """The broker's own certificate and key, where it is started here with TLS."""
    published: Annotated[str, Field(pattern=PUBLISHED)] | None = None
    """`host:port` under which stations reach it over TLS, where that is another than `host` and `port`."""

    @property
    def for_stations(self) -> tuple[str, int, bool]:
        """Host, port, and whether over TLS: what stations write into their files."""
        if self.published is None:
            return self.host, self.port, self.tls
        host, _, port = self.published.rpartition(":")
        return host, int(port), True

    @model_validator(mode="after")
    def _safe(self) -> "BrokerSection":
        if self.start and self.tls and not (self.cert_file and self.key_file):
            raise ValueError("a broker started here with tls needs cert_file and key_file, such as mosquitto/server.crt and server.key")
        if self.start and not self.tls and not is_loopback(self.host):
            raise ValueError(f"host: {self.host} can be reached from elsewhere, so passwords would travel in the open; set tls: true")
        return self


class ApiSection(Section):
    """Where stations send what they share."""

    host: str = "127.0.0.1"
    port: Port = 8090
    cert_file: SecretName | None = None
    key_file: SecretName | None = None
    """For https. Unset: http, for loopback, or behind a proxy that speaks https."""
    published: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None = None
    """The base URL under which stations reach it, where `host` and `port` do not say."""
    batches_per_minute: int = Field(default=60, ge=1, le=100_000)
    """What one station may send on the long run; a minute's worth at once. More is answered 429."""
    max_body_bytes: int = Field(default=4_000_000, ge=1_000, le=100_000_000)
    """As sent; unpacked, a batch may have `MAX_BODY_BYTES` of the wire's contract."""

    @property
    def for_stations(self) -> str:
        """The base URL that stations write into their files."""
        return self.published or f"{'https' if self.cert_file else 'http'}://{self.host}:{self.port}"

    @model_validator(mode="after")
    def _together(self) -> "ApiSection":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together: name both, or neither")
        if not is_loopback(self.host) and self.cert_file is None and not (self.published or "").startswith("https:"):
            raise ValueError(
                f"host: {self.host} can be reached from elsewhere, so what people share would travel in the open;"
                " name cert_file and key_file, or, behind a proxy that speaks https, published: https://..."
            )
        return self


class PageSection(Section):
    """The fleet's page."""

    host: str = "127.0.0.1"
    """Beyond loopback it asks for a password."""
    port: Port = 8091
    published: str | None = None
    """`host:port` under which people reach a page that listens in a container or behind a proxy."""
    password: bool = False
    """Ask for a password on loopback, too."""

    @property
    def guarded(self) -> bool:
        """Whether a password is asked for."""
        return self.password or not is_loopback(self.host)


class AggregatorFile(Section):
    """One aggregator of one network."""

    network: Annotated[str, Field(pattern=NETWORK)]
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """For the page, local start times and the older form; all else is UTC."""
    broker: BrokerSection = BrokerSection()
    api: ApiSection = ApiSection()
    page: PageSection = PageSection()
    database: str = ""
    """A SQLAlchemy URL such as `postgresql+psycopg://user@host/name`, without its password. Unset: SQLite in the state folder."""
    database_secret: SecretName | None = None
    """The file in `secrets` that holds the database's password."""
    key_id: Annotated[str, Field(pattern=KEY_ID)] = "aggregator-1"
    """Under which name stations know the key that signs events."""
    old_form: bool = False
    """Send events in the older form, too; it cannot be signed."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone for people."""
        return ZoneInfo(self.timezone)


def load_file(path: Path, environment: Mapping[str, str]) -> AggregatorFile:
    """The checked file at `path`, placed as `environment` says. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(None, str(path), "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(None, str(path), "", f"byte {error.start} is not UTF-8; save it as UTF-8")]) from None
    return placed(parse_file(text, AggregatorFile, str(DEFAULT_FILE)), environment)


def placed(file: AggregatorFile, environment: Mapping[str, str]) -> AggregatorFile:
    """`file` with broker, API, page and database where they are here; an empty variable says nothing. Raises ConfigError."""
    said = {name: value for name, value in environment.items() if value}
    changes: dict[str, dict[str, object]] = {"broker": {}, "api": {}, "page": {}}
    if (host := said.get("SPS_BROKER_HOST")) is not None:
        # A broker named by the surroundings is somebody else's to start.
        changes["broker"] |= {"host": host, "start": False}
    if (port := said.get("SPS_BROKER_PORT")) is not None:
        if not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ConfigError([Problem(None, "SPS_BROKER_PORT", port, "a port is a number from 1 to 65535")])
        changes["broker"]["port"] = int(port)
    for variable, section, field, read in (
        ("SPS_AGGREGATOR_BROKER_PUBLISHED", "broker", "published", host_and_port),
        ("SPS_AGGREGATOR_API_HOST", "api", "host", _as_it_is),
        ("SPS_AGGREGATOR_API_PUBLISHED", "api", "published", url_of),
        ("SPS_AGGREGATOR_API_CERT_FILE", "api", "cert_file", _as_it_is),
        ("SPS_AGGREGATOR_API_KEY_FILE", "api", "key_file", _as_it_is),
        ("SPS_AGGREGATOR_PAGE_HOST", "page", "host", _as_it_is),
        ("SPS_AGGREGATOR_PAGE_PUBLISHED", "page", "published", host_and_port),
    ):
        if (value := read(said, variable)) is not None:
            changes[section][field] = value
    update: dict[str, object] = {name: getattr(file, name).model_copy(update=change) for name, change in changes.items() if change}
    if (url := said.get("SPS_AGGREGATOR_DATABASE")) is not None:
        update["database"] = url
    return file.model_copy(update=update)


def _as_it_is(said: Mapping[str, str], name: str) -> str | None:
    return said.get(name)
