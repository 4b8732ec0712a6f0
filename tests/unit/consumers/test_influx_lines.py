"""Line protocol: whatever a sensor's name or a reason holds, one point is one line."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from influxdb_client.rest import ApiException
from msgspec.structs import replace
from urllib3 import HTTPHeaderDict

from gateway.api import ConsumerContext, DeliveryError, Refused, Taken
from gateway.consumers.influx import writer as influx
from gateway.consumers.influx.writer import InfluxWriter, to_gateway_line, to_lines
from gateway.domain.model.quantities import BY_KEY, BY_WIRE
from gateway.telemetry.metrics import Metrics
from tests.plant import NOON_NS, alert_entry, alert_of, stored
from tests.servers.waiting import until_async

UNESCAPED = {char: re.compile(rf"(?<!\\){char}") for char in " ,="}


def line(**changes: Any) -> bytes:
    (found,) = to_lines([replace(stored(), **changes)], [])
    return found


def parsed(found: bytes) -> tuple[str, dict[str, str], str, int]:
    """Return measurement, tags, fields and time of a line, by the rules of line protocol."""
    key, fields, time = UNESCAPED[" "].split(found.decode())
    measurement, *tags = UNESCAPED[","].split(key)
    pairs = [UNESCAPED["="].split(tag) for tag in tags]
    return measurement, {plain(name): plain(value) for name, value in pairs}, fields, int(time)


def plain(text: str) -> str:
    """Take the escapes of a tag away."""
    return re.sub(r"\\([ ,=])", r"\1", text)


def test_a_reading_is_one_point_with_its_place_its_features_and_its_time() -> None:
    reading = stored(level=12.5, baseline=4.0, second=3, data={"velocityRms": 2, "kurtosis": 3.5, "rpm": 1480})
    assert to_lines([reading], []) == [
        b"vibration,area=hall-2,machine=pump-7,sensor=VB-1,site=plant-1 "
        b"level=12.5,baseline=4.0,difference=8.5,ratio=3.125,velocity_rms=2.0,kurtosis=3.5,rpm=1480.0 "
        + str(NOON_NS + 3_000_000_000).encode()
    ]


def test_every_feature_is_a_field() -> None:
    _, _, fields, _ = parsed(line(body=stored(data=dict.fromkeys(BY_WIRE, 2.5)).body))
    assert [f"{name}=2.5" for name in BY_KEY] == [text for text in fields.split(",") if text.endswith("=2.5")]


def test_an_alert_change_is_one_point() -> None:
    entry = alert_entry(alert_of("VB-1", "critical", reason='Level "high"'))
    assert to_lines([], [entry]) == [
        b"alert,area=hall-2,machine=pump-7,sensor=VB-1,severity=critical,site=plant-1 "
        b'state="active",reason="Level \\"high\\"",alert_id="alert-VB-1-1" ' + str(entry.fact.time_ns).encode()
    ]


def test_the_gateways_own_metrics_are_a_point_for_each_set_of_labels() -> None:
    metrics = Metrics()
    metrics.rejected.labels("not_json").inc(2)
    metrics.batch_seconds.observe(0.5)
    lines = [to_gateway_line("edge 1", labels, values, NOON_NS).decode() for labels, values in metrics.values()]
    assert f"gateway,gateway=edge\\ 1,reason=not_json rejected_total=2.0 {NOON_NS}" in lines
    (own,) = [line for line in lines if line.startswith("gateway,gateway=edge\\ 1 ")]
    assert "batch_seconds_count=1.0,batch_seconds_sum=0.5" in own
    assert "_bucket" not in own
    assert "_created" not in own


def test_other_facts_are_no_points() -> None:
    entry = alert_entry(alert_of())
    assert to_lines([], [replace(entry, fact=replace(entry.fact, type="BaselineLearned"))]) == []


@pytest.mark.parametrize("baseline", [None, 0.0])
def test_without_a_baseline_nothing_is_derived_from_it(baseline: float | None) -> None:
    assert b" level=4.0 " in line(baseline=baseline)


@pytest.mark.parametrize(
    ("level", "baseline", "fields"),
    [
        (1e308, 1e-308, b" level=1e+308,baseline=1e-308,difference=1e+308 "),
        (1e308, -1e308, b" level=1e+308,baseline=-1e+308,ratio=-1 "),
        (5e-324, 4.0, b" level=5e-324,baseline=4.0,difference=-4,ratio=0 "),
        (4.0, float("inf"), b" level=4.0,ratio=0 "),
    ],
)
def test_what_is_no_finite_number_is_left_out(level: float, baseline: float, fields: bytes) -> None:
    assert fields in line(level=level, baseline=baseline)


def test_readings_of_one_sensor_that_has_moved_keep_their_own_tags() -> None:
    first, second = stored(machine="pump-7"), stored(machine="pump-8", second=1)
    assert [parsed(found)[1]["machine"] for found in to_lines([first, second], [])] == ["pump-7", "pump-8"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", rb"machine=a\ b,"),
        ("a,b=c", rb"machine=a\,b\=c,"),
        ("a\\b", rb"machine=a\b,"),
        ("a\\", b"machine=a/,"),
        ("a\\\\", rb"machine=a\/,"),
        ("a\nb\r", rb"machine=a\ b\ ,"),
        ('"', b'machine=",'),
        ("é😀", "machine=é😀,".encode()),
        ("#", b"machine=#,"),
    ],
)
def test_a_tag_is_escaped(text: str, expected: bytes) -> None:
    assert expected in line(tags={"machine": text, "site": "s"})


def test_an_empty_tag_is_left_out() -> None:
    assert line(tags={"machine": "", "site": ""}).startswith(b"vibration,sensor=VB-1 level=")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('say "hi"', rb'reason="say \"hi\""'),
        ("back\\", rb'reason="back\\"'),
        ("two\nlines", b'reason="two lines"'),
        ("a, b = c", b'reason="a, b = c"'),
        ("3.1 × 4 m/s²", 'reason="3.1 × 4 m/s²"'.encode()),
    ],
)
def test_a_text_is_escaped(text: str, expected: bytes) -> None:
    assert expected in to_lines([], [alert_entry(alert_of(reason=text))])[0]


texts = st.text(st.characters(codec="utf-8") | st.sampled_from('\\ ,="\n\r'), max_size=12)


@given(texts, texts, texts)
@example("\\", "\\,", "a\\ ")
@example("=", ",", "\n")
def test_any_tags_give_one_line_that_says_the_same(machine: str, site: str, sensor: str) -> None:
    """But for a line break, which is a space, and a backslash at the end, which is a slash."""
    found = line(sensor_id=sensor, tags={"machine": machine, "site": site})
    assert b"\n" not in found
    assert b"\r" not in found
    measurement, tags, _, time = parsed(found)
    wanted = {"machine": machine, "site": site, "sensor": sensor}
    spaced = {name: re.sub(r"[\n\r]", " ", text) for name, text in wanted.items() if text}
    assert measurement == "vibration"
    assert tags == {name: text[:-1] + "/" if text.endswith("\\") else text for name, text in spaced.items()}
    assert time == NOON_NS


@given(texts)
def test_any_reason_is_one_text_of_one_line(reason: str) -> None:
    (found,) = to_lines([], [alert_entry(alert_of(reason=reason))])
    assert b"\n" not in found
    fields = found.decode().split(" ", 1)[1]
    (text,) = re.findall(r'reason="((?:\\.|[^"\\])*)",alert_id="alert-VB-1-1" \d+$', fields, re.DOTALL)
    assert re.sub(r'\\([\\"])', r"\1", text) == reason.replace("\n", " ")


def answer(status: int, text: str, retry_after: str = "") -> ApiException:
    """Return what the client makes of an answer that is no success."""
    made: ApiException = ApiException(status=status)  # type: ignore[no-untyped-call] # the library's own lack
    made.message = text
    made.headers = HTTPHeaderDict({"Retry-After": retry_after})
    return made


class Database(InfluxWriter):
    """A writer whose database is a list; a line with `poison` in it is refused, and so are more than `most` at once."""

    def __init__(self, url: str = "http://localhost:1") -> None:
        super().__init__("influx", {"url": url, "org": "plant", "bucket": "vibration", "token": "t"})
        self.requests: list[int] = []
        self.lines: list[bytes] = []
        self.most = 10_000
        self.failure: ApiException | None = None

    def _post(self, lines: list[bytes]) -> ApiException | None:
        if self.failure is not None:
            return self.failure
        if len(lines) > self.most:
            return answer(413, "too large")
        if any(b"poison" in line for line in lines):
            return answer(400, "field type conflict")
        self.requests.append(len(lines))
        self.lines += lines
        return None


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    made = Database()
    yield made
    await made.close()


async def test_one_poison_point_is_refused_and_all_others_are_written(database: Database) -> None:
    readings = [stored(second=second, machine="poison" if second == 77 else "pump") for second in range(500)]
    learned = replace(alert_entry(alert_of()), seq=501)
    learned = replace(learned, fact=replace(learned.fact, type="BaselineLearned"))
    taken = await database.consume(readings, [learned, replace(alert_entry(alert_of("poison")), seq=502)])
    reason = "InfluxDB answered 400: field type conflict"
    assert taken == Taken([Refused(78, reason), Refused(502, reason)])
    assert len(database.lines) == sum(database.requests) == 499


async def test_a_write_that_is_too_large_is_halved(database: Database) -> None:
    database.most = 60
    assert await database.consume([stored(second=second) for second in range(500)], []) == Taken([])
    assert database.lines == to_lines([stored(second=second) for second in range(500)], [])


async def test_much_is_written_in_several_requests_and_a_failure_of_one_is_one_of_all(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx, "_AT_ONCE", 200)
    readings = [stored(second=second) for second in range(500)]
    await database.consume(readings, [alert_entry(alert_of())])
    assert sorted(database.requests) == [100, 200, 201]
    assert sorted(database.lines) == sorted(to_lines(readings, [alert_entry(alert_of())]))
    database.failure = answer(503, "not now")
    with pytest.raises(DeliveryError, match="503"):
        await database.consume(readings, [])


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
    database = Database(f"http://{host}:8086")
    assert database._client.conf.enable_gzip is not is_here  # noqa: SLF001 - the client's own setting
    await database.close()


async def test_nothing_is_not_written(database: Database) -> None:
    await database.consume([], [])
    assert database.requests == []


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [
        (503, "120", 120.0),
        (429, "5", 5.0),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (500, "²", None),
        (401, "", None),
    ],
)
async def test_a_database_that_does_not_take_anything_is_tried_later(
    database: Database, status: int, header: str, pause: float | None
) -> None:
    database.failure = answer(status, "no", retry_after=header)
    with pytest.raises(DeliveryError, match=f"InfluxDB answered {status}") as caught:
        await database.consume([stored()], [])
    assert (caught.value.retry, caught.value.retry_after) == (True, pause)
    assert caught.value.needs_person == (status == 401)


async def test_the_gateways_own_metrics_go_beside_the_points_but_not_while_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx, "_OWN_METRICS_EVERY", 0.001)
    context = ConsumerContext("edge-1", own_metrics=lambda: [({"consumer": "influx"}, {"rows": 1.0})])
    await database.start(context)
    await until_async(lambda: len(database.lines) > 2, 5, "metrics")
    assert database.lines[0].startswith(b"gateway,consumer=influx,gateway=edge-1 rows=1.0 ")
    database.failure = answer(503, "away")
    with pytest.raises(DeliveryError):
        await database.consume([stored()], [])
    database.failure = None
    before = len(database.lines)
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert len(database.lines) == before


async def test_a_mistake_in_the_gateways_own_metrics_is_seen(database: Database) -> None:
    def fail() -> list[Any]:
        raise KeyError("metrics")

    await database.start(ConsumerContext("edge-1", own_metrics=fail))
    await asyncio.sleep(0)  # the task gets its turn
    with pytest.raises(KeyError, match="metrics"):
        await database.consume([stored()], [])
