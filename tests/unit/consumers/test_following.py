import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from gateway.api import ConsumerContext, DeliveryError, Refused, Taken, Wants
from gateway.consumers import cursor as place
from gateway.consumers import handover, runner
from gateway.consumers.cursor import watch
from gateway.consumers.handover import Handover, Refusal, Rows
from gateway.consumers.runner import Follower, Runner
from gateway.domain.engine.event_log import EventRecord, LogSlice, StoredReading
from gateway.errors import JournalError, JournalUnavailableError
from tests.plant import alert_entry, alert_of, stored
from tests.unit.consumers.journal import MemoryJournal, eventually


class Consumer:
    """Remembers what it was handed. It raises `failures`, one at each call, before it takes anything."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0
        self.seen: list[int] = []

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        self.seen += sorted([reading.seq for reading in readings] + [entry.seq for entry in entries])


class Full(Consumer):
    """One that says what it wants, and is started and closed; `failures` of the start come first."""

    def __init__(self, wants: Wants, *failures: Exception, start: Sequence[BaseException] = ()) -> None:
        super().__init__(*failures)
        self.wants = wants
        self.start_failures = list(start)
        self.life: list[str] = []

    async def start(self, context: ConsumerContext) -> None:
        if self.start_failures:
            raise self.start_failures.pop(0)
        self.life.append(f"started by {context.gateway_id}")

    async def close(self) -> None:
        self.life.append("closed")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(handover, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(place, "_SAVE_AFTER", 0.0)
    monkeypatch.setattr(runner, "_LOOK_EVERY", 0.001)


@pytest.fixture
def journal() -> MemoryJournal:
    made = MemoryJournal()
    made.add(stored(second=0), alert_entry(alert_of()), stored(second=1))
    return made


class Told:
    """An account that remembers."""

    def __init__(self) -> None:
        self.rows = self.failures = self.left_out = 0
        self.refused: list[tuple[int, str]] = []
        self.reports: list[str | None] = []
        self.full = 0

    def taken(self, rows: int) -> None:
        self.rows += rows

    def skipped(self, rows: int) -> None:
        self.left_out += rows

    def failed(self) -> None:
        self.failures += 1

    async def refuse(self, refusals: Sequence[Refusal]) -> None:
        if self.full:
            self.full -= 1
            raise JournalUnavailableError("database or disk is full")
        self.refused += [(row.seq, reason) for row, reason in refusals]

    async def report(self, problem: str | None) -> None:
        self.reports.append(problem)


def followed(consumer: Any, journal: MemoryJournal, told: Told | None = None, *, is_foreign: bool = False) -> Any:
    """Let a consumer follow; leave it stopped, as an orderly end of the gateway does."""
    one = Follower("influx", consumer, "influxdb", is_foreign=is_foreign)
    return running(Runner(one, journal, told or Told()))


@asynccontextmanager
async def running(made: Runner) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(made.run(ConsumerContext("edge-1")))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_everything_is_handed_over_once_and_the_place_is_kept(journal: MemoryJournal) -> None:
    consumer = Consumer()
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == [1, 2, 3])
        journal.add(stored(second=2))
        await eventually(lambda: consumer.seen == [1, 2, 3, 4])
    assert journal.cursors == {"influx": 4}
    async with followed(consumer, journal):
        journal.add(stored(second=3))
        await eventually(lambda: consumer.seen == [1, 2, 3, 4, 5])


async def test_what_somebody_elses_consumer_does_with_a_place_is_its_own_affair(journal: MemoryJournal) -> None:
    class Careless(Consumer):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
            await super().consume(readings, entries)
            for reading in readings:
                reading.tags.clear()
            readings.clear()  # type: ignore[attr-defined] # it is a list, which the contract does not promise
            entries.clear()  # type: ignore[attr-defined] # as above
            if self.calls == 1:
                raise OSError("and then it is handed the same again")

    careless = Careless()
    before = [{**each.tags} for each in (await journal.step(0, 10, readings=True)).readings]
    async with followed(careless, journal, is_foreign=True):
        await eventually(lambda: careless.seen == [1, 2, 3, 1, 2, 3])
    assert [each.tags for each in (await journal.step(0, 10, readings=True)).readings] == before != [{}, {}]


async def test_who_wants_facts_only_gets_facts_only(journal: MemoryJournal) -> None:
    consumer = Full(Wants(readings=False))
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == [2])
        await eventually(lambda: journal.cursors == {"influx": 3})


async def test_one_that_keeps_up_is_handed_something_so_often_at_most(journal: MemoryJournal) -> None:
    consumer = Full(Wants(every=3600))
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == [1, 2, 3])
        journal.add(stored(second=2))
        for _ in range(10):
            await asyncio.sleep(0)
        assert consumer.calls == 1
    assert journal.cursors == {"influx": 3}


async def test_a_long_journal_comes_in_steps(journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "STEP_SIZE", 2)
    consumer = Consumer()
    journal.add(*(stored(second=second) for second in range(10)))
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == list(range(1, 14)))
    assert consumer.calls == 7


@pytest.mark.parametrize("is_waiting", [True, False])
async def test_one_that_is_sent_back_is_handed_the_same_again(journal: MemoryJournal, *, is_waiting: bool) -> None:
    class Slow(Consumer):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
            await super().consume(readings, entries)
            if not is_waiting:
                await go_on.wait()

    go_on, consumer = asyncio.Event(), Slow()
    made = Runner(Follower("influx", consumer), journal, Told())
    async with running(made):
        await eventually(
            lambda: consumer.seen == [1, 2, 3] and journal.cursors.get("influx") == (3 if is_waiting else 0)
        )
        made.send_back(1 if is_waiting else -1)
        made.send_back(2)  # it is to have that anyway
        go_on.set()
        await eventually(lambda: len(consumer.seen) > 4)
    assert consumer.seen == ([1, 2, 3, 2, 3] if is_waiting else [1, 2, 3, 1, 2, 3])


async def test_one_that_refuses_most_is_told_of_until_it_takes_them_again(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky(Consumer):
        refuses = True

        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:  # type: ignore[override] # that one returns nothing
            await super().consume(readings, entries)
            return Taken([Refused(one.seq, "field type conflict") for one in readings] if self.refuses else [], 0)

    monkeypatch.setattr(runner, "_LOOK_EVERY", 0.001)
    picky, told = Picky(), Told()
    journal.add(*(stored(second=second) for second in range(30)))
    async with followed(picky, journal, told):
        await eventually(lambda: told.reports and told.reports[-1] is not None)
        assert told.reports[-1] == (
            "it refuses most of what it is handed, which is kept as dead letters: field type conflict"
        )
        picky.refuses = False
        journal.add(*(stored(second=second) for second in range(30, 90)))
        await eventually(lambda: told.reports[-1] is None)
    assert len(told.refused) == 32


async def test_who_asks_for_a_long_pause_is_told_of_as_well(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(Consumer):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
            await super().consume(readings, entries)
            raise DeliveryError("HTTP 429", retry_after=1e9)

    monkeypatch.setattr(runner, "_LOOK_EVERY", 0.001)
    monkeypatch.setattr(runner, "_TELL_AFTER", 0.05)
    told = Told()
    async with followed(Busy(), journal, told):
        await eventually(lambda: told.reports and told.reports[-1] == "HTTP 429")
    assert told.failures == 1


async def test_what_a_consumer_leaves_out_is_counted_and_is_no_dead_letter(journal: MemoryJournal) -> None:
    class Forgetful(Consumer):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:  # type: ignore[override] # that one returns nothing
            await super().consume(readings, entries)
            return Taken(skipped=2)

    forgetful, told = Forgetful(), Told()
    async with followed(forgetful, journal, told):
        await eventually(lambda: forgetful.seen == [1, 2, 3] and told.left_out)
    assert (told.rows, told.left_out, told.refused) == (1, 2, [])


async def test_after_a_failure_the_same_comes_again_and_the_place_stays(journal: MemoryJournal) -> None:
    consumer = Consumer()
    with capture_logs() as logs:
        async with followed(consumer, journal):
            consumer.failures = [DeliveryError("down"), JournalUnavailableError("full")] * 1000
            await eventually(lambda: consumer.calls > 3)
            assert (consumer.seen, journal.cursors) == ([], {"influx": 0})
            consumer.failures = []
            await eventually(lambda: consumer.seen == [1, 2, 3])
    assert [entry["event"] for entry in logs] == [
        "a consumer cannot deliver; trying again",
        "a consumer delivers again",
    ]
    assert journal.cursors == {"influx": 3}


async def test_pauses_grow_and_what_the_other_side_asks_for_is_honoured_within_reason(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    asks = [None, None, 120.0, 1e-9, float("inf"), float("nan")]
    monkeypatch.setattr(handover, "_FIRST_PAUSE", 1.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    step = await journal.step(0, 9, readings=True)
    busy = Consumer(*(DeliveryError("busy", retry_after=ask) for ask in asks))
    await Handover("influx", busy, Told()).hand_over(Rows(step.readings, step.entries))
    assert pauses == [
        pytest.approx(1, rel=0.21),
        pytest.approx(2, rel=0.21),
        120,
        pytest.approx(8, rel=0.21),
        3600,
        pytest.approx(30, rel=0.21),
    ]


@pytest.mark.parametrize(
    "mistake",
    [
        KeyError("a consumer's own mistake"),
        DeliveryError("busy", retry_after="60"),  # type: ignore[arg-type] # as foreign code does
        DeliveryError("refused", retry=False, rows=["2", None]),  # type: ignore[list-item] # as above
    ],
    ids=repr,
)
async def test_a_consumers_own_mistake_does_not_end_it(journal: MemoryJournal, mistake: Exception) -> None:
    consumer = Consumer(mistake)
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen != [])


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), JournalError("its own")], ids=repr)
async def test_what_would_end_the_gateway_ends_nothing(journal: MemoryJournal, error: BaseException) -> None:
    class Leaving(Consumer):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
            await super().consume(readings, entries)
            if self.calls == 1:
                raise error

    consumer, told = Leaving(), Told()
    async with followed(consumer, journal, told, is_foreign=True) as task:
        await eventually(lambda: journal.cursors == {"influx": 3})
    assert (consumer.seen, told.failures) == ([1, 2, 3, 1, 2, 3], 1)
    assert task.cancelled()


class LastError(BaseException):
    """Of a library that does not keep to Exception."""


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), KeyboardInterrupt(), LastError()], ids=repr)
async def test_neither_does_what_a_start_and_an_end_raise(journal: MemoryJournal, error: BaseException) -> None:
    class Leaving(Full):
        async def close(self) -> None:
            await super().close()
            raise error

    consumer, told = Leaving(Wants(), start=[error]), Told()
    async with followed(consumer, journal, told, is_foreign=True) as task:
        await eventually(lambda: journal.cursors == {"influx": 3})
    assert (consumer.life, told.failures) == (["started by edge-1", "closed"], 1)
    assert task.cancelled()


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class SilentRefusalError(DeliveryError):
    __str__ = SilentError.__str__


async def test_neither_does_an_exception_that_cannot_say_what_it_is(journal: MemoryJournal) -> None:
    consumer, told = Consumer(SilentError(), SilentRefusalError("", retry=False, rows=[1])), Told()
    async with followed(consumer, journal, told, is_foreign=True) as task:
        await eventually(lambda: journal.cursors == {"influx": 3})
    assert [reason for _, reason in told.refused] == ["SilentRefusalError, which does not say why"]
    assert task.cancelled()


async def test_a_damaged_journal_ends_it_with_the_place_where_it_was(journal: MemoryJournal) -> None:
    error = JournalError("damaged")
    consumer = Consumer(error)
    async with followed(consumer, journal) as task:
        await asyncio.wait([task], timeout=5)
        failure = task.exception()
        assert isinstance(failure, ExceptionGroup)
        assert failure.exceptions == (error,)
    assert journal.cursors == {"influx": 0}


async def test_the_place_is_not_saved_at_every_step_but_at_the_end(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_SAVE_AFTER", 3600.0)
    consumer = Consumer()
    async with followed(consumer, journal):
        for second in range(5):
            journal.add(stored(second=second))
            await eventually(lambda: len(consumer.seen) == journal.last_seq)
        assert journal.saves == [0]
    assert journal.saves == [0, 8]


async def test_while_nothing_new_comes_the_place_is_saved_after_a_while(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_SAVE_AFTER", 0.02)
    consumer = Consumer()
    async with followed(consumer, journal):
        await eventually(lambda: journal.saves == [0, 3])
    assert journal.saves == [0, 3]


async def test_a_place_that_cannot_be_saved_is_saved_later(journal: MemoryJournal) -> None:
    journal.full = 1
    consumer = Consumer()
    with capture_logs() as logs:
        async with followed(consumer, journal):
            await eventually(lambda: consumer.seen == [1, 2, 3])
            journal.add(stored(second=2))
            await eventually(lambda: journal.cursors == {"influx": 4})
    assert "could not be saved" in logs[0]["event"]


async def test_a_watcher_starts_where_it_is_told_and_keeps_nothing(journal: MemoryJournal) -> None:
    consumer = Consumer()
    task = asyncio.create_task(watch(consumer, journal, 3))
    journal.add(stored(second=2), stored(second=3))
    await eventually(lambda: consumer.seen == [4, 5])
    task.cancel()
    await asyncio.wait([task])
    assert journal.cursors == {}


class Unreadable(MemoryJournal):
    """One that cannot be read at the first two attempts."""

    failures = 2

    async def step(self, after: int, limit: int, *, readings: bool) -> LogSlice:
        if self.failures:
            self.failures -= 1
            raise JournalUnavailableError("the journal cannot be read: disk I/O error")
        return await super().step(after, limit, readings=readings)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_journal_that_cannot_be_read_right_now_is_read_later(*, kept: bool) -> None:
    journal, consumer = Unreadable(), Consumer()
    journal.add(stored(second=0))
    made = Runner(Follower("influx", consumer), journal, Told())
    task = asyncio.create_task(made.run(ConsumerContext()) if kept else watch(consumer, journal, 0))
    await eventually(lambda: consumer.seen == [1])
    task.cancel()
    await asyncio.wait([task])


class Picky(Consumer):
    """Refuses what is in `poison` for good. It names the rows it refuses in the way that `how` says."""

    def __init__(self, how: str, poison: set[int]) -> None:
        super().__init__()
        self.how, self.poison = how, poison
        self.handed: list[int] = []

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
        self.calls += 1
        self.handed = sorted([reading.seq for reading in readings] + [entry.seq for entry in entries])
        found = self.poison.intersection(self.handed)
        if found and self.how != "returns":
            rows = found if self.how == "names" else ()
            raise DeliveryError("it has horns", retry=False, rows=rows)
        self.seen += [seq for seq in self.handed if seq not in found]
        return Taken([Refused(seq, "it has horns") for seq in sorted(found)])


HOW = ["returns", "names", "says only that something is wrong"]


@pytest.mark.parametrize("how", HOW)
async def test_a_row_that_is_refused_costs_only_itself(journal: MemoryJournal, how: str) -> None:
    journal.add(*(stored(second=second) for second in range(500)))
    consumer, told = Picky(how, {2, 77, 503}), Told()
    async with followed(consumer, journal, told):
        await eventually(lambda: journal.cursors == {"influx": 503})
    assert sorted(told.refused) == [(2, "it has horns"), (77, "it has horns"), (503, "it has horns")]
    assert consumer.seen == [seq for seq in range(1, 504) if seq not in {2, 77, 503}]
    assert told.rows == 500


@given(st.sets(st.integers(1, 60)), st.sampled_from(HOW))
async def test_every_row_is_taken_once_or_is_a_dead_letter_once(poison: set[int], how: str) -> None:
    rows = Rows([replace(stored(second=second), seq=second + 1) for second in range(60)], [])
    consumer, told = Picky(how, poison), Told()
    await Handover("influx", consumer, told).hand_over(rows)
    assert sorted([*consumer.seen, *(seq for seq, _ in told.refused)]) == list(range(1, 61))
    assert {seq for seq, _ in told.refused} == poison


async def test_one_that_refuses_everything_is_not_searched_for_ever() -> None:
    everything = set(range(1, 5001))
    consumer, told = Picky("says only that something is wrong", everything), Told()
    rows = Rows([replace(stored(), seq=seq) for seq in sorted(everything)], [])
    await Handover("influx", consumer, told).hand_over(rows)
    assert {seq for seq, _ in told.refused} == everything
    assert consumer.calls <= 2 * handover.MOST_SEARCHES + 1


async def test_an_outage_in_the_middle_of_a_search_loses_nothing(journal: MemoryJournal) -> None:
    class Flaky(Picky):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
            if self.calls % 3 == 1:
                self.calls += 1
                raise DeliveryError("away")
            return await super().consume(readings, entries)

    journal.add(*(stored(second=second) for second in range(20)))
    consumer, told = Flaky(HOW[2], {5, 6}), Told()
    async with followed(consumer, journal, told):
        await eventually(lambda: journal.cursors == {"influx": 23})
    assert sorted(consumer.seen) == [seq for seq in range(1, 24) if seq not in {5, 6}]
    assert sorted(seq for seq, _ in told.refused) == [5, 6]


async def test_what_is_refused_waits_for_room_on_the_disk_with_the_place_where_it_was(journal: MemoryJournal) -> None:
    consumer, told = Picky("returns", {2}), Told()
    told.full = 3
    async with followed(consumer, journal, told):
        await eventually(lambda: told.full < 3)
        await eventually(lambda: journal.cursors == {"influx": 3})
    assert (told.refused, consumer.calls) == ([(2, "it has horns")], 1)


JUNK: list[Any] = [
    0,
    [2],
    "taken",
    [Refused(2, "in a list of its own")],
    Taken([Refused(99, "never handed over")]),
    Taken([2, None]),  # type: ignore[list-item] # as foreign code does
    Taken([Refused("2", "a text"), Refused(2, None)]),  # type: ignore[arg-type] # as foreign code does
]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
async def test_whatever_else_somebody_elses_consumer_returns_says_that_all_is_taken(
    journal: MemoryJournal, junk: Any
) -> None:
    class Foreign(Consumer):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
            await super().consume(readings, entries)
            return junk

    consumer, told = Foreign(), Told()
    async with followed(consumer, journal, told, is_foreign=True):
        await eventually(lambda: journal.cursors == {"influx": 3})
    assert (consumer.seen, told.refused) == ([1, 2, 3], [])


async def test_rows_that_it_was_not_handed_are_no_reason_to_give_up_others(journal: MemoryJournal) -> None:
    class Confused(Picky):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
            try:
                return await super().consume(readings, entries)
            except DeliveryError as error:
                raise DeliveryError(str(error), retry=False, rows=[4711]) from None

    told = Told()
    with capture_logs() as logs:
        async with followed(Confused(HOW[2], {2}), journal, told):
            await eventually(lambda: journal.cursors == {"influx": 3})
    assert told.refused == [(2, "it has horns")]
    assert "names rows that it was not handed" in logs[0]["event"]


async def test_it_is_started_with_what_the_gateway_offers_and_closed_at_the_end(journal: MemoryJournal) -> None:
    consumer = Full(Wants(), start=[DeliveryError("not yet"), OSError("nor now")])
    told = Told()
    async with followed(consumer, journal, told):
        await eventually(lambda: consumer.seen == [1, 2, 3])
        assert consumer.life == ["started by edge-1"]
    assert consumer.life == ["started by edge-1", "closed"]
    assert told.failures == 2


async def test_one_that_only_consumes_keeps_its_own_methods_to_itself(journal: MemoryJournal) -> None:
    class Old(Consumer):
        def start(self) -> None:
            raise AssertionError

        def close(self) -> None:
            raise AssertionError

    consumer = Old()
    async with followed(consumer, journal, is_foreign=True) as task:
        await eventually(lambda: consumer.seen == [1, 2, 3])
    assert task.cancelled()


async def test_one_that_cannot_be_closed_ends_all_the_same(journal: MemoryJournal) -> None:
    class Clinging(Full):
        async def close(self) -> None:
            raise OSError("it clings")

    consumer = Clinging(Wants())
    with capture_logs() as logs:
        async with followed(consumer, journal) as task:
            await eventually(lambda: consumer.seen == [1, 2, 3])
    assert task.cancelled()
    assert [entry["event"] for entry in logs] == ["a consumer could not be closed"]


async def test_it_gets_the_types_of_facts_that_it_wants(journal: MemoryJournal) -> None:
    entry = alert_entry(alert_of())
    journal.add(replace(entry, fact=replace(entry.fact, type="BaselineLearned")))
    consumer = Full(Wants(readings=False, types=frozenset({"BaselineLearned"})))
    nothing = Full(Wants(readings=False, facts=False))
    async with followed(consumer, journal):
        await eventually(lambda: journal.cursors == {"influx": 4})
    async with running(Runner(Follower("other", nothing), journal, Told())):
        await eventually(lambda: journal.cursors.get("other") == 4)
    assert (consumer.seen, nothing.calls) == ([4], 0)


async def test_one_that_starts_now_is_not_handed_what_was_and_misses_nothing_after_that(
    journal: MemoryJournal,
) -> None:
    consumer = Full(Wants(start="now"))
    async with followed(consumer, journal):
        await eventually(lambda: journal.cursors == {"influx": 3})
    journal.add(stored(second=2))
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == [4])


async def test_one_that_began_now_with_an_empty_journal_has_begun() -> None:
    journal, consumer = MemoryJournal(), Full(Wants(start="now"))
    async with followed(consumer, journal):
        await eventually(lambda: journal.cursors == {"influx": 0})
    journal.add(stored(second=0))
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == [1])


@pytest.mark.parametrize("way", ["raises", "does not come back"])
async def test_people_are_told_of_one_that_takes_nothing_for_long_and_when_it_does_again(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    class Stuck(Consumer):
        def __init__(self) -> None:
            super().__init__()
            self.go_on = asyncio.Event()

        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
            if way == "raises" and not self.go_on.is_set():
                self.calls += 1
                raise OSError("user:password@host is down")
            await self.go_on.wait()
            await super().consume(readings, entries)

    clock = {"now": 1000.0}
    for module in (handover, runner):  # the event loop needs its own
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock["now"]))
    consumer, told = Stuck(), Told()
    made = Runner(Follower("ours", consumer, "consumer.ours"), journal, told)
    async with running(made):
        await eventually(lambda: made._handover.busy_since)  # noqa: SLF001 - nothing else shows that it waits
        await eventually(lambda: consumer.calls > 2 or way != "raises")
        clock["now"] = 1299.0
        await passes()
        assert told.reports == []
        clock["now"] = 1300.0
        await eventually(lambda: told.reports)
        said = "OSError; the log has more" if way == "raises" else "a call to it does not return"
        assert set(told.reports) == {said}
        consumer.go_on.set()
        await eventually(lambda: told.reports[-1] is None)
    assert consumer.seen == [1, 2, 3]


async def passes() -> None:
    """Let every task go on for a few rounds of the watch."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def test_what_only_a_person_can_mend_is_told_at_once(journal: MemoryJournal) -> None:
    consumer, told = Consumer(*[DeliveryError("401: wrong token", needs_person=True)] * 3), Told()
    async with followed(consumer, journal, told):
        await eventually(lambda: told.reports and told.reports[-1] is None)
    assert told.reports[0] == "401: wrong token"


