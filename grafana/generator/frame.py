"""What every dashboard has: its station, the marks of events and faults, the way to the others."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, QueryVariable
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.models import dashboard as models

from grafana.generator.influxql import SOURCE, AnnotationTarget, select
from grafana.generator.look import GREEN, ORANGE

TAG = "smart-power-station"
STATIONS = 'SHOW TAG VALUES FROM "position" WITH KEY = "station"'

Panel = cogbuilder.Builder[models.Panel]
Rows = Sequence[tuple[str, Sequence[Panel]]]
"""Panels by the titles of their rows."""


class Annotation(cogbuilder.Builder[models.AnnotationQuery]):
    """Marks on every chart. The SDK knows no InfluxDB, so the target is our own."""

    def __init__(self, name: str, colour: str, target: AnnotationTarget) -> None:
        self._made = models.AnnotationQuery(name=name, datasource=SOURCE, icon_color=colour, enable=True)
        self._made.target = target  # type: ignore[assignment] # it has the one method that is asked of it

    def build(self) -> models.AnnotationQuery:
        """Builds the object."""
        return self._made


def annotations() -> list[Annotation]:
    """Events as spans, faults as lines."""
    events = select('"text", "end_ms"', "event_window")
    faults = select('"text"', "fault", tail="ORDER BY time DESC LIMIT 200")
    return [
        Annotation("Events", GREEN, AnnotationTarget(events, text="text", end="end_ms")),
        Annotation("Faults", ORANGE, AnnotationTarget(faults, text="text")),
    ]


def framed(uid: str, title: str, description: str, begin: str, rows: Rows, *, refresh: str = "1m") -> models.Dashboard:
    """A dashboard of rows of panels, which get their ids by their order."""
    made = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time(begin, "now")
        .refresh(refresh)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .version(1)
        .variables(
            [
                QueryVariable("station")
                .label("Station")
                .description("The name of the station, as in the station file")
                .datasource(SOURCE)
                .query(STATIONS)
                .refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)
                .sort(models.VariableSort.ALPHABETICAL_ASC)
            ]
        )
        .annotations(list(annotations()))
        .links(
            [
                DashboardLink("Other dashboards")
                .type(models.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .icon("external link")
                .as_dropdown(False)
                .include_vars(True)
                .keep_time(False)
            ]
        )
    )
    panels: list[models.Panel | models.RowPanel] = []
    x = y = line = 0
    for heading, row in rows:
        if heading:
            y += line
            x = line = 0
            panels.append(models.RowPanel(title=heading, grid_pos=models.GridPos(h=1, w=24, x=0, y=y)))
            y += 1
        for one in row:
            panel = one.build()
            w, h = (panel.grid_pos.w, panel.grid_pos.h) if panel.grid_pos else (12, 8)
            if x + w > 24:
                y += line
                x = line = 0
            panel.grid_pos = models.GridPos(h=h, w=w, x=x, y=y)
            panels.append(panel)
            x, line = x + w, max(line, h)
    for number, placed in enumerate(panels, start=1):
        placed.id_val = number
    dashboard = made.build()
    dashboard.panels = panels
    return dashboard
