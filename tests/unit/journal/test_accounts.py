"""Who did what to an alert, who was told of it, and who was not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.api import OutboxItem, Planning
from gateway.domain.events import Fact
from gateway.domain.telling import SUPPRESSED
from gateway.journal import account_of, latest_changes
from gateway.journal.database import load_queries
from gateway.journal.messages import Messages, Outcome
from tests.notifications import notification
from tests.readings import NOON_NS, Plant, plant, reading


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        made.take(
            *(reading(second, 8.0) for second in range(3)), *(reading(second, 8.0, "VB-2") for second in range(3))
        )
        yield made


def first(here: Plant) -> str:
    return next(alert.id for alert in here.journal.open_alerts() if alert.sensor_id == "VB-1")


def tell(here: Plant, alert_id: str, cause: str, handler: str) -> OutboxItem:
    """Put a message about an alert into the outbox, as the notifier does, and take it out again."""
    told = notification(id=f"{handler}-1", alert_id=alert_id)
    messages = Messages(here.journal)
    item = OutboxItem(told.id, handler, 0, NOON_NS, cause, "c", told, changes=((alert_id, cause),))
    messages.enqueue(Planning(NOON_NS, items=[item]), "notifier", here.journal.next_seq - 1)
    taken = messages.take(handler, NOON_NS)
    assert taken is not None
    return taken


def test_every_change_with_who_and_why_and_every_message_with_its_outcome(here: Plant) -> None:
    id_ = first(here)
    here.pipeline.attend(lambda alerts: alerts.acknowledge(id_, "anna", "on my way", NOON_NS), NOON_NS)
    item = tell(here, id_, id_, "mail")
    Messages(here.journal).settle(item, Outcome("sent", NOON_NS, NOON_NS, "250 ok"), [])
    with here.reader() as reader:
        account = account_of(reader, id_)
    assert [(row["change"], row["who"]) for row in account["history"]] == [
        ("AlertRaised", None),
        ("AlertAcknowledged", "anna"),
    ]
    assert account["history"][1]["why"] == "Acknowledged by anna: on my way"
    assert account["history"][0]["told"] == [{"handler": "mail", "state": "sent", "attempts": 1, "said": "250 ok"}]
    (message,) = account["messages"]
    assert (message["handler"], message["state"], message["said"]) == ("mail", "sent", "250 ok")
    assert message["created"] == "2026-03-01T12:00:00.000Z"


def test_what_was_not_sent_and_why(here: Plant) -> None:
    id_ = first(here)
    data = {"alertId": id_, "kind": "raised", "by": "silence", "reason": "silenced by anna", "route": "day"}
    fact = Fact("f", SUPPRESSED, NOON_NS, "VB-1", "c", id_, data)
    with here.journal.transaction():
        here.journal.append([(here.journal.next_seq, fact)], NOON_NS)
    with here.reader() as reader:
        (untold,) = account_of(reader, id_)["untold"]
        others = account_of(reader, "nobody")
    assert (untold["by"], untold["reason"], untold["route"], untold["handler"]) == (
        "silence", "silenced by anna", "day", None,
    )  # fmt: skip
    assert others == {"history": [], "messages": [], "untold": []}


def test_the_latest_changes_of_all_or_of_one_sensor(here: Plant) -> None:
    here.take(*(reading(3 + second, 4.0) for second in range(3)))
    with here.reader() as reader:
        changes = latest_changes(reader, None, 10)
        assert [(row["sensorId"], row["change"]) for row in changes] == [
            ("VB-1", "AlertCleared"),
            ("VB-2", "AlertRaised"),
            ("VB-1", "AlertRaised"),
        ]
        assert latest_changes(reader, None, 1) == changes[:1]
        assert latest_changes(reader, "VB-2", 10) == changes[1:2]


def test_it_is_looked_up_and_not_searched_for(here: Plant) -> None:
    """There may be millions of events."""
    query = f"EXPLAIN QUERY PLAN {load_queries()['events_of_subject']}"
    assert "events_alert" in str(here.journal._db.execute(query, ("x",)).fetchall())  # noqa: SLF001 - how SQLite answers