async def test_a_start_is_no_reason_to_clear_the_alert_of_the_run_before(journal: MemoryJournal) -> None:
    told = Told()
    consumer = Consumer(*[DeliveryError("still away")] * 1000)
    async with followed(consumer, journal, told):
        await eventually(lambda: consumer.calls > 3)
        await passes()
    assert told.reports == []


class TestReplaying:
    async def rows(self, journal: MemoryJournal) -> Rows:
        step = await journal.step(0, 9, readings=True)
        return Rows(step.readings, step.entries)

    async def test_what_is_taken_now_is_named(self, journal: MemoryJournal) -> None:
        consumer, told = Picky("says only that something is wrong", {2}), Told()
        made = Runner(Follower("influx", consumer), journal, told)
        assert await made.replay(await self.rows(journal)) == {1, 3}
        assert told.refused == []

    async def test_one_that_is_away_says_so_at_once(self, journal: MemoryJournal) -> None:
        for error, said in ((DeliveryError("away"), "away"), (KeyError("secret"), "KeyError; the log has more")):
            made = Runner(Follower("influx", Consumer(error)), journal, Told())
            with pytest.raises(DeliveryError, match=said):
                await made.replay(await self.rows(journal))

    async def test_it_never_has_two_calls_at_once(
        self, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner, "_REPLAY_WITHIN", 0.01)

        class Hanging(Consumer):
            async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
                await super().consume(readings, entries)
                await asyncio.Event().wait()

        consumer = Hanging()
        made = Runner(Follower("influx", consumer), journal, Told())
        async with running(made):
            await eventually(lambda: consumer.calls == 1)
            with pytest.raises(DeliveryError, match="no answer within"):
                await made.replay(await self.rows(journal))
            assert consumer.calls == 1
