"""The writing side: one transaction or nothing, and the outbox."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.alerting.alert import Alert
from gateway.domain.engine.event_log import LogSlice
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.model import Notification
from gateway.domain.notification.outbox import OutboxItem, OutboxState, Outcome, Planning
from gateway.domain.notification.silences import Silence
from gateway.errors import JournalUnavailableError
from gateway.journal import FILE_NAME, Journal, Outbox, Reader, Stream
from gateway.journal.log import recent_rows as tail
from gateway.journal.outbox.rows import Messages
from tests.notifications import CRITICAL
from tests.readings import NOON_NS, SECOND, TEMPLATE, Plant, event, message, plant, reading, topic_of


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.fixture
def journal(here: Plant) -> Journal:
    return here.journal


def item(number: int = 1, handler: str = "mail", *, created_ns: int = 0) -> OutboxItem:
    notification = msgspec.structs.replace(CRITICAL, id=f"n{number}")
    return OutboxItem(f"n{number}", handler, 0, created_ns, f"fact-{number}", "first", notification)


def fact(number: int) -> DomainEvent:
    return DomainEvent(f"fact-{number}", "NotificationSent", number, "VB-1", "first", "cause", {"n": number})


def outcomes(here: Plant) -> list[tuple[str, str, int]]:
    with here.reader() as reader:
        return reader.outbox_counts()


async def test_what_ends_an_iteration_is_an_error_and_no_endless_wait(journal: Journal) -> None:
    with pytest.raises(RuntimeError, match="iteration"):
        await asyncio.wait_for(journal.call(next, iter(())), 5)


def test_a_cursor_never_goes_back(journal: Journal) -> None:
    """Who is stopped while a transaction moves the cursor saves an older place after it."""
    journal.move_cursor("notifier", 25)
    journal.move_cursor("notifier", 10)
    assert journal.cursor("notifier") == 25


class TestTransactions:
    def test_a_batch_is_written_whole_or_not_at_all(self, here: Plant, journal: Journal) -> None:
        batch = here.take(reading(0), message(b"{"))
        before, next_seq = here.contents(), journal.next_seq
        again = UnitOfWork(next_seq=next_seq)
        again.facts = [(again.take_seq(), fact(1))]
        again.readings = batch.readings
        with pytest.raises(sqlite3.IntegrityError):
            journal.write(again)
        assert (here.contents(), journal.next_seq) == (before, next_seq)
        assert len(here.take(reading(1)).readings) == 1

    @pytest.mark.parametrize("count", [1, 49, 50, 51, 123])
    def test_as_many_readings_as_there_are(self, here: Plant, count: int) -> None:
        batch = here.take(*(reading(second, 4.0 + second) for second in range(count)))
        with here.reader() as reader:
            found = reader.step(0, 1000).readings
        assert [(each.seq, each.level, each.body) for each in found] == [
            (row[0], 4.0 + second, row[-1]) for second, row in enumerate(batch.readings)
        ]
        assert len(found) == count

    def test_a_journal_that_cannot_be_written_says_so_and_has_written_nothing(
        self, here: Plant, journal: Journal
    ) -> None:
        """Another program holds the write lock, as a full disk would hold it up."""
        database = journal._db  # noqa: SLF001 - to wait less long
        database.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(here.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailableError) as caught:
            here.take(reading(0))
        assert caught.value.retry
        other.execute("ROLLBACK")
        other.close()
        assert here.take(reading(0)).duplicates == 0
        assert len(here.contents()["readings"]) == 1

    def test_the_sequence_goes_on_after_a_restart(self, here: Plant) -> None:
        here.take(reading(0), message(b"{"))
        here.journal.move_cursor("influx", 1)
        here.journal.close()
        here.journal = Journal(here.path)
        assert here.journal.next_seq == 3

    @pytest.mark.parametrize("known_by", ["a cursor", "the snapshot"])
    def test_the_sequence_goes_on_even_where_the_newest_rows_are_gone(self, here: Plant, known_by: str) -> None:
        """A consumer that has had number 20 would never look at a reading with a smaller one."""
        here.take(*(reading(second) for second in range(20)))
        if known_by == "a cursor":
            here.journal.move_cursor("influx", 20)
        else:
            here.pipeline.snapshot()
        assert here.journal.trim("trim_readings", 20, 100, NOON_NS * 2) == 20
        here.journal.close()
        here.journal = Journal(here.path)
        assert here.journal.next_seq == 21
        with here.reader() as reader:
            assert reader.step(20, 10).until == 20

    def test_a_note_is_kept(self, journal: Journal) -> None:
        assert journal.note("x") is None
        journal.write_note("x", "1")
        journal.write_note("x", "2")
        assert journal.note("x") == "2"

    def test_cursors_start_at_nothing(self, journal: Journal) -> None:
        assert journal.cursor("influx") == 0
        journal.move_cursor("influx", 7)
        assert (journal.cursor("influx"), journal.cursor("other")) == (7, 0)

    def test_alerts_are_changed_in_place(self, here: Plant, journal: Journal) -> None:
        alert = Alert("a1", "machine", "VB-1", "warning", "active", 5, "why", "event-1")
        journal.write(UnitOfWork(next_seq=1, alerts={"a1": alert}))
        assert journal.open_alerts() == [alert]
        cleared = msgspec.structs.replace(alert, state="cleared", cleared_ns=9)
        journal.write(UnitOfWork(next_seq=1, alerts={"a1": cleared}))
        assert journal.open_alerts() == []
        with here.reader() as reader:
            assert reader.alerts(everything=True) == [cleared]


class TestTheOutbox:
    def test_a_notification_is_taken_once_and_its_attempts_are_counted(self, journal: Journal) -> None:
        Messages(journal).enqueue(Planning(0, [item()]), "notifier", 5)
        assert journal.cursor("notifier") == 5
        first = Messages(journal).take("mail", 10)
        assert first is not None
        assert (first.id, first.attempts, first.notification.sensor_id) == ("n1", 1, CRITICAL.sensor_id)
        assert Messages(journal).take("mail", 10) is None
        Messages(journal).settle(item(), Outcome("pending", 11, 20, "busy"), [])
        assert Messages(journal).take("mail", 19) is None
        second = Messages(journal).take("mail", 20)
        assert second is not None
        assert (second.id, second.attempts) == ("n1", 2)

    def test_planning_the_same_again_does_not_send_it_again(self, here: Plant, journal: Journal) -> None:
        Messages(journal).enqueue(Planning(0, [item()]), "notifier", 5)
        assert Messages(journal).take("mail", 10)
        Messages(journal).settle(item(), Outcome("sent", 11, 11, "ok"), [])
        Messages(journal).enqueue(Planning(0, [item(), item(2)]), "notifier", 6)
        assert outcomes(here) == [("mail", "pending", 1), ("mail", "sent", 1)]

    def test_the_one_that_is_due_first_comes_first_and_each_handler_has_its_own(self, journal: Journal) -> None:
        Messages(journal).enqueue(
            Planning(0, [item(1, created_ns=9), item(2, created_ns=3), item(3, "sms", created_ns=1)]), "notifier", 1
        )
        assert Messages(journal).next_due("mail") == 3
        taken = [Messages(journal).take("mail", 10) for _ in range(3)]
        assert [one and one.id for one in taken] == ["n2", "n1", None]
        assert (
            Messages(journal).next_due("mail"),
            Messages(journal).next_due("sms"),
            Messages(journal).next_due("log"),
        ) == (None, 1, None)

    @pytest.mark.parametrize("state", ["sent", "failed"])
    def test_what_is_settled_is_never_taken_again(self, journal: Journal, state: OutboxState) -> None:
        Messages(journal).enqueue(Planning(0, [item()]), "notifier", 1)
        Messages(journal).take("mail", 10)
        Messages(journal).settle(item(), Outcome(state, 11, 11, "said"), [fact(1)])
        assert Messages(journal).resume(["mail"], 0) == 0
        assert Messages(journal).take("mail", 2**62) is None
        assert Messages(journal).next_due("mail") is None

    def test_what_was_being_sent_when_the_gateway_ended_is_uncertain_and_sent_again(
        self, here: Plant, journal: Journal
    ) -> None:
        Messages(journal).enqueue(Planning(0, [item(1), item(2)]), "notifier", 1)
        Messages(journal).take("mail", 10)
        assert Messages(journal).resume(["mail"], 0) == 1
        assert outcomes(here) == [("mail", "pending", 1), ("mail", "uncertain", 1)]
        taken = [Messages(journal).take("mail", 10), Messages(journal).take("mail", 10)]
        assert {(one.id, one.attempts) for one in taken if one} == {("n1", 2), ("n2", 1)}

    def test_an_attempt_knows_that_an_earlier_one_may_have_reached_somebody(self, journal: Journal) -> None:
        Messages(journal).enqueue(Planning(0, [item()]), "notifier", 1)
        first = Messages(journal).take("mail", 10)
        Messages(journal).settle(item(), Outcome("uncertain", 11, 11, "no answer"), [])
        second = Messages(journal).take("mail", 12)
        assert [one.is_uncertain for one in (first, second) if one] == [False, True]

    def test_what_is_for_a_handler_that_is_gone_has_failed(self, here: Plant, journal: Journal) -> None:
        Messages(journal).enqueue(Planning(0, [item(1), item(2, "sms")]), "notifier", 1)
        assert Messages(journal).resume(["mail"], 0) == 0
        assert outcomes(here) == [("mail", "pending", 1), ("sms", "failed", 1)]

    def test_settling_writes_the_facts_that_say_so(self, here: Plant, journal: Journal) -> None:
        here.take(reading(0))
        Messages(journal).enqueue(Planning(0, [item()]), "notifier", 1)
        Messages(journal).take("mail", 10)
        Messages(journal).settle(item(), Outcome("sent", 11, 11, "250 ok"), [fact(1), fact(2)])
        assert here.contents()["facts"] == [(2, fact(1)), (3, fact(2))]
        assert journal.next_seq == 4
        with here.reader() as reader:
            assert reader.outbox_of("fact-1") == [("mail", "sent", 1, "250 ok")]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where in the file it was looked for what follows."""
    looked: list[int] = []
    original = Reader.step

    def step(reader: Reader, after: int, limit: int, **more: Any) -> LogSlice:
        looked.append(after)
        return original(reader, after, limit, **more)

    monkeypatch.setattr(Reader, "step", step)
    return looked


