"""Where a Shelly is, as it announces itself on the local network."""

import ipaddress
import logging
import time
from urllib.parse import urlsplit

LISTEN_S = 3.0
_SERVICES = ("_shelly._tcp.local.", "_http._tcp.local.")
"""Gen2 and later announce the first, Gen1 the second alone."""
_SHORT_ID = 6
"""Some Gen1 devices carry only the last six digits of their MAC in their name."""

log = logging.getLogger(__name__)


def lookup_near(address: str, device_id: str, listen_s: float = LISTEN_S) -> list[str]:
    """Base URLs of what announces itself by a name that ends in `device_id`. Blocks for `listen_s`.

    Nothing is asked of the network while `address` is on this machine alone, as in a simulation. Neither a container's own network
    nor a router passes such announcements on: there, list addresses under `also_at`.
    """
    if _loopback(address):
        return []
    try:
        from zeroconf import ServiceBrowser, ServiceListener, Zeroconf  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        log.warning("zeroconf is not installed (extra 'discover'): a device that moved is looked for under also_at alone")
        return []
    found: list[str] = []

    class Listener(ServiceListener):
        def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            if named(name, device_id) and (info := zc.get_service_info(type_, name, timeout=1000)) is not None:
                found.extend(
                    f"http://{ip}:{info.port}" if info.port != 80 else f"http://{ip}" for ip in info.parsed_addresses() if "." in ip
                )

        def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            self.add_service(zc, type_, name)

        def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            """A place that is no more is found out by asking there."""

    try:
        with Zeroconf() as network:
            ServiceBrowser(network, list(_SERVICES), Listener())
            time.sleep(listen_s)
    except OSError as error:
        log.warning("cannot listen for announcements: %s", error)
    return list(dict.fromkeys(found))


def named(service: str, device_id: str) -> bool:
    """Whether a service's name is one of the device's."""
    name = service.split(".", 1)[0].upper()
    tail = name.rpartition("-")[2]
    return tail == device_id.upper() or (len(tail) == _SHORT_ID and name.startswith("SHELLY") and device_id.upper().endswith(tail))


def _loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
