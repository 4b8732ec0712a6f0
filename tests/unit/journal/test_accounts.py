"""Who did what to an alert, who was told of it, and who was not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import FAILED, SUPPRESSED, Item, Withdrawal, Withheld, fact_of
from gateway.domain.notification.outbox import OutboxItem, Outcome, Planning
from gateway.journal import account_of, latest_changes
from gateway.journal.outbox.rows import Messages
from gateway.journal.sqlite.connection import load_queries
from tests.notifications import CRITICAL, notification
from tests.readings import NOON_NS, Plant, plant, reading

ITEM = Item("c1", "raised", "a1", "machine", "warning", "VB-1", "", 1, 1)


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


def item(number: int, *, alert: str = "a1", changes: tuple[tuple[str, str], ...] = (), count: int = 1) -> OutboxItem:
    notification = replace(CRITICAL, id=f"n{number}", alert_id=alert, count=count)
    return OutboxItem(f"n{number}", "mail", 0, number, f"c{number}", "first", notification, "pumps", changes)


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
    assert message["at"] == "2026-03-01T12:00:00.000Z"


def test_what_was_not_sent_and_why(here: Plant) -> None:
    id_ = first(here)
    data = {
        "alertId": id_, "kind": "raised", "by": "silence", "reason": "silenced by anna", "route": "day",
        "handler": None, "until": None,
    }  # fmt: skip
    fact = DomainEvent("f", SUPPRESSED, NOON_NS, "VB-1", "c", id_, data)
    with here.journal.appending(NOON_NS) as facts:
        facts.append(fact)
    with here.reader() as reader:
        account = account_of(reader, id_)
        (untold,) = account["messages"]
        (reason,) = account["history"][0]["untold"]
        others = account_of(reader, "nobody")
    assert (reason["by"], reason["why"], reason["state"]) == ("silence", "silenced by anna", "suppressed")
    assert (untold["by"], untold["why"], untold["route"], untold["handler"]) == (
        "silence", "silenced by anna", "day", None,
    )  # fmt: skip
    assert others == {"history": [], "messages": []}


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


def test_messages_and_decisions_are_one_story(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        messages = Messages(here.journal)
        quiet = Withheld(ITEM, "first", "raised", "quiet", "quiet hours", 0, "pumps", until_ns=5 * 10**9, deferred=True)
        messages.enqueue(Planning(0, facts=[fact_of(quiet)]), "notifier", 1)
        digest = item(2, alert="a2", changes=(("a1", "c1"), ("a2", "c2")), count=2)
        messages.enqueue(Planning(1, [digest]), "notifier", 2)
        taken = messages.take("mail", 10)
        assert taken is not None
        messages.settle(taken, Outcome("sent", 3, 3, "250 ok"), [])
        messages.enqueue(
            Planning(4 * 10**9, facts=[fact_of(replace(quiet, deferred=False, by="silence"))]), "notifier", 3
        )
        with here.reader() as reader:
            story = account_of(reader, "a1")["messages"]
            other = account_of(reader, "a2")["messages"]
            assert account_of(reader, "a3")["messages"] == []
    assert [(row["state"], row["kind"]) for row in story] == [
        ("deferred", "raised"),
        ("sent", "raised"),
        ("suppressed", "raised"),
    ]
    assert (story[0]["by"], story[0]["until"], story[0]["route"]) == ("quiet", "1970-01-01T00:00:05.000Z", "pumps")
    assert (story[1]["said"], story[1]["alerts"], story[1]["attempts"]) == ("250 ok", 2, 1)
    assert [row["id"] for row in other] == ["n2"]


def test_what_is_withdrawn_says_why(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        messages = Messages(here.journal)
        over = Withdrawal(ITEM, "first", ("raised",), "over", "it was over before it could be sent", 7)
        messages.enqueue(Planning(1, [item(1)], withdrawals=[over]), "notifier", 2)
        assert messages.take("mail", 10) is None
        with here.reader() as reader:
            decision, message = account_of(reader, "a1")["messages"]
    assert (message["state"], message["said"]) == ("withdrawn", "withdrawn: it was over before it could be sent")
    assert (decision["by"], decision["handler"]) == ("over", "mail")


def test_what_is_for_a_handler_that_is_gone_has_failed_with_a_fact(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        messages = Messages(here.journal)
        messages.enqueue(Planning(1, [item(1)]), "notifier", 2)
        messages.resume(["sms"], 9)
        (fact,) = [fact for _, fact in here.contents()["facts"]]
        with here.reader() as reader:
            (row,) = account_of(reader, "a1")["messages"]
    assert (fact.type, fact.data["handler"], fact.causation_id) == (FAILED, "mail", "c1")
    assert (row["state"], row["said"]) == ("failed", "the handler is not in the configuration any more")


def test_a_message_that_is_trimmed_takes_its_account_with_it(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        messages = Messages(here.journal)
        messages.enqueue(Planning(1, [item(1)]), "notifier", 2)
        taken = messages.take("mail", 10)
        assert taken is not None
        messages.settle(taken, Outcome("sent", 3, 3, "ok"), [])
        assert here.journal.trim("trim_outbox", 10, 10, 100) == 1
        assert here.journal.all("messages_of_alert", "a1") == here.journal.all("outbox_of_change", "c1") == []


def test_what_follows_once_an_alert_is_off_the_shelf_follows_from_that(here: Plant) -> None:
    id_ = first(here)
    tell(here, id_, id_, "mail")
    here.pipeline.attend(lambda alerts: alerts.shelve(id_, 3600 * 10**9, "anna", "ordered", NOON_NS), NOON_NS)
    here.pipeline.attend(lambda alerts: alerts.unshelve(id_, "anna", "", NOON_NS + 5), NOON_NS + 5)
    later = replace(CRITICAL, id="later", alert_id=id_, kind="notice")
    after = OutboxItem("later", "sms", NOON_NS + 6, NOON_NS + 6, id_, "first", later, "", ((id_, id_),))
    Messages(here.journal).enqueue(Planning(2, [after]), "notifier", NOON_NS + 6)
    with here.reader() as reader:
        history = account_of(reader, id_)["history"]
        latest = [row["told"] for row in latest_changes(reader, None, 9) if row["alertId"] == id_]
    assert latest == [row["told"] for row in history[::-1]]
    assert [(row["change"], [told["handler"] for told in row["told"]]) for row in history] == [
        ("AlertRaised", ["mail"]), ("AlertShelved", []), ("AlertUnshelved", ["sms"]),
    ]  # fmt: skip


def test_a_message_says_whether_it_names_an_alert_or_only_counts_it(tmp_path: Path) -> None:
    grouped = tuple(replace(ITEM, alert_id=f"a{number}") for number in range(1000))
    changes = tuple((f"a{number}", f"c{number}") for number in range(1500))
    several = item(1, changes=changes, count=1500)
    several = replace(several, notification=replace(several.notification, kind="digest", grouped=grouped))
    with plant(tmp_path) as here:
        messages = Messages(here.journal)
        messages.enqueue(Planning(1, [several, item(2, alert="b")]), "notifier", 2)
        with here.reader() as reader:
            told = {name: account_of(reader, name)["messages"] for name in ("a0", "a49", "a50", "a1499", "b")}
    assert [row["named"] for (row,) in told.values()] == [True, True, False, False, True]
    assert {row["id"] for name, (row,) in told.items() if name != "b"} == {"n1"}, "which message it was"