class TestFromTheEventLoop:
    async def test_who_wants_facts_does_not_look_where_there_are_none(self, here: Plant, looked: list[int]) -> None:
        for levels, after, facts in (([4.0] * 3, 0, 0), ([8.0] * 3, 3, 1), ([8.0] * 2, 7, 0)):
            batch = here.take(*(reading(after + second, level) for second, level in enumerate(levels)))
            with closing(Stream(here.journal, here.path)) as late:
                found = await late.step(after, 100, readings=False)
                assert (found.until, len(found.entries)) == (batch.next_seq - 1, facts)
        assert looked == [3]

    async def test_who_keeps_up_looks_into_the_file_for_nothing(self, here: Plant, looked: list[int]) -> None:
        """Whoever has written it: between two batches the outbox writes, and so do people."""
        with closing(Stream(here.journal, here.path)) as stream:
            here.take(reading(0), reading(1))
            stream.announce()
            await stream.step(0, 100, readings=True)
            assert looked == [0]  # of that sensor nobody had heard
            silence = Silence("s1", Matchers(), "vb", "x", NOON_NS, NOON_NS + SECOND)
            Messages(here.journal).write_silence(silence, fact(1), NOON_NS)
            Messages(here.journal).enqueue(Planning(NOON_NS, [item()], facts=[fact(2)]), "notifier", 1)
            here.take(reading(2))
            Messages(here.journal).settle(item(), Outcome("sent", NOON_NS, 0, ""), [fact(3), fact(4)])
            here.take(reading(3, 8.0), reading(4, 8.0), reading(5, 8.0))
            stream.announce()
            found = await stream.step(2, 100, readings=True)
            assert looked == [0]
            with here.reader() as reader:
                assert found == reader.step(2, 100)
            assert (len(found.readings), len(found.entries)) == (4, 5)

    async def test_what_is_replayed_counts_by_its_size(
        self, here: Plant, looked: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Dead letters may be as large as a broker lets them be, and they are replayed faster than they came."""
        monkeypatch.setattr(tail, "MAX_BYTES", 50_000)
        here.templates = TopicTemplates(["elsewhere"])
        here.crash()
        here.take(*(message(event(second, note="x" * 20_000)) for second in range(4)))
        here.templates = TopicTemplates([TEMPLATE])
        here.crash()
        here.take(reading(9))
        with closing(Stream(here.journal, here.path)) as stream:
            await stream.read(Reader.place, "VB-1")
            assert here.pipeline.replay(here.journal.dead_letters([]), NOON_NS) == [1, 2, 3, 4]
            stream.announce()
            found = await stream.step(5, 100, readings=True)
            assert (len(found.readings), looked) == (4, [5])

    async def test_a_place_is_in_memory_once(self, here: Plant, looked: list[int]) -> None:
        """Though the registry, the topics and whoever follows know it: a plant may have a hundred thousand."""
        here.take(reading(0))
        here.crash()
        with closing(Stream(here.journal, here.path)) as stream:
            stream.know(here.pipeline.sensors)
            here.take(reading(1))
            stream.announce()
            (found,) = (await stream.step(1, 10, readings=True)).readings
            (sensor,) = here.pipeline.sensors
            assert found.tags is sensor.tags is here.templates.match(reading(1).topic)
            assert looked == []
            here.take(message(event(2), topic=topic_of(machine="pump-8")))
            stream.announce()
            (moved,) = (await stream.step(2, 10, readings=True)).readings
            assert (found.tags["machine"], moved.tags["machine"]) == ("pump-7", "pump-8")

    async def test_the_outbox_and_the_stream_work_together(self, here: Plant) -> None:
        stream = Stream(here.journal, here.path)
        outbox = Outbox(here.journal, stream)
        try:
            waiting = asyncio.ensure_future(stream.wait(0))
            await here.journal.call(here.take, *(reading(second, 8.0) for second in range(3)))
            assert not waiting.done()
            stream.announce()
            await asyncio.wait_for(waiting, 5)
            (entry,) = (await stream.step(0, 10, readings=False)).entries
            message = OutboxItem(
                CRITICAL.id, "mail", 0, entry.recorded_ns, entry.fact.id, entry.fact.correlation_id, CRITICAL
            )
            await outbox.plan("notifier", Planning(0, [message]), entry.seq)
            assert await stream.cursor("notifier") == entry.seq
            assert await outbox.next_due("mail") == entry.recorded_ns
            taken = await outbox.take("mail")
            assert taken is not None
            assert (taken.cause, taken.correlation, taken.created_ns) == (entry.fact.id, "VB-1@2", entry.recorded_ns)
            await outbox.settle(taken, "sent", 0, "ok", [fact(1)])
            assert stream.last_seq == entry.seq + 1
            await stream.move_cursor("notifier", stream.last_seq)
            assert await stream.read(Reader.cursors) == {"notifier": stream.last_seq}
        finally:
            stream.close()

    async def test_numbers_that_a_replay_left_unused_are_stepped_over(self, here: Plant) -> None:
        """Else who follows the readings would ask again and again until the next row is written."""
        here.take(message(b"{"))
        stream = Stream(here.journal, here.path)
        try:
            assert here.pipeline.replay(here.journal.dead_letters([]), NOON_NS) == []
            stream.announce()
            assert stream.last_seq == 2
            assert (await stream.step(1, 100, readings=True)).until == 2
        finally:
            stream.close()

    async def test_what_is_announced_twice_wakes_nobody(self, here: Plant) -> None:
        here.take(reading(0), reading(1))
        stream = Stream(here.journal, here.path)
        try:
            assert stream.last_seq == 2
            stream.announce()
            assert stream.last_seq == 2
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await stream.wait(2)
        finally:
            stream.close()


def test_a_notification_without_texts_survives(tmp_path: Path) -> None:
    bare = Notification("n1", "raised", "a", "machine", "warning", "VB-1", "", 0, 0, "edge-1")
    with plant(tmp_path) as here:
        Messages(here.journal).enqueue(Planning(0, [OutboxItem("n1", "mail", 0, 0, "c", "c", bare)]), "notifier", 1)
        taken = Messages(here.journal).take("mail", 0)
        assert taken is not None
        assert taken.notification == bare
    assert (tmp_path / FILE_NAME).exists()
