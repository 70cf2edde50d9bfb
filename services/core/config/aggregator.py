"""The aggregator: where its events come from, where shared data goes, and whom the station believes."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from services.core.config.base import Port, Section

NETWORK = r"^[A-Za-z0-9_-]{1,64}$"
NAME = r"^[A-Za-z0-9_-]{1,32}$"
KEY_ID = r"^[A-Za-z0-9._-]{1,64}$"
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")]
"""The name of a file in the folder `secrets` beside the state folder, perhaps in one folder below it."""
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
BESIDE = ("aggregator", "aggregator-broker")
"""The containers of the Compose profile `aggregator`: between them and the station's lies one machine's own network."""


class AggregatorMqtt(Section):
    """The aggregator's broker."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Port = 8883
    version: Literal["3.1.1", "5"] = "3.1.1"
    tls: bool = True
    ca_file: SecretName | None = None
    """Whose certificates are believed, in `secrets`. Unset: those the system believes."""
    client_cert: SecretName | None = None
    client_key: SecretName | None = None
    """The station's own certificate and its key, where the broker asks for one."""
    user: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    secret: SecretName | None = None
    """The file that holds the password or token."""
    session_days: int = Field(default=7, ge=0, le=365)
    """So long the broker is asked to keep events while the station is offline (MQTT 5; with 3.1.1 the broker decides)."""

    @field_validator("version", mode="before")
    @classmethod
    def _as_number(cls, version: object) -> object:
        return {3: "3.1.1", 5: "5", 3.1: "3.1.1"}.get(version, version) if isinstance(version, (int, float)) else version

    @model_validator(mode="after")
    def _together(self) -> "AggregatorMqtt":
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("client_cert and client_key go together: name both files, or neither")
        if not self.tls and (self.ca_file or self.client_cert):
            raise ValueError("tls is off, so ca_file and client_cert would do nothing; switch it on, or leave them out")
        if self.secret is not None and self.user is None:
            raise ValueError("a secret needs the user it belongs to")
        if self.secret is not None and not self.tls and self.host not in LOOPBACK + BESIDE:
            raise ValueError("without TLS the password would travel in the open; switch tls on (only this machine goes without)")
        return self


class AggregatorHttp(Section):
    """Where shared data goes."""

    url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?$", max_length=300)]
    """Its base, such as `https://dr.example.org/api`. Nothing secret in it: that is what `secret` is for."""
    auth: Literal["bearer", "hmac"] = "bearer"
    secret: SecretName | None = None
    """The file that holds the token, or the key of the signature."""
    ca_file: SecretName | None = None
    """Whose certificates are believed, in `secrets`. Unset: those of the `certifi` package."""
    profile: Literal["standard", "table"] = "standard"
    """`table`: live and analysis records by PATCH, as the paired network's tables have them."""
    batch_records: int = Field(default=1000, ge=1, le=5000)
    timeout_s: float = Field(default=20.0, gt=0, le=120)

    @field_validator("url")
    @classmethod
    def _plain(cls, url: str) -> str:
        return url.rstrip("/")

    @model_validator(mode="after")
    def _signed(self) -> "AggregatorHttp":
        host = self.url.split("//", 1)[1].split("/", 1)[0].rsplit(":", 1)[0]
        if self.url.startswith("http:") and host not in LOOPBACK + BESIDE:
            raise ValueError(
                "url: data about a household goes over https only; plain http is for this machine and the container `aggregator`"
            )
        if self.auth == "hmac" and self.secret is None:
            raise ValueError("auth: hmac needs a secret to sign with")
        if self.profile == "table" and self.auth != "bearer":
            raise ValueError("profile: table has no signatures; use auth: bearer")
        return self


class Aggregator(Section):
    """The link to one aggregator. Left out of the station file, there is none."""

    network: Annotated[str, Field(pattern=NETWORK)]
    """The network that the station belongs to."""
    name: Annotated[str, Field(pattern=NAME)] | None = None
    """The station's name there. Unset: its own name."""
    mqtt: AggregatorMqtt | None = None
    """Unset: no events come from it."""
    http: AggregatorHttp | None = None
    """Unset: no data goes to it."""
    forms: Annotated[tuple[Literal["json", "old"], ...], Field(min_length=1)] = ("json",)
    """In which forms events are taken: `old` is `event#type#start_time#timestamp`, which cannot be signed."""
    require_signed: bool = False
    """Whether events without a good signature are refused."""
    keys: dict[Annotated[str, Field(pattern=KEY_ID)], str] = Field(default_factory=dict)
    """Public keys by their id: 32 bytes of Ed25519 in base64url."""
    programmes: dict[str, Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]] = Field(default_factory=dict)
    """For the old form: which programme its word means, such as `CSRP: coned-csrp`. Its duration is the programme's."""

    @field_validator("keys")
    @classmethod
    def _long_enough(cls, keys: dict[str, str]) -> dict[str, str]:
        for kid, text in keys.items():
            if len(text) != 43 or not set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"):
                raise ValueError(f"{kid}: a public key is 32 bytes in base64url, 43 characters")
        return keys

    @model_validator(mode="after")
    def _believable(self) -> "Aggregator":
        if self.require_signed and not self.keys:
            raise ValueError("require_signed without any keys would refuse every event; add the aggregator's public key to keys")
        if self.require_signed and "old" in self.forms:
            raise ValueError("forms: the old form cannot be signed; take it out, or set require_signed: false")
        if self.mqtt is None and self.http is None:
            raise ValueError("it names neither mqtt nor http; leave the section out for no link")
        return self
