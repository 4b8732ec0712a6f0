"""The panels that the dashboards are made of."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TimeZoneBrowser,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)
from queries import ALERT_COLUMNS, DATASOURCE, InfluxQL, alert_columns, datasource

WARNING_RATIO, CRITICAL_RATIO = 1.6, 2.5  # the gateway's defaults
OPEN_SINCE = "90d"  # an alert that has been open for longer than the page's range is still open


def page(title: str, uid: str, since: str = "now-6h") -> Dashboard:
    """Return an empty page."""
    return (
        Dashboard(title)
        .uid(uid)
        .tags(["vibration"])
        .timezone(TimeZoneBrowser)
        .time(since, "now")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(datasource())
    )


def graph(title: str, query: str, alias: str, unit: str = "none") -> timeseries.Panel:
    """Return lines over time."""
    return (
        timeseries.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .with_target(InfluxQL(query, alias=alias))
        .unit(unit)
        .decimals(2)
        .line_width(1)
        .span_nulls(600_000)  # ms; a longer silence is shown as a gap
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.RIGHT)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
    )


def dashed(panel: timeseries.Panel, pattern: str) -> timeseries.Panel:
    """Draw the lines whose names fit a pattern as dashes."""
    return panel.override_by_regexp(
        pattern,
        [
            DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
            DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        ],
    )


def bars(title: str, query: str, alias: str) -> bargauge.Panel:
    """Return a bar for each series, with its last value in the colour of its severity."""
    return (
        bargauge.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .with_target(InfluxQL(query, alias=alias))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(ratio_thresholds())
        .unit("none")
        .decimals(2)
        .min(0)
    )


def number(title: str, query: str, alias: str, unit: str = "none") -> stat.Panel:
    """Return the last value of each series as a large number."""
    return (
        stat.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .with_target(InfluxQL(query, alias=alias))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .unit(unit)
        .no_value("none")
    )


def open_alerts(*tags: str) -> table.Panel:
    """Return each alert's latest event, without those that were cleared: an alert's id is a field, not a series."""
    latest: dict[str, object] = {
        column: {"operation": "aggregate", "aggregations": ["last"]} for column in ["Time", *ALERT_COLUMNS]
    }
    latest["alert_id"] = {"operation": "groupby", "aggregations": []}
    cleared = {"fieldName": "state (last)", "config": {"id": "equal", "options": {"value": "cleared"}}}
    return (
        rows("Open alerts", alert_columns("ASC", *tags))
        .time_from(OPEN_SINCE)
        .no_value("No open alert")
        .with_transformation(DataTransformerConfig(id_val="groupBy", options={"fields": latest}))
        .with_transformation(
            DataTransformerConfig(
                id_val="filterByValue", options={"type": "exclude", "match": "any", "filters": [cleared]}
            )
        )
        .with_transformation(_columns([f"{column} (last)" for column in ["Time", *ALERT_COLUMNS[1:]]]))
    )


def alert_events(*tags: str) -> table.Panel:
    """Return the newest alert changes."""
    query = alert_columns("DESC LIMIT 500", *tags)
    return rows("Alert events", query).with_transformation(_columns(["Time", *ALERT_COLUMNS[1:]]))


def rows(title: str, query: str) -> table.Panel:
    """Return a table."""
    return (
        table.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .with_target(InfluxQL(query, "table"))
        .show_header(show_header=True)
    )


def _columns(names: Sequence[str]) -> DataTransformerConfig:
    return DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {"alert_id": True},
            "indexByName": {name: place for place, name in enumerate(names)},
            "renameByName": {name: name.removesuffix(" (last)").capitalize() for name in names},
        },
    )


def ratio_thresholds() -> ThresholdsConfig:
    """Return the colours of level / baseline."""
    return steps("green", (WARNING_RATIO, "orange"), (CRITICAL_RATIO, "red"))


def steps(lowest: str, *above: tuple[float, str]) -> ThresholdsConfig:
    """Return colours by value: the lowest one's, and each from its value on."""
    thresholds = [Threshold(value=None, color=lowest), *(Threshold(value=value, color=color) for value, color in above)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds)
