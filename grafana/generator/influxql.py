"""Queries in InfluxQL, as Grafana's InfluxDB data source takes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from services.recorder.influx_writer import LASTING

DATA_SOURCE = "sps-influx"
"""The uid in provisioning/datasources."""
SOURCE = DataSourceRef("influxdb", DATA_SOURCE)
LONG = '"long".'
"""The retention policy under which lie the measurements that are kept for years; all others lie under the default one."""
HERE = "\"station\" = '$station' AND $timeFilter"


def source(measurement: str) -> str:
    """A measurement with its retention policy, to stand after FROM."""
    return f'{LONG if measurement in LASTING else ""}"{measurement}"'


def select(what: str | Mapping[str, str], measurement: str, *, by: str = "", and_: str = "", tail: str = "") -> str:
    """A query for the chosen station and time; `what` is an expression, or expressions by their names."""
    said = what if isinstance(what, str) else ", ".join(f'{expression} AS "{name}"' for name, expression in what.items())
    where = f"{HERE} AND {and_}" if and_ else HERE
    parts = ("SELECT", said, "FROM", source(measurement), "WHERE", where, by and f"GROUP BY {by}", tail)
    return " ".join(part for part in parts if part)


OVER_TIME = "time($__interval)"
GAPS = "fill(null)"
"""An interval without data is a gap, not a line from before to after."""


@dataclass(frozen=True, slots=True)
class Query(variants.Dataquery, cogbuilder.Builder[variants.Dataquery]):
    """A panel's query. `alias` names its series: `$col`, `$tag_position`."""

    query: str
    alias: str = "$col"
    table: bool = False
    ref: str = "A"

    def build(self) -> variants.Dataquery:
        """Builds the object."""
        return self

    def to_json(self) -> dict[str, object]:
        """As it stands in a dashboard."""
        alias = {} if self.table else {"alias": self.alias}
        return {
            "datasource": SOURCE,
            "query": self.query,
            "rawQuery": True,
            "refId": self.ref,
            "resultFormat": "table" if self.table else "time_series",
            **alias,
        }


@dataclass(frozen=True, slots=True)
class AnnotationTarget:
    """An annotation's query: which columns hold the text and the end."""

    query: str
    text: str
    end: str = ""

    def to_json(self) -> dict[str, object]:
        """As it stands in a dashboard."""
        return {
            "fromAnnotations": True,
            "name": "",
            "query": self.query,
            "rawQuery": True,
            "refId": "Anno",
            "tagsColumn": "",
            "textColumn": self.text,
            "textEditor": True,
            "timeEndColumn": self.end,
            "titleColumn": "",
        }
