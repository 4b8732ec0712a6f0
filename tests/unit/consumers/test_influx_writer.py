"""What the InfluxDB writer makes of the database's answers, in the words of 1.x, 2 and 3."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.api import ConsumerContext, DeliveryError, Refused, StoredReading, Taken
from gateway.consumers.influx import answers
from gateway.consumers.influx import writer as influx
from gateway.consumers.influx.lines import to_lines
from gateway.consumers.influx.writer import MOST_REQUESTS, PATIENT_TIMES, InfluxWriter
from gateway.outgoing.client import Answer, NoAnswerError
from tests.plant import NOON_NS, alert_entry, alert_of, stored
from tests.servers.waiting import until_async

WRITTEN = Answer(204)


def said(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps({"code": "as told", "message": text}).encode())


class Database:
    """A bucket that is a list. `judge` answers requests, written or not; what it answers 204 is in `lines`."""

    def __init__(self) -> None:
        self.judge: Callable[[list[bytes]], Answer] = lambda _: WRITTEN
        self.requests: list[list[bytes]] = []
        self.lines: list[bytes] = []

    def open(self) -> None:
        """Nothing is connected."""

    async def close(self) -> None:
        """Nothing is connected."""

    def draft(self, lines: list[bytes]) -> list[bytes]:
        return lines

    async def send(self, lines: list[bytes]) -> Answer:
        self.requests.append(lines)
        answer = self.judge(lines)
        if answers.is_written(answer):
            self.lines += lines
        return answer

    def of_readings(self) -> list[bytes]:
        """Return what is written of readings, each once."""
        return [line for line in dict.fromkeys(self.lines) if line.startswith(b"vibration,")]


def writer(url: str = "http://localhost:1", **settings: Any) -> InfluxWriter:
    return InfluxWriter("influx", {"url": url, "org": "plant", "bucket": "vibration", "token": "t", **settings})


@pytest.fixture
def database() -> Database:
    return Database()


@cache
def writer_of_many_examples() -> InfluxWriter:
    """Return one that is made once: to read the authorities takes longer than an example."""
    return writer()


@asynccontextmanager
async def with_bucket(database: Database, **settings: Any) -> AsyncIterator[InfluxWriter]:
    made = writer(**settings)
    await made.close()
    made._database = database  # type: ignore[assignment] # noqa: SLF001 - a list in the place of the network
    yield made
    await made.close()


@pytest.fixture
async def made(database: Database) -> AsyncIterator[InfluxWriter]:
    async with with_bucket(database) as made:
        yield made


def readings(count: int, *poison: int) -> list[StoredReading]:
    return [stored(second=each, machine="poison" if each in poison else "pump") for each in range(count)]


def refusing(answer: Answer) -> Callable[[list[bytes]], Answer]:
    """Refuse a request with a poisoned line in it."""
    return lambda lines: answer if any(b"poison" in line for line in lines) else WRITTEN


async def failure_of(made: InfluxWriter, rows: list[StoredReading]) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await made.consume(rows, [])
    return caught.value


@pytest.mark.parametrize("status", [400, 422])
async def test_poison_points_are_refused_and_all_others_are_written(
    made: InfluxWriter, database: Database, status: int
) -> None:
    database.judge = refusing(said(status, "field type conflict"))
    learned = alert_entry(alert_of())
    learned = replace(learned, seq=501, fact=replace(learned.fact, type="BaselineLearned"))
    taken = await made.consume(readings(500, 77), [learned, replace(alert_entry(alert_of("poison")), seq=502)])
    reason = f"InfluxDB answered {status}: field type conflict"
    assert sorted(taken.refused, key=lambda one: one.seq) == [Refused(78, reason), Refused(502, reason)]
    assert len(database.of_readings()) == 499
    assert len(database.requests) < 60


async def test_points_that_3_names_cost_no_search(made: InfluxWriter, database: Database) -> None:
    def judge(lines: list[bytes]) -> Answer:
        bad = [number for number, line in enumerate(lines, start=1) if b"poison" in line]
        data = [{"line_number": number, "error_message": "invalid column type", "original_line": ""} for number in bad]
        body = {"error": "partial write of line protocol occurred", "data": data[:100]}
        return Answer(400, {}, json.dumps(body).encode()) if bad else WRITTEN

    database.judge = judge
    taken = await made.consume(readings(500, *range(100, 250)), [])
    assert [one.seq for one in taken.refused] == list(range(101, 251))
    assert taken.refused[0].reason == "InfluxDB answered 400: invalid column type"
    assert len(database.of_readings()) == 350
    assert len(database.requests) < 10


async def test_a_database_that_refuses_everything_is_asked_once_more_and_gets_it_later(
    made: InfluxWriter, database: Database
) -> None:
    """As with http where TLS is expected: 400 to all that there is."""
    database.judge = lambda _: Answer(400, {}, b"Client sent an HTTP request to an HTTPS server.\n")
    error = await failure_of(made, readings(500))
    assert (error.retry, error.needs_person) == (True, True)
    assert "refuses everything" in str(error)
    assert "HTTP request to an HTTPS server" in str(error)
    assert len(database.requests) == 2
    database.judge = lambda _: WRITTEN
    assert await made.consume(readings(500), []) == Taken([])
    assert len(database.of_readings()) == 500


async def test_points_that_are_all_refused_by_a_database_that_is_well_are_named_at_little_cost(
    made: InfluxWriter, database: Database
) -> None:
    """As with a field of another type: 1.x and 2 say how many they have dropped."""

    def judge(lines: list[bytes]) -> Answer:
        bad = sum(line.startswith(b"vibration,") for line in lines)
        return said(400, f"partial write: field type conflict dropped={bad}") if bad else WRITTEN

    database.judge = judge
    taken = await made.consume(readings(2000), [])
    assert len(taken.refused) == 2000
    assert len(database.requests) == 2


async def test_a_search_has_an_end_and_what_was_not_tried_alone_is_said_to_be(
    made: InfluxWriter, database: Database
) -> None:
    database.judge = refusing(said(400, "no"))
    taken = await made.consume(readings(2000, *range(1, 2000, 2)), [])
    assert len(database.requests) < MOST_REQUESTS + 100
    assert any("not tried one by one" in one.reason for one in taken.refused)
    assert len({one.seq for one in taken.refused}) == len(taken.refused)
    written = {int(line.rpartition(b" ")[2]) for line in database.of_readings()}
    refused = {NOON_NS + (one.seq - 1) * 10**9 for one in taken.refused}
    assert written | refused == {one.time_ns for one in readings(2000)}


async def test_a_database_that_falls_ill_during_a_search_is_no_reason_to_refuse(
    made: InfluxWriter, database: Database
) -> None:
    def judge(lines: list[bytes]) -> Answer:
        if len(database.requests) > 6:
            return said(500, "engine is closed")
        return refusing(said(400, "no"))(lines)

    database.judge = judge
    error = await failure_of(made, readings(500, 77))
    assert error.retry
    assert not error.needs_person


@pytest.mark.parametrize(
    "answer",
    [
        said(400, "partial write: points beyond retention policy dropped=300"),
        said(422, "failure writing points to database: partial write: points beyond retention policy dropped=300"),
        said(500, "partial write: points beyond retention policy dropped=300"),
        Answer(400, {}, b'{"error":"partial write: points beyond retention policy dropped=300"}'),
    ],
)
async def test_points_that_the_bucket_does_not_keep_cost_one_request(
    made: InfluxWriter, database: Database, answer: Answer
) -> None:
    database.judge = lambda _: answer
    assert await made.consume(readings(1000), []) == Taken([], skipped=300)
    assert len(database.requests) == 1


async def test_points_that_are_refused_together_with_those_that_are_too_old_are_written(
    made: InfluxWriter, database: Database
) -> None:
    """As 3 words it, and without saying how many: the oldest are found by halving."""

    def judge(lines: list[bytes]) -> Answer:
        old = any(int(line.rpartition(b" ")[2]) < NOON_NS + 300 * 10**9 for line in lines)
        return said(400, "data in table vibration is outside the retention period") if old else WRITTEN

    database.judge = judge
    await made.consume([stored(second=5000)], [])
    before = len(database.requests)
    taken = await made.consume(list(reversed(readings(1000))), [])
    assert (taken.refused, taken.skipped) == ([], 300)
    assert len(database.of_readings()) == 701
    assert len(database.requests) - before < 20


@given(
    poison=st.sets(st.integers(0, 59), max_size=8),
    old=st.integers(0, 30),
    status=st.sampled_from([400, 422]),
    names=st.booleans(),
    counts=st.booleans(),
)
async def test_whatever_is_refused_or_too_old_every_other_point_is_written(
    poison: set[int], old: int, status: int, *, names: bool, counts: bool
) -> None:
    """With 1.x and 2, which write what they do not drop and say how much they drop, and with 3, which names lines."""
    rows = readings(60, *poison)
    line_of = dict(zip(to_lines(rows, []), range(60), strict=True))
    written: set[int] = set()

    def judge(lines: list[bytes]) -> Answer:
        numbers = [line_of.get(line, 1000) for line in lines]
        bad = [position for position, number in enumerate(numbers, start=1) if number in poison]
        if bad and names:
            data = [{"line_number": position, "error_message": "no"} for position in bad]
            return Answer(status, {}, json.dumps({"error": "partial write", "data": data}).encode())
        if bad:
            return said(status, f"partial write: no dropped={len(bad)}" if counts else "no")
        stale = sum(number < old for number in numbers)
        if stale and not counts:
            return said(status, "outside the retention period")
        written.update(number for number in numbers if old <= number < 1000)
        return said(status, f"points beyond retention policy dropped={stale}") if stale else WRITTEN

    database = Database()
    database.judge = judge
    made = writer_of_many_examples()
    made._database = database  # type: ignore[assignment] # noqa: SLF001 - as above
    taken = await made.consume(rows, [])
    assert {one.seq - 1 for one in taken.refused} == poison
    assert len(taken.refused) == len(poison)
    assert written == {*range(old, 60)} - poison
    assert taken.skipped == len({*range(old)} - poison)


async def test_what_is_older_than_oldest_is_not_sent(database: Database) -> None:
    new = replace(stored(), time_ns=time.time_ns())
    async with with_bucket(database, oldest="30d") as made:
        assert await made.consume([*readings(10), new], []) == Taken([], skipped=10)
        assert len(database.lines) == 1
        assert await made.consume(readings(10), []) == Taken([], skipped=10)
    assert len(database.requests) == 1


async def test_one_point_that_is_answered_500_for_ever_is_found_after_some_tries(
    made: InfluxWriter, database: Database
) -> None:
    database.judge = refusing(said(500, "internal error"))
    for _ in range(PATIENT_TIMES - 1):
        error = await failure_of(made, readings(1, 0))
        assert (error.retry, error.needs_person) == (True, False)
    taken = await made.consume(readings(1, 0), [])
    assert [one.seq for one in taken.refused] == [1]
    assert await made.consume(readings(20), []) == Taken([])


async def test_500_for_everything_refuses_nothing(made: InfluxWriter, database: Database) -> None:
    database.judge = lambda _: said(500, "no space left on device")
    for _ in range(3 * PATIENT_TIMES):
        assert (await failure_of(made, readings(10))).retry
    assert len(database.requests) < 2 * 3 * PATIENT_TIMES


async def test_a_write_that_is_too_large_is_halved(made: InfluxWriter, database: Database) -> None:
    database.judge = lambda lines: said(413, "too large") if len(lines) > 60 else WRITTEN
    assert await made.consume(readings(500), []) == Taken([])
    assert database.lines == to_lines(readings(500), [])


async def test_too_large_for_one_point_is_about_everything(made: InfluxWriter, database: Database) -> None:
    database.judge = lambda _: said(413, "too large")
    assert (await failure_of(made, readings(4))).needs_person


async def test_much_is_written_in_several_requests_and_a_failure_of_one_is_one_of_all(
    made: InfluxWriter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx, "_AT_ONCE", 200)
    await made.consume(readings(500), [alert_entry(alert_of())])
    assert sorted(map(len, database.requests)) == [101, 200, 200]
    assert sorted(database.lines) == sorted(to_lines(readings(500), [alert_entry(alert_of())]))
    database.judge = lambda _: said(503, "not now")
    with pytest.raises(DeliveryError, match="503"):
        await made.consume(readings(500), [])


async def test_nothing_is_not_written(made: InfluxWriter, database: Database) -> None:
    assert await made.consume([], []) == Taken([])
    assert database.requests == []


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [(503, "120", 120.0), (429, "5", 5.0), (429, "1000000000", 3600.0), (500, "²", None), (408, "soon", None)],
)
async def test_a_database_that_does_not_take_anything_is_tried_later(
    made: InfluxWriter, database: Database, status: int, header: str, pause: float | None
) -> None:
    database.judge = lambda _: said(status, "no", **{"Retry-After": header})
    error = await failure_of(made, readings(1))
    assert f"InfluxDB answered {status}: no" in str(error)
    assert (error.retry, error.retry_after, error.needs_person) == (True, pause, False)


@pytest.mark.parametrize("status", [101, 200, 202, 301, 302, 401, 403, 404, 405, 410, 415, 451])
async def test_an_answer_that_nobody_expects_is_no_success_and_needs_a_person(
    made: InfluxWriter, database: Database, status: int
) -> None:
    database.judge = lambda _: Answer(status, {}, b"<html>\xff\x1b[31mWelcome")
    error = await failure_of(made, readings(1))
    assert (error.retry, error.needs_person) == (True, True)
    assert str(error).isprintable()
    assert str(status) in str(error)


async def test_a_certificate_that_is_refused_needs_a_person_and_is_no_fault_of_the_points(
    made: InfluxWriter, database: Database
) -> None:
    def judge(_lines: list[bytes]) -> Answer:
        raise NoAnswerError("its certificate is not trusted: self-signed certificate", is_untrusted=True)

    database.judge = judge
    error = await failure_of(made, readings(1))
    assert (error.retry, error.needs_person) == (True, True)
    assert str(error) == (
        "no answer from InfluxDB at http://localhost:1/: its certificate is not trusted: self-signed certificate"
    )


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("influxdb", False),
        ("192.168.1.5", False),
    ],
)
async def test_what_goes_over_a_network_is_compressed(host: str, *, is_here: bool) -> None:
    made = writer(f"http://{host}:8086")
    draft = made._database.draft([b"a b=1"])  # noqa: SLF001 - what would be sent
    assert (draft.headers.get("Content-Encoding", "identity"), draft.body.startswith(b"\x1f\x8b")) == (
        ("identity", False) if is_here else ("gzip", True)
    )
    assert draft.headers["Authorization"] == "Token t"
    assert draft.url == f"http://{host.lower()}:8086/api/v2/write?org=plant&bucket=vibration&precision=ns"
    await made.close()


async def test_the_gateways_own_metrics_go_beside_the_points_but_not_while_the_database_is_away(
    made: InfluxWriter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx, "_OWN_METRICS_EVERY", 0.001)
    context = ConsumerContext("edge-1", own_metrics=lambda: [({"consumer": "influx"}, {"rows": 1.0})])
    await made.start(context)
    await until_async(lambda: len(database.lines) > 2, 5, "metrics")
    assert database.lines[0].startswith(b"gateway,consumer=influx,gateway=edge-1 rows=1.0 ")
    database.judge = lambda _: said(503, "away")
    await failure_of(made, readings(1))
    database.judge = lambda _: WRITTEN
    before = len(database.lines)
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert len(database.lines) == before


async def test_a_mistake_in_the_gateways_own_metrics_is_seen(made: InfluxWriter) -> None:
    def fail() -> list[Any]:
        raise KeyError("metrics")

    await made.start(ConsumerContext("edge-1", own_metrics=fail))
    await asyncio.sleep(0)  # the task gets its turn
    with pytest.raises(KeyError, match="metrics"):
        await made.consume(readings(1), [])
