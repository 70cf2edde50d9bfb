"""Where the page listens, and under which names it is asked for."""

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator

from services.core.config.base import Port, Section

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
_ADDRESS = 'use an address of this machine such as "127.0.0.1", "192.168.1.20" or, for all of them, "0.0.0.0"'


def _host(host: str) -> str:
    if _is_address(host) or _NAME.fullmatch(host):
        return host
    raise ValueError(_ADDRESS)


def _name(name: str) -> str:
    host, colon, port = name.partition(":")
    if not _NAME.fullmatch(host) or (colon and not (port.isdecimal() and 1 <= int(port) <= 65535)):
        raise ValueError('use a name as it is typed into the browser, without http://, such as "station.local" or "station.local:8080"')
    return name.lower()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class WebPage(Section):
    """The page and its API. Whatever lies beyond this machine's loopback asks for a password."""

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    """Loopback, or an address of this machine; 0.0.0.0 for all."""
    port: Port = 8080
    names: tuple[Annotated[str, AfterValidator(_name)], ...] = ()
    """Under which names it may be asked for besides the machine's addresses; with a port where that differs from `port`, 80 and 443."""
    behind_tls: bool = False
    """Whether a TLS proxy stands in front: then cookies are `Secure`, and browsers are told to come by https only."""
    password: bool = False
    """Whether even this machine's own people give the password. Beyond loopback, in a container and behind a proxy it is always asked."""

    @property
    def asks(self) -> bool:
        """Whether these settings alone want access control."""
        return self.password or self.behind_tls or bool(self.names) or not is_loopback(self.host)

    @property
    def url(self) -> str:
        """How a browser of the house reaches the page, as far as the settings tell."""
        if not self.names:
            return local_url(self.host, self.port)
        name = self.names[0]
        if self.behind_tls:
            return f"https://{name}"
        return f"http://{name}" if ":" in name else f"http://{name}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether `host` is an address that only this machine can reach."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def local_url(host: str, port: int) -> str:
    """How this machine itself reaches a server bound to `host`."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        return f"http://127.0.0.1:{port}" if address.version == 4 else f"http://[::1]:{port}"
    return f"http://{host}:{port}" if address.version == 4 else f"http://[{host}]:{port}"
