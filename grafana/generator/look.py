"""One look for all dashboards: what has which colour and name, and the kinds of panels."""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import stat as stat_builders
from grafana_foundation_sdk.builders import statetimeline as timeline_builders
from grafana_foundation_sdk.builders import table as table_builders
from grafana_foundation_sdk.builders import timeseries as timeseries_builders
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from grafana.generator.influxql import SOURCE, Query

# Colours that stay apart for colour-blind eyes (Okabe and Ito).
BLUE, SKY, GREEN, YELLOW, ORANGE, PINK, GREY = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#9A9A9A"

POSITIONS: Mapping[str, tuple[str, str]] = {
    "p1": ("Grid to load (P1)", BLUE),
    "p2": ("Grid to battery (P2)", SKY),
    "p3": ("Battery to load (P3)", GREEN),
    "p4": ("Sun to battery (P4)", YELLOW),
}
"""Name and colour of each position, by its tag."""
MODES = {
    "0": ("0: all off", GREY),
    "1": ("1: grid feeds load and charges", SKY),
    "2": ("2: grid feeds load (safe)", BLUE),
    "3": ("3: battery feeds load, grid charges", YELLOW),
    "4": ("4: grid charges, load off", ORANGE),
    "5": ("5: battery feeds load", GREEN),
}
PHASES = {"normal": ("normal", BLUE), "upcoming": ("event ahead", YELLOW), "ongoing": ("event", GREEN)}
ON_OFF = {"0": ("off", GREY), "1": ("on", GREEN)}
GOOD_BAD = {"0": ("trouble", ORANGE), "1": ("well", GREEN)}
UNKNOWN = "unknown"

FINE = "2m"
"""No finer steps than this: a power station is asked once a minute, and a step without an answer would look like a gap."""
HOURLY = "1h"

Steps = Sequence[tuple[float | None, str]]
Values = Mapping[str, tuple[str, str]]
Properties = Mapping[str, Mapping[str, Any]]


def _mapping(values: Values) -> list[Any]:
    results = {value: ValueMappingResult(text=text, color=colour, index=i) for i, (value, (text, colour)) in enumerate(values.items())}
    return [ValueMap(options=results)]


def _thresholds(steps: Steps) -> dashboard_builders.ThresholdsConfig:
    found = [Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard_builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def _colour(mode: FieldColorModeId, fixed: str = "") -> dashboard_builders.FieldColor:
    made = dashboard_builders.FieldColor().mode(mode)
    return made.fixed_color(fixed) if fixed else made


def _properties(given: Mapping[str, Any]) -> list[DynamicConfigValue]:
    return [DynamicConfigValue(name, value) for name, value in given.items()]


def fixed(colour: str, name: str = "", more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Overrides of one series: its colour, another name, and whatever else."""
    return {"color": {"mode": "fixed", "fixedColor": colour}, **({"displayName": name} if name else {}), **(more or {})}


def positions() -> Properties:
    """The overrides for series that are called by their position's tag."""
    return {tag: fixed(colour, name) for tag, (name, colour) in POSITIONS.items()}


def chart(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    series: Properties | None = None,
    bars: bool = False,
    stacked: bool = False,
    interval: str = FINE,
    span: int = 12,
    height: int = 8,
    low: float | None = None,
    high: float | None = None,
    decimals: int | None = None,
    steps: Steps = (),
) -> timeseries_builders.Panel:
    """Lines or bars over time. What is unknown is a gap."""
    made = (
        timeseries_builders.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .interval(interval)
        .span(span)
        .height(height)
        .no_value(UNKNOWN)
        .draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE)
        .fill_opacity(70 if bars else 8)
        .line_width(1 if bars else 2)
        .show_points(common.VisibilityMode.AUTO)
        .span_nulls(False)
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.NONE))
    )
    for query in queries:
        made.with_target(query)
    if stacked:
        made.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if low is not None:
        made.min(low)
    if high is not None:
        made.max(high)
    if decimals is not None:
        made.decimals(decimals)
    if steps:
        made.thresholds(_thresholds(steps))
        made.thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))
    for name, given in (series or {}).items():
        made.override_by_name(name, _properties(given))
    return made


def stat(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    series: Properties | None = None,
    values: Values | None = None,
    steps: Steps = ((None, BLUE),),
    over: str = "",
    reduce: str = "lastNotNull",
    span: int = 4,
    height: int = 4,
    decimals: int | None = None,
    none: str = UNKNOWN,
    text: bool = False,
) -> stat_builders.Panel:
    """One figure, large, or a text that is called by the title.

    `over` is a time of its own, such as the last minutes, after which an old figure is no figure.
    """
    made = (
        stat_builders.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .interval(FINE)
        .span(span)
        .height(height)
        .no_value(none)
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .thresholds(_thresholds(steps))
        .color_scheme(_colour(FieldColorModeId.THRESHOLDS))
        .reduce_options(common_builders.ReduceDataOptions().calcs([reduce]).fields(f"/^{title}$/" if text else "").values(False))
    )
    for query in queries:
        made.with_target(query)
    if over:
        made.time_from(over).hide_time_override(False)
    if decimals is not None:
        made.decimals(decimals)
    if values:
        made.mappings(_mapping(values))
    if text:
        made.text(common_builders.VizTextDisplayOptions().value_size(16))
    for name, given in (series or {}).items():
        made.override_by_name(name, _properties(given))
    return made


def timeline(
    title: str,
    description: str,
    values: Values,
    *queries: Query,
    series: Properties | None = None,
    span: int = 12,
    height: int = 8,
) -> timeline_builders.Panel:
    """What stood when, as coloured bands. What is unknown is a gap."""
    made = (
        timeline_builders.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .datasource(SOURCE)
        .interval(FINE)
        .span(span)
        .height(height)
        .no_value(UNKNOWN)
        .mappings(_mapping(values))
        .color_scheme(_colour(FieldColorModeId.FIXED, GREY))
        .fill_opacity(80)
        .line_width(0)
        .merge_values(True)
        .row_height(0.8)
        .show_value(common.VisibilityMode.AUTO)
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
    )
    for query in queries:
        made.with_target(query)
    for name, given in (series or {}).items():
        made.override_by_name(name, _properties(given))
    return made


def table(
    title: str, description: str, query: Query, *, columns: Properties | None = None, span: int = 12, height: int = 8
) -> table_builders.Panel:
    """Rows; `columns` gives each its name and unit."""
    made = (
        table_builders.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .datasource(SOURCE)
        .span(span)
        .height(height)
        .no_value(UNKNOWN)
        .with_target(query)
        .cell_height(common.TableCellHeight.SM)
    )
    for name, given in (columns or {}).items():
        made.override_by_name(name, _properties(given))
    return made
