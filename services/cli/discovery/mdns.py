"""Shelly relays by the names that they announce on the local network (multicast DNS)."""

import asyncio
from collections.abc import Mapping, Sequence

from services.cli.discovery.found import Finding, Kind, Outcome

TECHNIQUE = "mDNS"
_SERVICES = ("_shelly._tcp.local.", "_http._tcp.local.")
"""Generation 2 and later announce both, generation 1 the second alone."""
_RESOLVE_MS = 1000
_TWO_CHANNELS = ("2PM", "PRO2", "25")
"""Parts of the models with two relays: Plus 2PM, Pro 2, the old 2.5."""


async def search(seconds: float, interfaces: Sequence[str] | None = None) -> Outcome:
    """Listen for so long. `interfaces` are addresses of this machine to listen on; all of them by default."""
    try:
        from zeroconf import InterfaceChoice, ServiceStateChange, Zeroconf
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
    except ImportError:
        return Outcome(TECHNIQUE, problem="zeroconf is not installed: pip install 'smart-power-station[discover]'")
    names: dict[str, str] = {}

    def heard(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:  # noqa: ARG001 - zeroconf's names
        if state_change is ServiceStateChange.Added and name.casefold().startswith("shelly"):
            names[name] = service_type

    try:
        network = AsyncZeroconf(interfaces=list(interfaces) if interfaces else InterfaceChoice.All)
    except OSError as error:
        return Outcome(TECHNIQUE, problem=f"cannot listen on the network: {error.strerror or error}")
    try:
        browser = AsyncServiceBrowser(network.zeroconf, list(_SERVICES), handlers=[heard])
        await asyncio.sleep(seconds)
        await browser.async_cancel()
        infos = [AsyncServiceInfo(service_type, name) for name, service_type in names.items()]
        answered = await asyncio.gather(*(info.async_request(network.zeroconf, _RESOLVE_MS) for info in infos))
        found = [
            finding
            for info, there in zip(infos, answered, strict=True)
            if there and (finding := relay(info.name, info.type, info.parsed_addresses(), info.port, info.decoded_properties)) is not None
        ]
    finally:
        await network.async_close()
    return Outcome(TECHNIQUE, tuple(found))


def relay(name: str, service: str, addresses: Sequence[str], port: int | None, properties: Mapping[str, str | None]) -> Finding | None:
    """The relay that announces itself so; None for an announcement without an IPv4 address."""
    ip = next((address for address in addresses if "." in address), None)
    if ip is None:
        return None
    short = name.split(".", 1)[0]
    generation = properties.get("gen") or ("2" if service.startswith("_shelly") else "1")
    model = properties.get("app") or short.rpartition("-")[0]
    return Finding(
        kind=Kind.RELAY,
        name=short,
        model=model,
        driver="shelly_gen1" if generation == "1" else "shelly_gen2",
        address=f"http://{ip}" if port in (None, 80) else f"http://{ip}:{port}",
        found_by=(TECHNIQUE,),
        channels=2 if any(part in model.upper() for part in _TWO_CHANNELS) else 1,
        note="" if generation == "1" else f"generation {generation}",
    )
