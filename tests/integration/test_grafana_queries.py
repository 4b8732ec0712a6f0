"""Every query of the shipped dashboards and alert rules, against a database with what the gateway writes."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.consumers.influx.lines import to_gateway_line
from gateway.domain.model.quantities import BY_KEY
from gateway.telemetry.metrics import Metrics
from tests.servers.influxdb import Influx

GRAFANA = Path(__file__).parents[2] / "config/grafana"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}
PANELS: dict[tuple[str, str], dict[str, Any]] = {
    (name, panel["title"]): panel for name, page in DASHBOARDS.items() for panel in page["panels"]
}
CHOICES: dict[tuple[str, str], str] = {
    (name, variable["name"]): variable["query"]
    for name, page in DASHBOARDS.items()
    for variable in page["templating"]["list"]
    if variable["type"] == "query"
}
MARKS = {
    name: mark["target"]["query"] for name, page in DASHBOARDS.items() for mark in page["annotations"].get("list", [])
}
RULES = {
    rule["uid"]: rule["data"][0]["model"]["query"]
    for group in yaml.safe_load((GRAFANA / "provisioning/alerting/vibration.yaml").read_text())["groups"]
    for rule in group["rules"]
}
SELECTIONS = {
    "all": ".*",
    "two": "(pump-1|pump-2|VB-1|VB-2|edge-1)",
    "one": "(pump-1|VB-1|edge-1)",
}  # as Grafana has it
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
    """Yield two machines' readings, an alert of the first that opened and cleared, and a gateway's own metrics."""
    for number in (1, 2):
        tags = f"sensor=VB-{number},site=plant,area=hall,machine=pump-{number}"
        features = ",".join(f"{name}={number}" for name in BY_KEY)
        for minute in range(10):
            fields = f"level={4 + minute},baseline=4,difference={minute},ratio={1 + minute / 4},{features}"
            yield f"vibration,{tags} {fields} {NOW - minute * MINUTE}"
    tags = "sensor=VB-1,site=plant,area=hall,machine=pump-1,severity=warning"
    for minute, state in ((5, "active"), (2, "cleared")):
        yield f'alert,{tags} state="{state}",reason="ratio 1.7 above 1.6",alert_id="a1" {NOW - minute * MINUTE}'
    metrics = Metrics()
    metrics.rejected.labels("not_json").inc()
    metrics.alerts_open.labels("warning").set(1)
    metrics.count_notification("mail", "sent", 0.1)
    for minute in range(10):
        for labels, values in metrics.values():
            yield to_gateway_line("edge-1", labels, values, NOW - minute * MINUTE).decode()


def substituted(query: str, selection: str) -> str:
    values = {
        "timeFilter": f"time >= {NOW // 10**6 - 3_600_000}ms and time <= {NOW // 10**6 + 1}ms",
        "__interval": "1m",
        **dict.fromkeys(("machine", "sensor", "gateway"), selection),
    }
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], query)


def rows(influx: Influx, panel: tuple[str, str], selection: str = ".*") -> list[dict[str, Any]]:
    (target,) = PANELS[panel]["targets"]
    return influx.query(substituted(target["query"], selection))


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("panel", PANELS, ids="-".join)
def test_every_panel_has_rows(influx: Influx, panel: tuple[str, str], selection: str) -> None:
    assert rows(influx, panel, selection)


@pytest.mark.parametrize("panel", PANELS, ids="-".join)
def test_a_panel_shows_the_selected_only(influx: Influx, panel: tuple[str, str]) -> None:
    found = rows(influx, panel, SELECTIONS["one"])
    assert {row.get("sensor", "VB-1") for row in found} == {"VB-1"}
    assert not rows(influx, panel, "(something else)")


@pytest.mark.parametrize("choice", CHOICES, ids="-".join)
def test_every_choice_has_values(influx: Influx, choice: tuple[str, str]) -> None:
    values = {row["value"] for row in influx.query(substituted(CHOICES[choice], ".*"))}
    every = {"machine": {"pump-1", "pump-2"}, "sensor": {"VB-1", "VB-2"}, "gateway": {"edge-1"}}[choice[1]]
    assert values == ({"pump-1"} if choice[0] == "alerts" else every)  # only it has had one


@pytest.mark.parametrize("page", MARKS)
def test_the_marks_of_alerts_have_a_text_and_tags(influx: Influx, page: str) -> None:
    found = influx.query(substituted(MARKS[page], SELECTIONS["one"]))
    assert [(row["reason"], row["severity"], row["state"]) for row in found] == [
        ("ratio 1.7 above 1.6", "warning", "active"),
        ("ratio 1.7 above 1.6", "warning", "cleared"),
    ]


@pytest.mark.parametrize("rule", RULES)
def test_every_alert_rule_has_a_number_for_the_gateway(influx: Influx, rule: str) -> None:
    found = influx.query(substituted(RULES[rule], ".*"))
    assert {row["gateway"] for row in found} == {"edge-1"}


@pytest.mark.parametrize("table", [key for key, panel in PANELS.items() if panel["transformations"]], ids="-".join)
def test_the_tables_name_columns_that_the_query_returns(influx: Influx, table: tuple[str, str]) -> None:
    columns = {"Time" if name == "time" else name for name in rows(influx, table)[0]}
    for step in PANELS[table]["transformations"]:
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
    assert {row["ratio"] for row in rows(influx, ("fleet", "Latest level / baseline"))} == {1.0}


def test_events_are_newest_first_and_the_open_alerts_table_takes_an_alerts_last_row(influx: Influx) -> None:
    assert [row["state"] for row in rows(influx, ("fleet", "Alert events"))] == ["cleared", "active"]
    assert [row["state"] for row in rows(influx, ("fleet", "Open alerts"))] == ["active", "cleared"]
