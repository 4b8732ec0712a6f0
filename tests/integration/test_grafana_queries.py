"""Every query of the shipped dashboard, against a database with the tags and fields that the gateway writes."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.influxdb import Influx

DASHBOARD = json.loads((Path(__file__).parents[2] / "config/grafana/dashboards/fleet.json").read_text())
PANELS: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in DASHBOARD["panels"]}
CHOICES: dict[str, str] = {
    variable["name"]: variable["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"
}
SELECTIONS = {"all": ".*", "two": "(pump-1|pump-2|VB-1|VB-2)", "one": "(pump-1|VB-1)"}  # as Grafana writes them
NOW = time.time_ns()
MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    server = Influx(tmp_path_factory.mktemp("grafana"))
    server.start()
    answer = httpx.post(
        f"{server.url}/api/v2/write",
        params={"org": server.org, "bucket": server.bucket, "precision": "ns"},
        headers={"Authorization": f"Token {server.token}"},
        content="\n".join(points()),
    )
    answer.raise_for_status()
    yield server
    server.stop()


def points() -> Iterator[str]:
    """Yield two machines' readings, and an alert of the first that opened and cleared."""
    for number in (1, 2):
        tags = f"sensor=VB-{number},site=plant,area=hall,machine=pump-{number}"
        for minute in range(10):
            fields = f"level={4 + minute},baseline=4,difference={minute},ratio={1 + minute / 4}"
            yield f"vibration,{tags} {fields} {NOW - minute * MINUTE}"
    tags = "sensor=VB-1,site=plant,area=hall,machine=pump-1,severity=warning"
    for minute, state in ((5, "active"), (2, "cleared")):
        yield f'alert,{tags} state="{state}",reason="ratio 1.7 above 1.6",alert_id="a1" {NOW - minute * MINUTE}'


def substituted(query: str, selection: str) -> str:
    values = {
        "timeFilter": f"time >= {NOW // 10**6 - 3_600_000}ms and time <= {NOW // 10**6 + 1}ms",
        "__interval": "1m",
        "machine": selection,
        "sensor": selection,
    }
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], query)


def rows(influx: Influx, title: str, selection: str = ".*") -> list[dict[str, Any]]:
    (target,) = PANELS[title]["targets"]
    return influx.query(substituted(target["query"], selection))


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("title", PANELS)
def test_every_panel_has_rows(influx: Influx, title: str, selection: str) -> None:
    assert rows(influx, title, selection)


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_shows_the_selected_only(influx: Influx, title: str) -> None:
    assert {row["sensor"] for row in rows(influx, title, SELECTIONS["one"])} == {"VB-1"}


@pytest.mark.parametrize("tag", CHOICES)
def test_every_choice_has_values(influx: Influx, tag: str) -> None:
    values = {row["value"] for row in influx.query(substituted(CHOICES[tag], ".*"))}
    assert values == {"machine": {"pump-1", "pump-2"}, "sensor": {"VB-1", "VB-2"}}[tag]


@pytest.mark.parametrize("title", [title for title, panel in PANELS.items() if panel["transformations"]])
def test_the_tables_name_columns_that_the_query_returns(influx: Influx, title: str) -> None:
    columns = {"Time" if name == "time" else name for name in rows(influx, title)[0]}
    for step in PANELS[title]["transformations"]:
        options = step["options"]
        match step["id"]:
            case "groupBy":
                named, kept = options["fields"].keys(), columns
                columns = {name if name == "alert_id" else f"{name} (last)" for name in named}
            case "filterByValue":
                named, kept = {condition["fieldName"] for condition in options["filters"]}, columns
            case "organize":
                named, kept = options["indexByName"].keys() | options["excludeByName"].keys(), columns
        assert named <= kept, step["id"]


def test_the_latest_ratio_is_the_newest_readings(influx: Influx) -> None:
    assert {row["ratio"] for row in rows(influx, "Latest level / baseline")} == {1.0}


def test_events_are_newest_first_and_the_open_alerts_table_takes_an_alerts_last_row(influx: Influx) -> None:
    assert [row["state"] for row in rows(influx, "Alert events")] == ["cleared", "active"]
    assert [row["state"] for row in rows(influx, "Open alerts")] == ["active", "cleared"]
