"""Row 44: an InfluxDB that refuses everything, most, what is old, or one point for ever."""

import time
from collections.abc import Iterator

import pytest

from tests.faults.answers import ANSWERS
from tests.faults.conftest import Make
from tests.faults.front import InfluxFront
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, BEGAN, CRITICAL, reading, series
from tests.faults.results import Recorder, counted, megabytes
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.scripted_http import Asked, Part, ScriptedHttp, answer
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

HOUR = 3600
OTHER_TYPE = f'vibration,sensor=OTHER level="a text" {int(BEGAN.timestamp())}000000000'.encode()
MOST_MEMORY = 10_000_000


@pytest.fixture
def front(influx: Influx) -> Iterator[InfluxFront]:
    server = InfluxFront(influx)
    server.start()
    yield server
    server.stop()


def wait_for_points(influx: Influx, expected: int) -> None:
    until(lambda: influx.count("vibration", "level") >= expected, 60, f"{expected} points in InfluxDB")
    assert influx.count("vibration", "level") == expected


def wait_for_the_alert(gateway: MortalGateway, words: str) -> None:
    def is_told() -> bool:
        return any(each["sensorId"] == "influxdb" and words in each["reason"] for each in gateway.ask("alerts", "list"))

    until(is_told, 30, f"an alert with {words!r}")


def wait_until_well(gateway: MortalGateway) -> None:
    until(lambda: gateway.metric("influx_lag_readings") == 0, 30, "the end of the journal")


def test_row_44_a_bucket_that_keeps_less_than_the_journal(
    make: Make, mosquitto: Mosquitto, influx: Influx, front: InfluxFront, record: Recorder
) -> None:
    """Row 44: what is too old for the bucket is left out, at a request for each step, and holds nothing up."""
    influx.query(f'ALTER RETENTION POLICY "autogen" ON "{influx.bucket}" DURATION 1h SHARD DURATION 1h DEFAULT')
    gateway = make(influx=front)
    gateway.start()
    mosquitto.publish_all(series("OLD", [BASELINE] * 3000, start=-20 * HOUR))
    mosquitto.publish_all(series("NEW", [BASELINE] * 20))
    wait_for_points(influx, 20)
    wait_until_well(gateway)
    assert not gateway.ledger().dead_letters
    assert gateway.metric("consumer_rows_skipped_total{influx}") == 3000
    assert len(front.requests) < 300
    record(sent=3020, stored=3020, in_influxdb=20, note=f"{len(front.requests)} requests")


def test_row_44_a_field_of_another_type_in_every_point(
    make: Make, mosquitto: Mosquitto, influx: Influx, front: InfluxFront, *, smtp: SmtpServer, record: Recorder
) -> None:
    """Row 44: all points are refused, though the database is well: an alert, and once mended they are all written."""
    front.pass_on("/api/v2/write?bucket=vibration&precision=ns", f"Token {influx.token}", OTHER_TYPE)
    gateway = make(influx=front, smtp=smtp)
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 500))
    until(lambda: gateway.ledger().dead_letters == {"consumer_refused": 500}, 30, "500 dead letters")
    wait_for_the_alert(gateway, "refuses most of what it is handed")
    requests = len(front.requests)
    assert requests < 500
    influx.query('DROP MEASUREMENT "vibration"')
    outcome = gateway.ask("deadletters", "replay", "--reason", "consumer_refused")
    assert (outcome["asked"], len(outcome["replayed"])) == (500, 500)
    wait_for_points(influx, 500)
    mosquitto.publish_all(series("S-1", [BASELINE] * 500, start=500))
    wait_for_points(influx, 1000)
    until(lambda: gateway.ask("alerts", "list") == [], 30, "the end of the alert")
    influx.query('DROP MEASUREMENT "vibration"')
    gateway.command("influx", "backfill", "--since", "1h")
    wait_for_points(influx, 1000)
    record(
        sent=1000,
        stored=gateway.ledger().unique,
        in_influxdb=1000,
        alerts=counted(gateway.ledger().alerts),
        messages=len(smtp.messages),
        note=f"{requests} requests for 500 refused points; all of it a second time by `influx backfill`",
    )


class Judge:
    """An InfluxDB of a script: `judge` says what it answers to lines, and those that are written are in `lines`."""

    org, bucket, token = "plant", "vibration", "a-token-for-tests"

    def __init__(self) -> None:
        self.lines: dict[bytes, None] = {}
        self.refuses = b"\0"
        self.refusal = answer(400)
        self.peer = ScriptedHttp(self.answer)
        self.url = self.peer.url

    def answer(self, asked: Asked) -> list[Part]:
        if self.refuses in asked.body:
            return [self.refusal]
        self.lines |= dict.fromkeys(asked.body.split(b"\n"))
        return [answer(204)]

    def points(self) -> int:
        return sum(line.startswith(b"vibration,") for line in list(self.lines))


