"""Planning and delivering together: what waits goes in time, what is refused goes to somebody else, rates are kept."""

import asyncio
import time
from typing import Any

import pytest

from gateway.api import DeliveryError
from gateway.consumers import cursor as following
from gateway.consumers import delivery as notifier
from gateway.consumers import notification_planning as dispatch
from gateway.consumers.delivery import Notifier
from gateway.consumers.notification_planning import items_of, notification_of
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.model import FAILED, Planned
from gateway.domain.notification.routing import EscalationStep, Route, RouteTable
from tests.plant import alert_entry, alert_of
from tests.unit.consumers.journal import MemoryJournal, eventually
from tests.unit.consumers.notifying import SECOND, Scripted, critical, fresh, running, warning


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(following, "_SAVE_AFTER", 0.0)


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


class TestInTime:
    async def test_what_is_gathered_goes_when_its_time_has_come(self, journal: MemoryJournal) -> None:
        mail = Scripted()
        routes = (Route("warning", ("mail",), group_wait_ns=SECOND // 10),)
        async with running(journal, routes=routes, mail=mail):
            journal.add(warning(1), warning(2), warning(3))
            await eventually(lambda: len(mail.sent) == 2)
        first, digest = mail.sent
        assert (first.kind, first.count, first.grouped) == ("raised", 1, ())
        assert (digest.kind, digest.count) == ("digest", 2)
        assert [item.alert_id for item in digest.grouped] == ["alert-VB-1-2", "alert-VB-1-3"]
        assert (digest.machine, digest.area, digest.level) == ("pump-7", "hall-2", None)

    async def test_what_waits_survives_a_restart(self, journal: MemoryJournal) -> None:
        routes = (Route("warning", ("mail",), group_wait_ns=SECOND),)
        async with running(journal, routes=routes, mail=Scripted()):
            journal.add(warning(1), warning(2))
            await eventually(lambda: journal.states() == [("mail", "sent")])
        mail = Scripted()
        async with running(journal, routes=routes, mail=mail):
            await eventually(lambda: mail.sent)
        assert [one.alert_id for one in mail.sent] == ["alert-VB-1-2"]

    async def test_nobody_acknowledges_and_the_next_one_is_told(self, journal: MemoryJournal) -> None:
        mail, boss = Scripted(), Scripted()
        routes = (Route("warning", ("mail",), steps=(EscalationStep(SECOND // 20, ("boss",)),)),)
        async with running(journal, routes=routes, mail=mail, boss=boss):
            journal.add(warning())
            await eventually(lambda: boss.sent)
        assert [one.kind for one in (*mail.sent, *boss.sent)] == ["raised", "escalation"]

    async def test_a_clock_that_is_set_back_puts_nothing_off(
        self, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours, mail = time.time_ns, Scripted()
        monkeypatch.setattr(dispatch, "_LONGEST_SLEEP", 0.05)
        async with running(journal, routes=(Route("warning", ("mail",), group_wait_ns=SECOND // 2),), mail=mail):
            journal.add(warning(1), warning(2))
            await eventually(lambda: len(mail.sent) == 1)
            monkeypatch.setattr(time, "time_ns", lambda: ours() - 3600 * SECOND)
            await eventually(lambda: len(mail.sent) == 2)

    async def test_what_is_over_before_it_was_sent_is_withdrawn(self, journal: MemoryJournal) -> None:
        async with running(journal):
            journal.add(warning(1), fresh(alert_entry(alert_of(state="cleared"))), warning(2))
            await eventually(lambda: len(journal.rows) == 2)
            await eventually(lambda: journal.states() == [("mail", "withdrawn"), ("mail", "pending")])
        (fact,) = journal.facts
        assert (fact.data["by"], fact.data["handler"], fact.data["route"]) == ("over", "mail", "route 1")


class TestInstead:
    async def test_what_one_refuses_for_good_is_told_by_the_next(self, journal: MemoryJournal) -> None:
        mail, sms = (Scripted(DeliveryError("550", retry=False)) for _ in range(2))
        boss = Scripted()
        routes = (Route("warning", ("mail",), fallback="sms", steps=(EscalationStep(3600 * SECOND, ("boss",)),)),)
        async with running(journal, routes=routes, mail=mail, sms=sms, boss=boss):
            journal.add(warning())
            await eventually(lambda: boss.sent)
        assert [fact.type for fact in journal.facts[:2]] == [FAILED, FAILED]
        assert boss.sent[0].kind == "raised"
        assert boss.sent[0].id == next(row.item.id for row in journal.rows.values() if row.item.handler == "boss")

    async def test_what_lasts_until_somebody_mends_it_is_tried_again_and_the_next_is_told_at_once(
        self, journal: MemoryJournal
    ) -> None:
        mail, sms = Scripted(*[DeliveryError("its certificate has expired", needs_person=True)] * 2), Scripted()
        async with running(journal, routes=(Route("warning", ("mail",), fallback="sms"),), mail=mail, sms=sms):
            journal.add(warning())
            await eventually(lambda: journal.states() == [("mail", "sent"), ("sms", "sent")])
        assert (len(mail.sent), len(sms.sent)) == (3, 1)

    async def test_who_is_told_already_is_not_told_again(self, journal: MemoryJournal) -> None:
        mail, sms = Scripted(DeliveryError("550", retry=False)), Scripted()
        routes = (Route("warning", ("mail",), fallback="sms"), Route("critical", ("sms",)))
        async with running(journal, routes=routes, mail=mail, sms=sms):
            journal.add(critical())
            await eventually(lambda: journal.states() == [("mail", "failed"), ("sms", "sent")])
        assert len(sms.sent) == 1


class TestRates:
    async def test_what_is_too_much_waits_and_goes_as_one(self, journal: MemoryJournal) -> None:
        mail = Scripted()
        routes = (Route("warning", ("mail",), group_by="none"),)
        made = Notifier(journal, RouteTable(routes), noise=Noise(flap_count=0), gateway_id="edge-1")
        work: list[Any] = [made.plan(journal), made.deliver("mail", mail, SECOND, (2, SECOND // 2))]
        tasks = [asyncio.create_task(each) for each in work]
        journal.add(*(warning(number) for number in range(1, 8)))
        await eventually(lambda: sum(one.count for one in mail.sent) == 7)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert [one.count for one in mail.sent] == [1, 1, 5]
        assert mail.sent[-1].kind == "digest"
        assert sorted(state for _, state in journal.states()) == ["sent"] * 3 + ["withdrawn"] * 5


async def test_messages_that_are_merged_keep_what_they_tell_of(journal: MemoryJournal) -> None:
    routes = (Route("warning", ("mail",), group_wait_ns=SECOND // 10),)
    async with running(journal, routes=routes):
        journal.add(warning(1), warning(2), warning(3))
        await eventually(lambda: len(journal.rows) == 2)
    single, several = (row.item for row in journal.rows.values())
    assert [item.alert_id for item in items_of(single)] == ["alert-VB-1-1"]
    assert [item.alert_id for item in items_of(several)] == ["alert-VB-1-2", "alert-VB-1-3"]
    assert items_of(single)[0].change == single.cause


def test_a_notice_about_nothing_is_a_notification() -> None:
    notice = Planned("id", "mail", "route 1", "notice", (), 0, "The silence ends.", "s1", "s1", 5)
    made = notification_of(notice, "edge-1", "")
    assert (made.kind, made.reason, made.count, made.alert_kind) == ("notice", "The silence ends.", 0, "gateway")
