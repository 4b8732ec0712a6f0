"""The life of an event, as far as the journal knows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.alerting.alert import ACKNOWLEDGED, ALERT_FACTS, ESCALATED, RAISED
from gateway.domain.model.events import derive
from gateway.domain.notification.model import Notification, Withheld, fact_of, item_of
from gateway.domain.notification.outbox import OutboxItem, Outcome, Planning
from gateway.journal import life_of, traceparent_behind
from gateway.journal.outbox.rows import Messages
from tests.readings import NOON_NS, Plant, event, message, plant, reading

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-00"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


def traced(here: Plant, event_id: str) -> dict[str, Any]:
    with here.reader() as reader:
        found = life_of(reader, event_id)
    assert found is not None
    return found


def steps(here: Plant, event_id: str) -> dict[str, Any]:
    """Return step -> what, of an event."""
    return {line["step"]: line["what"] for line in traced(here, event_id)["steps"]}


def told(here: Plant) -> str:
    """Raise an alert and tell of it; return its id."""
    here.take(*(reading(second, 8.0) for second in range(3)))
    (alert,) = here.journal.open_alerts()
    note = Notification("n1", "raised", alert.id, "machine", "warning", "VB-1", "", 0, 0, "edge-1")
    messages, item = Messages(here.journal), OutboxItem("n1", "mail", 0, 0, alert.id, "VB-1@2", note)
    messages.enqueue(Planning(0, [item]), "notifier", 4)
    messages.take("mail", 1)
    data = {"handler": "mail", "attempts": 1, "said": "250 ok"}
    sent = derive("NotificationSent", "VB-1", NOON_NS, cause=alert.id, correlation="VB-1@2", data=data)
    messages.settle(item, Outcome("sent", 1, 1, "250 ok"), [sent])
    return alert.id


def test_the_whole_way_from_the_sensor_to_the_delivered_message(here: Plant) -> None:
    told(here)
    here.journal.move_cursor("influx", 3)
    found = traced(here, "VB-1@2")
    assert (found["eventId"], found["kind"], found["sensorId"]) == ("VB-1@2", "reading", "VB-1")
    assert [line["step"] for line in found["steps"]] == [
        "published", "received", "stored", "evaluated", "AlertRaised", "notification", "influxdb",
    ]  # fmt: skip
    what = steps(here, "VB-1@2")
    assert what["published"] == "VB-1: 8 m/s²"
    assert what["received"] == "0.500 s after it was measured"
    assert what["stored"].startswith("entry 3 of the journal")
    assert what["evaluated"] == "2.00 × the configured baseline 4: AlertRaised"
    assert what["AlertRaised"].startswith("RMS 8.0 m/s²")
    assert what["notification"] == "mail: sent after 1 attempt: 250 ok"
    assert what["influxdb"].startswith("written")


def test_an_alert_and_a_message_lead_to_the_reading_that_began_them(here: Plant) -> None:
    alert = told(here)
    assert traced(here, alert)["eventId"] == "VB-1@2"
    assert traced(here, "n1")["eventId"] == "VB-1@2"


def test_everything_that_became_of_an_alert_is_shown_and_who_was_not_told_of_it_and_why(here: Plant) -> None:
    told(here)
    here.take(*(reading(second, 12.0) for second in range(3, 6)))
    (alert,) = here.journal.open_alerts()
    with here.reader() as reader:
        escalated = next(each.fact for each in reader.alert_events(alert.id) if each.fact.type == ESCALATED)
    item = item_of(escalated, "escalated")
    muted = Withheld(item, "VB-1@2", "escalated", "silence", "bearing change", NOON_NS, "calls", "sms", NOON_NS)
    messages = Messages(here.journal)
    messages.enqueue(Planning(0, facts=[fact_of(muted)]), "notifier", 9)
    here.pipeline.attend(lambda alerts: alerts.acknowledge(alert.id, "Ada", "on my way", NOON_NS), NOON_NS)
    here.take(*(reading(second, 4.0) for second in range(6, 9)))
    for asked in ("VB-1@2", alert.id):
        found = traced(here, asked)["steps"]
        assert [line["step"] for line in found][4:-1] == [
            "AlertRaised", "notification", "AlertEscalated", "not told", "AlertAcknowledged", "AlertCleared",
        ]  # fmt: skip
    assert steps(here, alert.id)["not told"].startswith("sms: suppressed by silence: bearing change, until 2026-")
    assert [line["step"] for line in traced(here, "VB-1@5")["steps"]][4:-1] == ["AlertEscalated", "not told"]


def test_one_that_changed_nothing_and_that_influxdb_does_not_have_yet(here: Plant) -> None:
    here.take(reading(0), reading(1))
    here.journal.move_cursor("influx", 0)
    assert steps(here, "VB-1@1")["influxdb"] == "not yet: it has not been reached yet"
    here.journal.move_cursor("influx", 1)
    what = steps(here, "VB-1@1")
    assert what["evaluated"] == "1.00 × the configured baseline 4: nothing changed"
    assert what["influxdb"] == "not yet: it is at entry 1"


def test_a_late_one_says_why_it_was_not_judged(here: Plant) -> None:
    here.take(reading(10), reading(5, 99.0))
    what = steps(here, "VB-1@5")
    assert "behind its sensor's newest reading" in what["not evaluated"]
    assert what["influxdb"].startswith("none is configured")


def test_a_rejected_one_says_why(here: Plant) -> None:
    here.take(message(event(0, "high", id_="bad-1")))
    found = traced(here, "bad-1")
    (line,) = found["steps"]
    assert (found["kind"], line["step"], line["reason"]) == ("rejected", "rejected", "invalid")
    assert "dead letter 1" in line["what"]


def test_an_id_that_was_used_twice_is_both(here: Plant) -> None:
    here.take(reading(0, 4.0), reading(0, 5.0))
    found = traced(here, "VB-1@0")
    assert [line["step"] for line in found["steps"]][-1] == "rejected"
    assert found["steps"][-1]["reason"] == "id_conflict"


def test_a_duplicate_is_the_same_reading_once(here: Plant) -> None:
    here.take(reading(0), reading(0))
    assert "once; the same reading again would change nothing" in steps(here, "VB-1@0")["stored"]


def test_its_traceparent_is_shown(here: Plant) -> None:
    here.take(message({**event(0), "traceparent": PARENT}))
    assert traced(here, "VB-1@0")["traceparent"] == PARENT


def test_one_that_came_beside_it_is_kept_unless_it_has_its_own(here: Plant) -> None:
    here.take(message([event(0), {**event(1), "traceparent": OTHER}, event(2)], traceparent=PARENT))
    assert [traced(here, f"VB-1@{second}")["traceparent"] for second in range(3)] == [PARENT, OTHER, PARENT]


def test_sent_again_in_another_trace_it_is_a_duplicate(here: Plant) -> None:
    unnamed = event(0, id_=None)
    here.take(message(unnamed, traceparent=PARENT))
    batch = here.take(*(message(unnamed, traceparent=each) for each in (PARENT, OTHER, "")))
    assert (batch.duplicates, batch.dead_letters) == (3, [])


@pytest.mark.parametrize("ahead", [0, 3600])
def test_what_followed_from_a_reading_knows_its_trace(here: Plant, ahead: int) -> None:
    """Even if it counts at the time of receipt, since its sensor's clock is ahead."""
    here.take(*(message(event(n + ahead, 8.0), second=n + 0.5, traceparent=PARENT) for n in range(3)))
    assert traces(here) == {RAISED: PARENT}


