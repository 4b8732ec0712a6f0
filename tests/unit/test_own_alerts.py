"""The gateway's alerts about parts of itself, in a journal on disk."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.app.own_alerts import OwnAlerts, clear_gone
from gateway.consumers.memory import MemoryConsumer
from gateway.consumers.runner import Follower
from gateway.errors import JournalUnavailableError
from gateway.journal import Stream
from tests.readings import Plant, plant


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.fixture
def stream(here: Plant) -> Iterator[Stream]:
    with closing(Stream(here.journal, here.path)) as made:
        yield made


def open_subjects(here: Plant) -> list[str]:
    return sorted(alert.sensor_id for alert in here.journal.open_alerts())


async def test_an_alert_is_raised_once_and_clears(here: Plant, stream: Stream) -> None:
    alerts = OwnAlerts(here.journal, stream)
    for _ in range(2):
        await alerts.report("consumer.ours", "it is away")
    (alert,) = here.journal.open_alerts()
    assert (alert.kind, alert.severity, alert.reason) == ("gateway", "warning", "it is away")
    assert stream.last_seq == here.journal.next_seq - 1
    await alerts.report("consumer.ours", None)
    assert open_subjects(here) == []


async def test_alerts_about_what_has_left_the_configuration_clear_and_no_others(here: Plant, stream: Stream) -> None:
    alerts = OwnAlerts(here.journal, stream)
    about = ["consumer.gone", "consumer.ours", "disk", "handler gone", "handler mail", "influxdb", "otel", "broker"]
    for subject in about:
        await alerts.report(subject, "it is away")
    ours = MemoryConsumer("ours", {})
    await clear_gone(
        here.journal,
        alerts.report,
        ["mail"],
        [Follower("consumer.ours", ours, "consumer.ours"), Follower("otel", ours, "otel")],
    )
    assert open_subjects(here) == ["broker", "consumer.ours", "disk", "handler mail", "otel"]


async def test_what_cannot_be_recorded_is_in_the_log(
    here: Plant, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise JournalUnavailableError("database or disk is full")

    monkeypatch.setattr(here.journal, "execute", full)
    with capture_logs() as logs:
        await OwnAlerts(here.journal, stream).report("disk", "it is full")
    assert [(entry["about"], entry["log_level"]) for entry in logs] == [("disk", "warning")]
