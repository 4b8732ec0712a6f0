#!/usr/bin/env python3
"""Writes dashboards/fleet.json. Run it after a change; a test compares the file with what this makes.

Every query is raw InfluxQL, within what InfluxDB 1.x, 2.x and 3 have in common.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grafana_foundation_sdk.builders import bargauge, common, table, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    GraphTresholdsStyleMode,  # spelt so in the SDK
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TimeZoneBrowser,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

DASHBOARD = Path(__file__).parent / "dashboards" / "fleet.json"
DATASOURCE = DataSourceRef(type_val="influxdb", uid="${datasource}")
SELECTED = '"machine" =~ /^$machine$/ AND "sensor" =~ /^$sensor$/ AND $timeFilter'
BY_TIME_AND_SENSOR = 'GROUP BY time($__interval), "machine", "sensor" fill(none)'
WARNING_RATIO, CRITICAL_RATIO = 1.6, 2.5  # the gateway's defaults
OPEN_SINCE = "90d"  # an alert that has been open for longer than the page's range is still open
ALERT_COLUMNS = ["alert_id", "severity", "state", "site", "area", "machine", "sensor", "reason"]


@dataclass(frozen=True)
class InfluxQL(Dataquery, Builder["InfluxQL"]):
    """A raw query; the SDK has no type for this data source. `alias` may hold $col and $tag_name."""

    query: str
    result_format: Literal["time_series", "table"]
    alias: str = ""

    def build(self) -> "InfluxQL":
        """Return itself: the SDK takes builders only."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return what Grafana stores."""
        return {
            "refId": "A",
            "datasource": DATASOURCE,
            "rawQuery": True,
            "resultFormat": self.result_format,
            "query": self.query,
            "alias": self.alias,
        }


def render() -> str:
    """Return the dashboard as JSON."""
    dashboard = (
        Dashboard("Vibration fleet")
        .uid("vibration-fleet")
        .tags(["vibration"])
        .timezone(TimeZoneBrowser)
        .time("now-6h", "now")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Data source").type("influxdb"))
        .with_variable(_choice("machine", 'SHOW TAG VALUES FROM "vibration" WITH KEY = "machine"'))
        .with_variable(
            _choice("sensor", 'SHOW TAG VALUES FROM "vibration" WITH KEY = "sensor" WHERE "machine" =~ /^$machine$/')
        )
        .with_panel(_worst().span(8).height(9))
        .with_panel(_open_alerts().span(16).height(9))
        .with_panel(_levels().span(24).height(10))
        .with_panel(_ratios().span(24).height(9))
        .with_panel(_history().span(24).height(9))
    )
    return json.dumps(dashboard.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _select(what: str, measurement: str, how: str) -> str:
    return f'SELECT {what} FROM "{measurement}" WHERE {SELECTED} {how}'  # noqa: S608 - InfluxQL, made of constants


def _choice(tag: str, query: str) -> QueryVariable:
    return (
        QueryVariable(tag)
        .label(tag.capitalize())
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")  # short, and matches what has no such tag as well
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _worst() -> bargauge.Panel:
    query = _select('last("ratio") AS "ratio"', "vibration", 'GROUP BY "machine", "sensor"')
    return (
        bargauge.Panel()
        .title("Latest level / baseline")
        .description("1 is the baseline.")
        .datasource(DATASOURCE)
        .with_target(InfluxQL(query, "time_series", "$tag_machine $tag_sensor"))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_ratio_thresholds())
        .unit("none")
        .decimals(2)
        .min(0)
    )


def _levels() -> timeseries.Panel:
    query = _select('max("level") AS "level", mean("baseline") AS "baseline"', "vibration", BY_TIME_AND_SENSOR)
    return (
        _graph("Level and baseline", query, "$tag_machine $tag_sensor $col")
        .description("The highest level within a point's interval, so that no peak is lost when zoomed out.")
        .override_by_regexp(
            "/ baseline$/",
            [
                DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
                DynamicConfigValue(id_val="custom.fillOpacity", value=0),
            ],
        )
    )


def _ratios() -> timeseries.Panel:
    query = _select('max("ratio") AS "ratio"', "vibration", BY_TIME_AND_SENSOR)
    return (
        _graph("Level / baseline", query, "$tag_machine $tag_sensor")
        .description("The lines are the gateway's defaults for warning and critical, not a sensor's own rules.")
        .thresholds(_ratio_thresholds())
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE))
        .axis_soft_min(0)
        .axis_soft_max(CRITICAL_RATIO)
    )


def _graph(title: str, query: str, alias: str) -> timeseries.Panel:
    return (
        timeseries.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .with_target(InfluxQL(query, "time_series", alias))
        .unit("none")
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


def _open_alerts() -> table.Panel:
    """Each alert's latest event, without those that were cleared: an alert's id is a field, not a series."""
    latest: dict[str, object] = {
        column: {"operation": "aggregate", "aggregations": ["last"]} for column in ["Time", *ALERT_COLUMNS]
    }
    latest["alert_id"] = {"operation": "groupby", "aggregations": []}
    cleared = {"fieldName": "state (last)", "config": {"id": "equal", "options": {"value": "cleared"}}}
    return (
        _alerts("Open alerts", "ASC")
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


def _history() -> table.Panel:
    return _alerts("Alert events", "DESC LIMIT 500").with_transformation(_columns(["Time", *ALERT_COLUMNS[1:]]))


def _alerts(title: str, order: str) -> table.Panel:
    query = _select(", ".join(f'"{column}"' for column in ALERT_COLUMNS), "alert", f"ORDER BY time {order}")
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


def _ratio_thresholds() -> ThresholdsConfig:
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps(
            [
                Threshold(value=None, color="green"),
                Threshold(value=WARNING_RATIO, color="orange"),
                Threshold(value=CRITICAL_RATIO, color="red"),
            ]
        )
    )


if __name__ == "__main__":
    DASHBOARD.write_text(render(), encoding="utf-8")
