"""The simulated power station: `GET <address>/status` over plain local HTTP."""

import json
import time
from math import isfinite
from typing import NoReturn
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from services.bluetti_bridge.driver import Manners, Reply
from services.bluetti_bridge.errors import BadReply, StationRefused, StationSilent
from services.core.config.hardware import PowerStation
from services.core.readings import BatteryReading

_MOST_BYTES = 64 * 1024
_MOST_W = 20_000.0
_ON = {"on": True, "off": False}


def connect(station: PowerStation) -> "Simulated":
    """The driver for `station`. Raises ValueError for an unusable address."""
    return Simulated(station.address, station.timeout_s)


class Simulated:
    """One kept-alive connection. A read takes at most `timeout_s` to connect, as long until the first byte, and as long for the rest."""

    manners = Manners()

    def __init__(self, address: str, timeout_s: float) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"address: {address!r} is not usable; use a base URL such as 'http://127.0.0.1:18083'")
        self._base = address.rstrip("/")
        self._url = f"{self._base}/status"
        self._timeout_s = timeout_s
        self._session = requests.Session()
        # A proxy or a .netrc of the environment has no say here, and looking for them at each call costs.
        self._session.trust_env = False
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))

    def read(self) -> Reply:
        """See PowerStationDriver."""
        try:
            with self._session.get(self._url, timeout=(self._timeout_s, self._timeout_s), allow_redirects=False, stream=True) as response:
                if response.status_code != requests.codes.ok:
                    raise StationRefused(f"answered HTTP {response.status_code}")
                body = self._body(response)
        except requests.Timeout as error:
            raise StationSilent(f"did not answer within {self._timeout_s:g} s") from error
        except (requests.RequestException, HTTPError) as error:
            raise StationSilent(f"does not answer: {type(error).__name__}") from error
        return parse(body)

    def set(self, control: str, value: str) -> None:
        """See PowerStationDriver. It has an AC output, and nothing else to switch."""
        if control != "ac_output" or value not in _ON:
            raise StationRefused(f"has no {control!r} that could be {value!r}")
        try:
            answer = self._session.post(f"{self._base}/ac_output", json={"on": _ON[value]}, timeout=self._timeout_s, allow_redirects=False)
        except requests.RequestException as error:
            raise StationSilent(f"does not answer: {type(error).__name__}") from error
        if answer.status_code != requests.codes.ok:
            raise StationRefused(f"answered HTTP {answer.status_code}")
        said = self.read().reading.ac_output_on
        if said is not _ON[value]:
            raise BadReply(control, said, f"{_ON[value]}, which was written and acknowledged")

    def close(self) -> None:
        """See PowerStationDriver."""
        self._session.close()

    def _body(self, response: requests.Response) -> bytes:
        """The whole body, within a deadline of its own: the socket's time-out alone would let it drip for ever."""
        deadline = time.monotonic() + self._timeout_s
        body = b""
        while chunk := response.raw.read1(_MOST_BYTES):
            body += chunk
            if len(body) > _MOST_BYTES:
                raise BadReply("body", body[:60], f"at most {_MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise StationSilent(f"did not finish its answer within {self._timeout_s:g} s")
        return body


def parse(body: bytes) -> Reply:
    """The reading in a reply; a field that cannot be true is unknown and named. Raises BadReply if there is no reading at all."""
    try:
        said = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or NaN and the like
        raise BadReply("body", body[:60], f"JSON ({error})") from None
    if not isinstance(said, dict):
        raise BadReply("body", said, "a JSON object")
    refused: list[BadReply] = []

    def number(name: str, high: float) -> float | None:
        value = said.get(name)
        if value is None:
            return None
        # A bool is an int to Python, and 1e999 is read as infinity.
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not 0 <= value <= high:
            refused.append(BadReply(name, value, f"a number from 0 to {high:g}"))
            return None
        return float(value)

    def flag(name: str) -> bool | None:
        value = said.get(name)
        if value is None or isinstance(value, bool):
            return value
        refused.append(BadReply(name, value, "true or false"))
        return None

    reading = BatteryReading(
        soc_pct=number("soc_pct", 100),
        ac_in_w=number("ac_in_w", _MOST_W),
        ac_out_w=number("ac_out_w", _MOST_W),
        dc_in_w=number("dc_in_w", _MOST_W),
        dc_out_w=number("dc_out_w", _MOST_W),
        ac_output_on=flag("ac_output_on"),
        eco_mode=flag("eco_mode"),
    )
    return Reply(reading, tuple(refused))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
