"""Writing the history to InfluxDB again."""

from pathlib import Path

import pytest

from gateway.domain.engine.commands import MoveCursor
from tests.readings import Plant, reading
from tests.unit.cli.conftest import Run

INFLUXDB = """
[influxdb]
url = "http://localhost:8086"
org = "plant"
bucket = "vibration"
token = "a-token"
[consumers.second]
type = "influxdb"
url = "http://localhost:8087"
org = "plant"
bucket = "vibration"
token = "a-token"
[consumers.other]
type = "memory"
"""


@pytest.fixture(autouse=True)
def with_databases(config: Path) -> None:
    config.write_text(config.read_text() + INFLUXDB)


def places(here: Plant) -> dict[str, int]:
    with here.reader() as reader:
        return reader.cursors()


@pytest.mark.parametrize(
    ("arguments", "name"), [((), "influx"), (("--consumer", "consumer.second"), "consumer.second")]
)
def test_a_database_is_sent_back_to_what_came_since(
    run: Run, here: Plant, arguments: tuple[str, ...], name: str
) -> None:
    here.take(*map(reading, range(10)))
    for each in ("influx", "consumer.second", "notifier"):
        here.journal.execute(MoveCursor(each, 10))
    with here.reader() as reader:
        received = [one.received_ns for one in reader.step(0, 10).readings]
    result = run("influx", "backfill", "--since", "1970-01-01T00:00:00Z", *arguments)
    assert (result.code, result.out) == (
        0,
        f"10 entries of the journal are written again; `stats` shows how far {name} is\n",
    )
    assert places(here) == {"influx": 10, "consumer.second": 10, "notifier": 10, name: 0}
    assert received


def test_one_that_is_behind_stays_there(run: Run, here: Plant) -> None:
    here.take(*map(reading, range(10)))
    here.journal.execute(MoveCursor("influx", 0))
    assert run("influx", "backfill", "--since", "1970-01-01T00:00:00Z").code == 0
    assert places(here)["influx"] == 0


def test_nothing_since_then_is_said(run: Run, here: Plant) -> None:
    here.take(reading(0))
    assert run("influx", "backfill", "--since", "2999-01-01T00:00:00Z").out == "Nothing has come in since then.\n"


@pytest.mark.parametrize("name", ["notifier", "consumer.other", "otel"])
def test_who_writes_to_no_influxdb_is_left_alone(run: Run, here: Plant, name: str) -> None:
    here.take(reading(0))
    here.journal.execute(MoveCursor(name, 1))
    result = run("influx", "backfill", "--since", "7d", "--consumer", name)
    assert result.code == 1
    assert "(there are: influx, consumer.second)" in result.err
    assert places(here)[name] == 1
