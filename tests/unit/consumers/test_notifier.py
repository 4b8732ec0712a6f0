"""Who is told what, how often it is tried, and that nobody is told twice."""

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from gateway.api import DeliveryError
from gateway.consumers import cursor as following
from gateway.consumers import delivery as notifier
from gateway.consumers import outbox_port as waiting
from gateway.consumers.delivery import BREAK_AFTER, EXPIRY_NS, Notifier
from gateway.domain.notification.model import FAILED, SENT, SUPPRESSED
from gateway.domain.notification.outbox import OutboxItem, Planning
from gateway.domain.notification.routing import RouteTable
from gateway.handlers.memory import MemoryHandler
from tests.notifications import CRITICAL
from tests.unit.consumers.journal import MemoryJournal, eventually
from tests.unit.consumers.notifying import ROUTES, SECOND, Scripted, critical, running, warning


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(notifier, "BREAK_SECONDS", 0.001)
    monkeypatch.setattr(waiting, "_TRY_AGAIN", 0.001)
    monkeypatch.setattr(following, "_SAVE_AFTER", 0.0)


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


class TestPlanning:
    async def test_each_severity_goes_where_its_routes_lead_and_a_handler_in_two_routes_is_told_once(
        self, journal: MemoryJournal
    ) -> None:
        mail, sms = Scripted(), Scripted()
        async with running(journal, mail=mail, sms=sms):
            journal.add(warning())
            await eventually(lambda: len(mail.sent) == 1)
            assert sms.sent == []
            journal.add(critical(2))
            await eventually(lambda: len(mail.sent) == 2 and len(sms.sent) == 1)
        assert journal.states() == [("mail", "sent")] * 2 + [("sms", "sent")]

    async def test_that_an_alert_is_over_is_not_told(self, journal: MemoryJournal) -> None:
        mail = Scripted()
        async with running(journal, mail=mail):
            journal.add(warning(state="cleared"), warning(2))
            await eventually(lambda: mail.sent)
        assert [one.alert_id for one in mail.sent] == ["alert-VB-1-2"]

    async def test_facts_that_nobody_is_told_of_only_move_the_cursor(self, journal: MemoryJournal) -> None:
        other = replace(warning(), fact=replace(warning().fact, type="BaselineLearned"))
        async with running(journal, routes=()):
            journal.add(other)
            await eventually(lambda: journal.cursors == {"notifier": 1})
        assert (journal.rows, journal.facts) == ({}, [])

    async def test_that_no_route_leads_anywhere_is_a_fact(self, journal: MemoryJournal) -> None:
        entry = warning()
        async with running(journal, routes=()):
            journal.add(entry)
            await eventually(lambda: journal.facts)
        (fact,) = journal.facts
        assert (fact.type, fact.causation_id, fact.data["reason"]) == (SUPPRESSED, entry.fact.id, "there are no routes")

    async def test_a_notification_says_all_that_is_known(self, journal: MemoryJournal) -> None:
        mail = Scripted()
        entry = critical(7)
        async with running(journal, mail=mail):
            journal.add(entry)
            await eventually(lambda: mail.sent)
        (said,) = mail.sent
        assert (said.kind, said.severity, said.alert_kind) == ("escalated", "critical", "machine")
        assert (said.sensor_id, said.site, said.area, said.machine) == ("VB-1", "plant-1", "hall-2", "pump-7")
        assert (said.level, said.baseline, said.ratio, said.unit) == (8.0, 4.0, 2.0, "m/s²")
        assert (said.reason, said.opened_ns) == (entry.fact.data["finding"], entry.fact.data["openedNs"])
        assert (said.gateway_id, said.page_url) == ("edge-1", f"http://x/#alert={said.alert_id}")

    async def test_a_handler_is_not_asked_to_tell_that_it_does_not_work(self, journal: MemoryJournal) -> None:
        mail, sms = Scripted(), Scripted()
        about_sms = critical()
        about_sms = replace(
            about_sms,
            fact=replace(about_sms.fact, data={**about_sms.fact.data, "kind": "gateway", "sensorId": "handler sms"}),
        )
        async with running(journal, mail=mail, sms=sms):
            journal.add(about_sms)
            await eventually(lambda: mail.sent)
            await eventually(lambda: journal.cursors)
        assert sms.sent == []

    async def test_a_full_disk_delays_planning_and_loses_nothing(self, journal: MemoryJournal) -> None:
        mail = Scripted()
        async with running(journal):
            journal.full = 1
            journal.add(warning())
            await eventually(lambda: journal.states() == [("mail", "pending")])
        async with running(journal, mail=mail):
            await eventually(lambda: journal.states() == [("mail", "sent")])
        assert len(mail.sent) == 1


