"""How each service fares, on the bus."""

from services.bus.clock import SystemClock
from services.bus.runtime import Context
from tests.support.recorder import make_station
from tests.support.waiting import wait_for


async def test_a_service_tells_its_memory_once_it_is_connected(broker, plain, tmp_path) -> None:
    context = Context(station=make_station(broker), clock=SystemClock(), var=tmp_path)
    async with context.bus("gateway"):
        (heard,) = await wait_for(lambda: plain.on("sps/demo/service/gateway/vitals"))
    assert heard.json["rss_bytes"] > 5_000_000
    assert not heard.retained
