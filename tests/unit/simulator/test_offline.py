import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.fleet import Fleet
from simulator.offline import column_names, write_machines
from simulator.replay import FEATURES, Columns, Problems, open_csv, read_rows
from simulator.sensing import profiles

START = datetime(2026, 1, 1, tzinfo=UTC)
FLEET = Fleet.model_validate(
    {
        "site": "s",
        "machines": [
            {
                "id": "m-1",
                "area": "a",
                "description": "M",
                "cycle": [{"lasts": "10m"}, {"state": "stopped", "lasts": "10m", "speed": 0, "load": 0}],
                "sensors": [
                    {"id": "S-1", "baseline": 2, "interval": "1m"},
                    {
                        "id": "S-2",
                        "baseline": 2,
                        "interval": "1m",
                        "faults": [
                            {"kind": "dropout", "after": "10m", "lasts": "5m"},
                            {"kind": "clock", "after": "30m", "lasts": "5m", "by": "-1h"},
                        ],
                    },
                ],
            },
            {"id": "m-2", "area": "b", "description": "M", "sensors": [{"id": "S-3", "baseline": 3}]},
        ],
    }
)


@pytest.fixture
def written(tmp_path: Path) -> dict[str, int]:
    made = write_machines(FLEET, profiles(FLEET, 1), tmp_path, seed=1, start=START, until=3600.0)
    return {file.name: readings for file, readings in made}


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_each_machine_has_a_file(written: dict[str, int], tmp_path: Path) -> None:
    assert written == {"a-m-1.csv": 115, "b-m-2.csv": 360}
    assert {file.name for file in tmp_path.iterdir()} == set(written)


@pytest.mark.usefixtures("written")
def test_sensors_share_rows_but_not_a_wrong_clock(tmp_path: Path) -> None:
    found = rows(tmp_path / "a-m-1.csv")
    assert list(found[0]) == ["time", "received", "state", *column_names("S-1"), *column_names("S-2")]
    assert {row["state"] for row in found} == {"running", "stopped"}
    received = [int(row["received"]) for row in found]
    assert received == sorted(received)
    wrong = [row for row in found if row["time"] != row["received"]]
    assert len(wrong) == 5
    assert all(int(row["received"]) - int(row["time"]) == 3_600_000 and not row["S-1"] for row in wrong)
    silent = [row for row in found if not row["S-2"] and row["S-1"]]
    assert len(silent) == 10
    assert all(not row[f"S-2.{feature}"] for row in silent for feature in FEATURES)


@pytest.mark.usefixtures("written")
def test_a_replay_can_read_it(tmp_path: Path) -> None:
    features = {"S-3": dict(zip(FEATURES, column_names("S-3")[1:], strict=True))}
    columns = Columns(time="time", interval=0.0, values={"S-3": "S-3"}, features=features, state="state")
    problems = Problems()
    with open_csv(tmp_path / "b-m-2.csv") as (text, _):
        found = list(read_rows(text, columns, problems))
    assert (len(found), problems.bad_rows) == (360, 0)
    assert found[0].measurements[0].kurtosis == pytest.approx(3.0, abs=0.6)


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        list(write_machines(FLEET, profiles(FLEET, 1), tmp_path / folder, seed=1, start=START, until=3600.0))
    assert (tmp_path / "one/a-m-1.csv").read_bytes() == (tmp_path / "two/a-m-1.csv").read_bytes()
