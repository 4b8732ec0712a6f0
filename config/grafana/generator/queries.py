"""InfluxQL, within what InfluxDB 1.x, 2.x and 3 have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableOption, VariableRefresh, VariableSort

DATASOURCE = DataSourceRef(type_val="influxdb", uid="${datasource}")
ALERT_COLUMNS = ["alert_id", "severity", "state", "site", "area", "machine", "sensor", "reason"]


@dataclass(frozen=True)
class InfluxQL(Dataquery, Builder["InfluxQL"]):
    """A raw query; the SDK has no type for this data source. `alias` may hold $col and $tag_name."""

    query: str
    result_format: Literal["time_series", "table"] = "time_series"
    alias: str = ""
    ref_id: str = "A"

    def build(self) -> "InfluxQL":
        """Return itself: the SDK takes builders only."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return what Grafana stores."""
        return {
            "refId": self.ref_id,
            "datasource": DATASOURCE,
            "rawQuery": True,
            "resultFormat": self.result_format,
            "query": self.query,
            "alias": self.alias,
        }


def select(what: str, measurement: str, how: str, *tags: str) -> str:
    """Return a query for the page's range and what is chosen for `tags` at its top."""
    chosen = " AND ".join([*(f'"{tag}" =~ /^${tag}$/' for tag in tags), "$timeFilter"])
    return f'SELECT {what} FROM "{measurement}" WHERE {chosen} {how}'  # noqa: S608 - InfluxQL, made of constants


def by_time(*tags: str) -> str:
    """Return the grouping of a graph with a line for each of these tags."""
    return f"GROUP BY {', '.join(['time($__interval)', *(_quoted(tag) for tag in tags)])} fill(none)"


def alert_columns(order: str, *tags: str) -> str:
    """Return the query for a table of alert changes."""
    return select(", ".join(_quoted(column) for column in ALERT_COLUMNS), "alert", f"ORDER BY time {order}", *tags)


def _quoted(name: str) -> str:
    return f'"{name}"'


def datasource() -> DatasourceVariable:
    """Return the choice of the data source."""
    return DatasourceVariable("datasource").label("Data source").type("influxdb")


def choice(tag: str, *within: str, measurement: str = "vibration", many: bool = True) -> QueryVariable:
    """Return the choice of a tag's values, where `within` are chosen before it."""
    where = " AND ".join(f'"{name}" =~ /^${name}$/' for name in within)
    query = f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}"' + (f" WHERE {where}" if where else "")
    variable = (
        QueryVariable(tag)
        .label(tag.capitalize())
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=many)
        .include_all(include_all=many)
    )
    if not many:
        return variable
    everything = VariableOption(selected=True, text="All", value="$__all")
    return variable.all_value(".*").current(everything)  # short, and matches what has no such tag as well


def annotation(*tags: str) -> Mapping[str, object]:
    """Return the marks of alert changes in every graph of a page."""
    return {
        "name": "Alerts",
        "enable": True,
        "iconColor": "red",
        "datasource": DATASOURCE,
        "target": {
            "refId": "Anno",
            "fromAnnotations": True,
            "rawQuery": True,
            "query": select('"reason", "severity", "state", "sensor"', "alert", "", *tags),
            "textColumn": "reason",
            "tagsColumn": "severity,state,sensor",
        },
    }