@pytest.fixture
def judge() -> Iterator[Judge]:
    made = Judge()
    made.peer.start()
    yield made
    made.peer.stop()


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(b"field type conflict: input field level", id="in the words of 1.x"),
        pytest.param(b"Client sent an HTTP request to an HTTPS server.", id="http where TLS is"),
    ],
)
def test_row_44_everything_is_refused(
    make: Make, mosquitto: Mosquitto, judge: Judge, record: Recorder, refusal: bytes
) -> None:
    """Row 44: 400 to all that is sent is a condition and no fault of the points: an alert, and all of them later."""
    judge.refuses, judge.refusal = b"", answer(400, refusal)
    gateway = make(influx=judge)
    gateway.scale(longest_follower_pause=0.3)
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 500))
    wait_for_the_alert(gateway, "refuses everything")
    until(lambda: gateway.readings() == 500, 20, "every reading in the journal")
    assert gateway.metric("influx_points_written_total") == 0
    judge.refuses = b"\0"
    until(lambda: judge.points() == 500, 30, "every point")
    wait_until_well(gateway)
    until(lambda: gateway.ask("alerts", "list") == [], 30, "the end of the alert")
    assert not gateway.ledger().dead_letters
    record(
        sent=500, stored=500, in_influxdb=500, alerts=counted(gateway.ledger().alerts), note="of a scripted InfluxDB"
    )


def test_row_44_one_point_is_answered_500_for_ever(
    make: Make, mosquitto: Mosquitto, judge: Judge, record: Recorder
) -> None:
    """Row 44: as InfluxDB 2.0 did; it is found after some tries, and what is behind it is written."""
    judge.refuses, judge.refusal = b"sensor=ODD", answer(500, b'{"code":"internal error","message":"unexpected"}')
    gateway = make(influx=judge)
    gateway.scale(longest_follower_pause=0.3)
    gateway.start()
    mosquitto.publish_all([reading("GOOD", second=0)])
    until(lambda: judge.points() == 1, 20, "a point")
    mosquitto.publish_all([reading("ODD", second=1)])
    until(lambda: judge.refuses in judge.peer.asked[-1].body, 20, "the odd one to be refused")
    began = time.monotonic()
    mosquitto.publish_all(series("GOOD", [BASELINE] * 100, start=2))
    until(lambda: judge.points() == 101, 60, "what is behind it")
    seconds = time.monotonic() - began
    wait_until_well(gateway)
    assert gateway.ledger().dead_letters == {"consumer_refused": 1}
    judge.refuses = b"\0"
    assert len(gateway.ask("deadletters", "replay", "--all")["replayed"]) == 1
    assert judge.points() == 102
    record(
        sent=102,
        stored=102,
        in_influxdb=102,
        dead_letters={"consumer_refused": 1},
        seconds_to_recover=round(seconds, 1),
    )


def test_row_44_influxdb_answers_everything(
    make: Make, mosquitto: Mosquitto, judge: Judge, *, smtp: SmtpServer, record: Recorder
) -> None:
    """Row 44: one answer after the other; alerts are told meanwhile, and in the end every point is written once."""
    told = [each for name, each in ANSWERS.items() if name != "204" and each.status != 204]
    script = iter(told)

    def one_after_the_other(asked: Asked) -> object:
        found = next(script, None)
        return judge.answer(asked) if found is None else found.parts

    gateway = make(influx=judge, smtp=smtp)
    gateway.scale(longest_follower_pause=0.05, longest_retry_after=0.05, influxdb_timeout=1)
    gateway.start()
    mosquitto.publish_all(series("S-0", [CRITICAL] * 5))
    until(lambda: smtp.messages and judge.points() == 5, 20, "all that is imported for a mail")
    before = gateway.resident_bytes(peak=True)
    judge.peer.script = one_after_the_other  # type: ignore[assignment] # parts, of either
    mosquitto.publish_all(series("S-1", [BASELINE] * 100))
    until(lambda: len(judge.peer.asked) > 20, 60, "some answers")
    mosquitto.publish_all(series("S-2", [CRITICAL] * 5))
    until(lambda: any("S-2" in str(each.message["Subject"]) for each in smtp.messages), 20, "the mail")
    assert next(script, None) is not None, "the alert came after all answers"
    until(lambda: judge.points() == 110, 120, "every point")
    wait_until_well(gateway)
    assert not gateway.ledger().dead_letters
    peak = gateway.resident_bytes(peak=True)
    assert peak - before < MOST_MEMORY
    metrics = gateway.metrics()
    mean = metrics["notification_latency_seconds_sum"] / metrics["notification_latency_seconds_count"]
    record(
        sent=110,
        stored=gateway.ledger().unique,
        in_influxdb=judge.points(),
        messages=len(smtp.messages),
        peak_memory=megabytes(peak),
        note=f"{len(told)} answers, {megabytes(peak - before)} MB more memory; told after {1000 * mean:.0f} ms",
    )