class TestDelivering:
    async def test_success_is_settled_with_a_fact_that_leads_back_to_the_alert(self, journal: MemoryJournal) -> None:
        entry = warning()
        async with running(journal, mail=Scripted("250 queued as 7")) as told:
            journal.add(entry)
            await eventually(lambda: told == [("mail", "sent")])
        (row,) = journal.rows.values()
        (fact,) = journal.facts
        assert (row.state, row.said) == ("sent", "250 queued as 7")
        assert (fact.type, fact.causation_id, fact.correlation_id) == (SENT, entry.fact.id, "event-1")
        assert fact.data == {
            "alertId": "alert-VB-1-1",
            "notificationId": row.item.id,
            "handler": "mail",
            "kind": "raised",
            "attempts": 1,
            "said": "250 queued as 7",
        }

    @pytest.mark.parametrize(
        ("action", "state", "said"),
        [
            (DeliveryError("451 busy"), "pending", "451 busy"),
            (DeliveryError("closed", delivered_maybe=True), "uncertain", "closed"),
            (ValueError("a bug"), "pending", "ValueError: a bug"),
            (KeyError("key"), "pending", "KeyError: 'key'"),
            (asyncio.CancelledError(), "pending", "asyncio.exceptions.CancelledError"),
            (SystemExit(1), "pending", "SystemExit: 1"),
        ],
    )
    async def test_what_may_work_later_is_tried_again_with_the_same_id(
        self, journal: MemoryJournal, action: BaseException, state: str, said: str
    ) -> None:
        mail = Scripted(action, action)
        with capture_logs() as logs:
            async with running(journal, mail=mail) as told:
                journal.add(warning())
                await eventually(lambda: told == [("mail", state), ("mail", state), ("mail", "sent")])
        assert len({one.id for one in mail.sent}) == 1
        assert len(mail.sent) == 3
        assert [fact.data["attempts"] for fact in journal.facts] == [3]
        assert [entry["said"] for entry in logs if entry["event"] == "notification"] == [said, said, "ok"]

    @pytest.mark.parametrize(
        ("second", "state"),
        [(DeliveryError("refused"), "uncertain"), (DeliveryError("550 no such user", retry=False), "failed")],
    )
    async def test_what_may_have_gone_stays_uncertain_until_there_is_an_answer(
        self, journal: MemoryJournal, second: DeliveryError, state: str
    ) -> None:
        mail = Scripted(DeliveryError("closed", delivered_maybe=True), second)
        with capture_logs() as logs:
            async with running(journal, mail=mail) as told:
                journal.add(warning())
                await eventually(lambda: told[:2] == [("mail", "uncertain"), ("mail", state)])
        said = [entry["said"] for entry in logs if entry["event"] == "notification"][1]
        assert said == f"{second}; an earlier attempt may have reached its goal all the same"

    @pytest.mark.parametrize("action", [ValueError("a bug"), SystemExit(1), asyncio.CancelledError()])
    async def test_the_error_of_a_handler_is_logged_with_its_name(
        self, journal: MemoryJournal, action: BaseException
    ) -> None:
        with capture_logs() as logs:
            async with running(journal, mail=Scripted(action)) as told:
                journal.add(warning())
                await eventually(lambda: len(told) == 2)
        assert [
            entry["handler"] for entry in logs if entry["event"] == "a handler failed with a mistake of its own"
        ] == ["mail"]

    async def test_what_is_a_line_of_the_log_already_is_not_another_unless_it_fails(
        self, journal: MemoryJournal
    ) -> None:
        with capture_logs() as logs:
            async with running(journal, in_the_log={"mail"}, mail=Scripted(ValueError("a bug"))) as told:
                journal.add(warning())
                await eventually(lambda: told == [("mail", "pending"), ("mail", "sent")])
        assert [entry["outcome"] for entry in logs if entry["event"] == "notification"] == ["pending"]

    async def test_what_can_never_work_is_not_tried_again(self, journal: MemoryJournal) -> None:
        mail = Scripted(DeliveryError("550 no such user", retry=False))
        async with running(journal, mail=mail) as told:
            journal.add(warning())
            await eventually(lambda: told == [("mail", "failed")])
            journal.add(warning(2))
            await eventually(lambda: told == [("mail", "failed"), ("mail", "sent")])
        assert journal.states() == [("mail", "failed"), ("mail", "sent")]
        assert (journal.facts[0].type, journal.facts[0].data["said"]) == (FAILED, "550 no such user")

    async def test_one_that_never_answers_is_given_up_on_and_the_others_are_on_time(
        self, journal: MemoryJournal
    ) -> None:
        mail, sms = Scripted(asyncio.Event().wait), Scripted()
        async with running(journal, answer_within=0.05, mail=mail, sms=sms) as told:
            journal.add(critical())
            await eventually(lambda: sms.sent)
            await eventually(lambda: ("mail", "sent") in told)
        assert told == [("sms", "sent"), ("mail", "uncertain"), ("mail", "sent")]

    @pytest.mark.parametrize("junk", [None, 5, b"\xff", object(), ["x"], "\ud800", "x" * 100_000, "\x00\x1b[2J"])
    async def test_junk_for_an_answer_is_a_success_that_can_be_stored(
        self, journal: MemoryJournal, junk: object
    ) -> None:
        async with running(journal, mail=Scripted(junk)) as told:
            journal.add(warning())
            await eventually(lambda: told == [("mail", "sent")])
        (row,) = journal.rows.values()
        assert len(row.said.encode()) <= 1000

    async def test_an_error_with_words_that_cannot_be_stored_is_stored_without_them(
        self, journal: MemoryJournal
    ) -> None:
        class Evil(Exception):  # noqa: N818 - a third party names it as it likes
            def __str__(self) -> str:
                raise RuntimeError

        async with running(journal, mail=Scripted(DeliveryError("\udcff" * 5000), Evil())) as told:
            journal.add(warning())
            await eventually(lambda: told == [("mail", "pending")] * 2 + [("mail", "sent")])

    @pytest.mark.parametrize("ask", [float("inf"), float("nan"), 1e300, -1.0])
    async def test_a_pause_beyond_reason_is_not_granted(self, journal: MemoryJournal, ask: float) -> None:
        async with running(journal, mail=Scripted(DeliveryError("busy", retry_after=ask))) as told:
            journal.add(warning())
            await eventually(lambda: told)
        (row,) = journal.rows.values()
        assert row.due_ns <= time.time_ns() + 3600 * SECOND

    async def test_a_requested_pause_is_kept(self, journal: MemoryJournal) -> None:
        mail = Scripted(DeliveryError("busy", retry_after=120))
        async with running(journal, mail=mail) as told:
            journal.add(warning())
            await eventually(lambda: told == [("mail", "pending")])
            (row,) = journal.rows.values()
            assert row.due_ns == pytest.approx(time.time_ns() + 120 * SECOND, abs=10 * SECOND)

    async def test_pauses_double_up_to_five_minutes(
        self, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notifier, "_FIRST_PAUSE", 1.0)
        made = Notifier(journal, RouteTable(ROUTES), gateway_id="edge-1")
        item = OutboxItem("n1", "mail", 0, 0, "c1", "first", CRITICAL)
        await journal.plan("notifier", Planning(0, [item]), 1)
        taken = await journal.take("mail")
        assert taken is not None
        pauses = []
        for attempt in (1, 2, 3, 9, 10, 5000):
            busy = Scripted(DeliveryError("busy"))
            _, _, pause, _ = await made._send(replace(taken, attempts=attempt), busy, SECOND)  # noqa: SLF001 - its pause, without the wait
            pauses.append(pause)
        assert pauses == [pytest.approx(expected, rel=0.21) for expected in (1, 2, 4, 256, 300, 300)]

    async def test_after_a_day_and_some_attempts_it_is_given_up(
        self, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Age alone may be our clock's doing: it may have been set since."""
        monkeypatch.setattr(notifier, "EXPIRY_ATTEMPTS", 3)
        old = replace(warning(), recorded_ns=time.time_ns() - EXPIRY_NS - SECOND)
        async with running(journal, mail=Scripted(*[DeliveryError("down")] * 3)) as told:
            journal.add(old)
            await eventually(lambda: told[-1:] == [("mail", "failed")])
        assert told == [("mail", "pending"), ("mail", "pending"), ("mail", "failed")]
        assert journal.facts[0].data["said"] == "given up after a day: down"

    async def test_a_clock_that_goes_back_puts_nothing_off(
        self, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours = time.time_ns
        async with running(journal, mail=Scripted(DeliveryError("busy", retry_after=0.1))) as told:
            journal.add(warning())
            await eventually(lambda: told == [("mail", "pending")])
            monkeypatch.setattr(time, "time_ns", lambda: ours() - 3600 * SECOND)
            await eventually(lambda: told[-1] == ("mail", "sent"))

    async def test_a_clock_that_goes_back_before_the_wait_begins_puts_nothing_off_either(
        self, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours, settle = time.time_ns, journal.settle

        async def settle_and_set_back(*settled: Any) -> None:
            await settle(*settled)
            monkeypatch.setattr(time, "time_ns", lambda: ours() - 3600 * SECOND)

        monkeypatch.setattr(journal, "settle", settle_and_set_back)
        async with running(journal, mail=Scripted(DeliveryError("busy", retry_after=30.0))) as told:
            journal.add(warning())
            await eventually(lambda: told[-1:] == [("mail", "sent")])

    async def test_what_waits_is_tried_at_once_after_a_restart(self, journal: MemoryJournal) -> None:
        async with running(journal, mail=Scripted(DeliveryError("busy", retry_after=3600.0))) as told:
            journal.add(warning())
            await eventually(lambda: told == [("mail", "pending")])
        async with running(journal, mail=Scripted()) as told:
            await eventually(lambda: told == [("mail", "sent")])

    async def test_however_old_it_is_it_is_tried_once(self, journal: MemoryJournal) -> None:
        async with running(journal, mail=Scripted()) as told:
            journal.add(replace(warning(), recorded_ns=1))
            await eventually(lambda: told == [("mail", "sent")])

    async def test_a_full_disk_after_the_delivery_does_not_deliver_again(self, journal: MemoryJournal) -> None:
        async def fill() -> str:
            journal.full = 1
            return "ok"

        mail = Scripted(fill)
        async with running(journal, mail=mail) as told:
            journal.add(warning())
            await eventually(lambda: told == [("mail", "sent")])
        assert len(mail.sent) == 1
        assert journal.states() == [("mail", "sent")]


class TestRestarts:
    async def test_nothing_settled_is_sent_again(self, journal: MemoryJournal) -> None:
        mail, sms = MemoryHandler("mail", {}), MemoryHandler("sms", {})
        async with running(journal, mail=mail, sms=sms) as told:
            journal.add(critical())
            await eventually(lambda: len(told) == 2)
        journal.cursors.clear()  # and the cursor that led to them was lost
        journal.resume()
        async with running(journal, mail=mail, sms=sms) as told:
            journal.add(warning(2))
            await eventually(lambda: told == [("mail", "sent")])
        assert [len(handler.sent) for handler in (mail, sms)] == [2, 1]

    async def test_an_attempt_that_has_begun_comes_to_its_end_when_the_gateway_stops(
        self, journal: MemoryJournal
    ) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slowly() -> str:
            begun.set()
            await go.wait()
            return "ok"

        async with running(journal, mail=Scripted(slowly)):
            journal.add(warning())
            await begun.wait()
            asyncio.get_running_loop().call_later(0.05, go.set)
        assert journal.states() == [("mail", "sent")]

    async def test_one_that_does_not_end_is_left_uncertain_and_sent_again_with_the_same_id(
        self, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notifier, "_GRACE", 0.01)
        mail = Scripted(asyncio.Event().wait)
        async with running(journal, mail=mail):
            journal.add(warning())
            await eventually(lambda: mail.sent)
        assert journal.states() == [("mail", "sending")]
        journal.resume()
        async with running(journal, mail=mail) as told:
            await eventually(lambda: told == [("mail", "sent")])
        assert len({one.id for one in mail.sent}) == 1


class TestTheCircuit:
    async def test_what_only_a_person_can_mend_is_reported_at_once_and_is_well_after_a_success(
        self, journal: MemoryJournal
    ) -> None:
        reports: list[tuple[str, str | None]] = []

        async def report(subject: str, problem: str | None) -> None:
            reports.append((subject, problem))

        made = Notifier(journal, RouteTable(ROUTES), gateway_id="edge-1", report=report)
        mail = Scripted(DeliveryError("its process has ended", needs_person=True))
        journal.add(warning())
        tasks = [asyncio.create_task(made.plan(journal)), asyncio.create_task(made.deliver("mail", mail, SECOND))]
        await eventually(lambda: reports and reports[-1][1] is None)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert reports == [("handler mail", "its process has ended"), ("handler mail", None)]

    async def test_after_some_failures_in_a_row_it_is_reported_and_after_a_success_it_is_well(
        self, journal: MemoryJournal
    ) -> None:
        reports: list[tuple[str, str | None]] = []

        async def report(subject: str, problem: str | None) -> None:
            reports.append((subject, problem))

        made = Notifier(journal, RouteTable(ROUTES), gateway_id="edge-1", report=report)
        mail = Scripted(*[DeliveryError("down")] * (BREAK_AFTER + 2))
        journal.add(warning())
        tasks = [asyncio.create_task(made.plan(journal)), asyncio.create_task(made.deliver("mail", mail, SECOND))]
        await eventually(lambda: journal.states() == [("mail", "sent")])
        await eventually(lambda: reports and reports[-1][1] is None)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert [subject for subject, _ in reports] == ["handler mail"] * 2
        assert reports[0][1] == f"{BREAK_AFTER} attempts in a row have failed, the last with: down"
