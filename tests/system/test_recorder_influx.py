"""The recorder as it runs, with a broker on one side and a server of InfluxQL on the other."""

import json
from datetime import UTC, datetime
from typing import Any

import yaml

from services.bus import vitals
from services.core.config.load import parse_station
from services.recorder import influx_feed
from tests.support.brokers import TestBroker
from tests.support.influx import LONG, RAW, influx, write_bridge
from tests.support.recorder import reading, recording, rfc3339, station_text
from tests.support.waiting import wait_for

TOKEN = "the-recorders"


async def test_what_is_said_on_the_bus_reaches_influxdb(broker: TestBroker, plain, make_bus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(influx_feed, "PRESENT_S", 0.2)
    monkeypatch.setattr(influx_feed, "IDLE_S", 0.1)
    monkeypatch.setattr(vitals, "EVERY_S", 0.3)
    (tmp_path / "secrets" / "influx").mkdir(parents=True)
    (tmp_path / "secrets" / "influx" / "recorder.token").write_text(f"{TOKEN}\n")
    with influx(tmp_path / "influx") as server, write_bridge(server, {"station": RAW, "station_long": LONG}, TOKEN) as url:
        body = yaml.safe_load(station_text(broker))
        body["recorder"]["influx"] = {
            "url": url,
            "org": "home",
            "bucket": "station",
            "long_bucket": "station_long",
            "token_file": "influx/recorder.token",
        }
        station = parse_station(yaml.safe_dump(body))

        def say() -> None:
            now = datetime.now(UTC)
            plain.publish("sps/demo/position/p1/reading", json.dumps(reading(120.0, now)))
            plain.publish("sps/demo/battery/estimate", json.dumps({"ts": rfc3339(now), "soc_pct": 61, "low": 57, "high": 64}))

        def told(what: str, measurement: str, **tags: str) -> Any:
            where = " AND ".join(f"\"{name}\" = '{value}'" for name, value in {"station": "demo", **tags}.items())
            found = server.ask(f'SELECT {what} FROM "{measurement}" WHERE {where}')
            return found[0]["values"][0][1] if found else None

        relay = json.dumps({"ts": rfc3339(datetime.now(UTC)), "on": True, "confirmed_by": "readback"})
        async with recording(station, tmp_path / "var"), make_bus("gateway"):
            plain.publish("sps/demo/relay/p1/state", relay, retain=True)
            plain.publish("sps/demo/load/washer/state", relay, retain=True)
            await wait_for(lambda: (say(), told('last("journal_lag_s")', "vitals", service="recorder") is not None)[1], 20, what="the lag")
            await wait_for(lambda: told('last("memory_mb")', "vitals", service="gateway"), 20, what="the gateway's memory")
            await wait_for(lambda: (say(), told('last("low_pct")', "battery_estimate") == 57)[1], 20, what="the band")
            await wait_for(lambda: (told('count("on")', "relay", position="p1") or 0) > 2, 20, what="the relay, told again")
            await wait_for(lambda: (told('count("on")', "relay", position="washer") or 0) > 2, 20, what="the load's relay, told again")
            await wait_for(lambda: (told('count("ok")', "service", service="gateway") or 0) > 1, 20, what="the service, told again")
            assert told('last("journal_lag_s")', "vitals", service="recorder") < 30
            await wait_for(lambda: server.ask('SELECT * FROM "long"."season_month"'), 20, what="the season's months")
            assert server.ask('SELECT * FROM "raw"."season_month"') == []
