"""Real measurements through the whole system: a part of `python -m bench.evaluate FOLDER`.

FOLDER/ims/test2.csv holds test 2 of the NASA/IMS Bearing Data Set (Lee, Qiu, Yu, Lin 2007): four bearings on one shaft,
a snapshot every ten minutes until the outer race of bearing 1 fails. It goes through a real broker into a real gateway,
InfluxDB, mail and SMS.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import Figure, at_most
from bench.plant import CONSOLE, Plant, plant, running
from tests.accounting import EVERYTHING, Fact, alert_changes, due_messages, facts, telling_problems, wait_until_told
from tests.programs import MAIL, SMS, Gateway, simulate
from tests.servers.waiting import until

FILE = Path("ims", "test2.csv")
BEARINGS = {"B1": "b1_rms", "B2": "b2_rms", "B3": "b3_rms", "B4": "b4_rms"}
FAILING = "B1"
SPEED = "20000"  # 6.8 days in 30 s
SNAPSHOTS_PER_HOUR = 6
LEARNING_READINGS = 100


@dataclass(frozen=True)
class Outcome:
    """What came of the replay; `rows` finds an event's row in the file, counted from 0."""

    published: int
    events: list[dict[str, Any]]
    points: Counter[tuple[str, float]]
    changes: list[Fact]
    cleared: list[Fact]
    told: list[str]
    rows: dict[str, int]


def whole_system(folder: Path) -> Iterator[Figure]:
    """Replay FOLDER/ims/test2.csv, show what was found and when, and check that nothing was lost or repeated."""
    file = folder / FILE
    with plant() as servers, running(servers.gateway(changes=_changes())) as gateway:
        outcome = _replay(file, servers, gateway)
    with file.open(newline="") as lines:
        snapshots = sum(1 for _ in csv.DictReader(lines))
    _show(outcome, snapshots)
    for promise, problems in _checks(outcome, snapshots).items():
        yield at_most(f"Whole system: {promise}", len(problems), 0, "problems", "; ".join(problems)[:500])


def _changes() -> dict[str, Any]:
    return {"detection": {"learning_readings": LEARNING_READINGS}}


def _replay(file: Path, servers: Plant, gateway: Gateway) -> Outcome:
    values = [word for sensor, column in BEARINGS.items() for word in ("--value", f"{column}={sensor}")]
    place = ("--site", "ims", "--area", "rig-2", "--machine", "shaft")
    CONSOLE.print(f"Replaying {file.name} {SPEED} times as fast, through broker, gateway, InfluxDB, mail and SMS …")
    options = ("--time", "timestamp", *values, "--unit", "g", "--speed", SPEED, *place)
    published = simulate(servers.broker, "replay", str(file), *options, timeout=300)["published"]
    until(lambda: gateway.stored() >= published, 30, "every reading in the journal")
    until(lambda: servers.influx.count("vibration", "level") >= published, 30, "every reading in InfluxDB")
    changes = alert_changes(gateway)
    wait_until_told(gateway, due_messages(changes).total())
    events = gateway.ask("events", "list", "--type", "VibrationRecorded", *EVERYTHING)
    return Outcome(
        published=published,
        events=events,
        points=Counter(
            (point["sensor"], point["level"])
            for point in servers.influx.query("SELECT level FROM vibration GROUP BY sensor")
        ),
        changes=changes,
        cleared=facts(gateway, "AlertCleared"),
        told=telling_problems(gateway, servers.smtp, servers.twilio),
        rows={event["eventId"]: event["event"]["data"]["sequence"] for event in events},
    )


def _show(outcome: Outcome, snapshots: int) -> None:
    table = Table("sensor", "change", "severity", "snapshot", "before the end", "mail", "SMS", "why")
    for sensor in BEARINGS:
        own = [fact for fact in (*outcome.changes, *outcome.cleared) if fact["subject"] == sensor]
        for fact in sorted(own, key=lambda fact: int(fact["seq"])):
            table.add_row(*_cells(outcome, fact, snapshots))
        if not own:
            table.add_row(sensor, "none", "", "", "", "", "", "")
        table.add_section()
    CONSOLE.print(table)


def _cells(outcome: Outcome, fact: Fact, snapshots: int) -> list[str]:
    row = outcome.rows[fact["causationId"]]
    told = due_messages([fact]) if fact in outcome.changes else Counter()
    messages = [str(sum(count for (name, _), count in told.items() if name == handler)) for handler in (MAIL, SMS)]
    data = fact["data"]
    return [
        fact["subject"],
        fact["eventType"],
        data["severity"],
        str(row),
        f"{(snapshots - row) / SNAPSHOTS_PER_HOUR:.1f} h",
        *messages,
        data["finding"],
    ]


def _checks(outcome: Outcome, snapshots: int) -> dict[str, list[str]]:
    """Return what is promised -> what is wrong with it."""
    return {
        "every snapshot was published for each bearing": _differences(
            {"published": (len(BEARINGS) * snapshots, outcome.published)}
        ),
        "every reading is in the journal, once": _differences(
            {
                "readings": (outcome.published, len(outcome.events)),
                "different ids": (outcome.published, len(outcome.rows)),
            }
        ),
        "every reading is in InfluxDB, once": _differences(
            {
                "points": (outcome.published, outcome.points.total()),
                "levels": (Counter((event["sensorId"], event["level"]) for event in outcome.events), outcome.points),
            }
        ),
        "bearing 1 raises a warning, and then a critical alert, before its end": _failing_bearing(outcome, snapshots),
        "every raised or escalated alert was told as routed, once": outcome.told,
    }


def _differences(pairs: dict[str, tuple[Any, Any]]) -> list[str]:
    return [f"{what}: {found}, expected {wanted}" for what, (wanted, found) in pairs.items() if wanted != found]


def _failing_bearing(outcome: Outcome, snapshots: int) -> list[str]:
    rows: dict[str, int] = {}
    for fact in outcome.changes:
        if fact["subject"] == FAILING:
            rows.setdefault(fact["data"]["severity"], outcome.rows[fact["causationId"]])
    if rows.get("warning", snapshots) < rows.get("critical", snapshots):
        return []
    return [f"first seen at these snapshots: {rows or 'none'}"]