def test_a_wrong_one_and_what_followed_from_no_reading_belong_to_no_trace(here: Plant) -> None:
    here.take(*(message({**event(n, 8.0), "traceparent": "00-x"}) for n in range(3)))
    (alert,) = here.journal.open_alerts()
    here.pipeline.attend(lambda alerts: alerts.acknowledge(alert.id, "me", "", NOON_NS), NOON_NS)
    assert traces(here) == {RAISED: "", ACKNOWLEDGED: ""}


def traces(here: Plant) -> dict[str, str]:
    """Return type -> traceparent of the changes of alerts."""
    with here.reader() as reader:
        facts = [entry.fact for entry in reader.step(0, 100, readings=False).entries]
        return {fact.type: traceparent_behind(reader, fact) for fact in facts if fact.type in ALERT_FACTS}


def test_what_an_alert_of_the_gateway_itself_followed_from(here: Plant) -> None:
    here.pipeline.report("influxdb", "warning", "it is away", NOON_NS)
    (alert,) = here.journal.open_alerts()
    found = traced(here, alert.id)
    assert (found["kind"], [line["step"] for line in found["steps"]]) == (
        "fact",
        ["GatewayConditionChanged", "AlertRaised"],
    )


@pytest.mark.parametrize("unknown", ["nobody", "", "%", "\x00", "x" * 5000])
def test_an_unknown_id_is_nothing(here: Plant, unknown: str) -> None:
    here.take(reading(0))
    with here.reader() as reader:
        assert life_of(reader, unknown) is None
