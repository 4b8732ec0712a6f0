"""Line protocol: whatever a sensor's name or a reason holds, one point is one line."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.consumers.influx.lines import to_gateway_line, to_lines
from gateway.domain.model.quantities import BY_KEY, BY_WIRE
from gateway.telemetry.metrics import Metrics
from tests.plant import NOON_NS, alert_entry, alert_of, stored

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
        b"alert,area=hall-2,kind=machine,machine=pump-7,sensor=VB-1,severity=critical,site=plant-1 "
        b'state="active",reason="Level \\"high\\"",alert_id="alert-VB-1-1" '
        + str(entry.fact.time_ns + entry.seq).encode()
    ]


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["level", "silence"])), min_size=2, max_size=30))
def test_no_two_alert_facts_are_one_point(facts: list[tuple[int, str]]) -> None:
    """Whatever is at one time: the measurement, the tags and the time are what a point is."""
    entries = []
    for seq, (microsecond, kind) in enumerate(facts, start=5000):
        entry = replace(alert_entry(alert_of()), seq=seq)
        data = {**entry.fact.data, "kind": kind}
        entries.append(replace(entry, fact=replace(entry.fact, data=data, time_ns=NOON_NS + 1000 * microsecond)))
    lines = to_lines([], entries)
    assert len({(line.partition(b" state=")[0], line.rpartition(b" ")[2]) for line in lines}) == len(facts)
    times = [int(line.rpartition(b" ")[2]) // 1000 for line in lines]
    assert times == [entry.fact.time_ns // 1000 for entry in entries]


def test_an_alert_of_before_there_were_kinds_has_none() -> None:
    entry = alert_entry(alert_of())
    data = {name: value for name, value in entry.fact.data.items() if name != "kind"}
    assert b"kind" not in to_lines([], [replace(entry, fact=replace(entry.fact, data=data))])[0]


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
