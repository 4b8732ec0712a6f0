import gzip
import json
from contextlib import suppress
from typing import Any

import cbor2
import msgspec
import pytest

from gateway.domain.inputs.formats import MAX_BYTES, UnreadableError, read, unzipped
from tests.unit.domain.inputs.trying import G, brief, outcome, reading, readings


@pytest.mark.parametrize(
    ("format_", "payload"),
    [
        ("json", b'\xef\xbb\xbf{"a": {"1": [0, 2.5]}}\r\n\0'),
        ("json", b'{"a": {"1": [NaN, 2.5]}, "huge": 1e400, "unit": "\xb0C"}'),
        ("msgpack", msgspec.msgpack.encode({"a": {1: [0, 2.5]}})),
        ("cbor", cbor2.dumps({"a": {1: [0, 2.5]}})),
        ("python", b"{'a': {1: (0, 2.5,)}, 'b': None, 'c': True, 'd': nan, \"it's\": 'x\\'y'}"),
        ("json", gzip.compress(b'{"a": {"1": [0, 2.5]}}', mtime=0)),
        ("json", gzip.compress(gzip.compress(b'{"a": {"1": [0, 2.5]}}', mtime=0), mtime=0)),
    ],
)
def test_objects_are_read_in_every_format(format_: str, payload: bytes) -> None:
    toml = f'topic = "{{sensor}}"\nformat = "{format_}"\nfields = {{ velocity_rms = "a.1.1" }}'
    assert reading(toml, "vb", payload).level == 2.5


def test_csv_has_named_columns_and_a_line_for_each_reading() -> None:
    toml = """
        topic = "log/{machine}"
        format = "csv"
        columns = ["time", "id", "rms", "t"]
        sensor = "{id}"
        time = "time"
        fields = { level = ["rms", "g"], temperature = "t" }
        """
    payload = 'time,id,rms,t\n1796034600,"VB,1",0.5,20\n\n1796034610,VB2,0.25\n'
    found = readings(toml, "log/pump", payload)
    assert brief(found) == [("VB,1", 0.5 * G, {"temperature": 20}), ("VB2", 0.25 * G, {})]
    assert found[1].time_us - found[0].time_us == 10_000_000


def test_csv_of_other_countries_names_its_own_columns() -> None:
    toml = 'topic = "{sensor}"\nformat = "csv"\nfields = { velocity_rms = "v [mm/s]" }'
    assert reading(toml, "vb", "Zeit;v [mm/s]\n1;2,5\n").level == 2.5


def test_lines_of_influxdb_are_read_and_those_that_do_not_fit_left_out() -> None:
    toml = """
        topic = "telegraf/{host}"
        format = "line"
        where = { name = "vibration" }
        sensor = "{tags.id}"
        axes = ["x", "y"]
        fields = { level = ["fields.rms_{axis}", "mg"] }
        """
    lines = (
        "cpu,host=a usage=3 1796034600000000000\n# remark\n"
        'vibration,id=pump\\ 7 rms_x=312i,rms_y=10.5,note="a, b=c" 1796034600250000000'
    )
    out = outcome(toml, "telegraf/a", lines)
    assert brief(out.readings) == [
        ("pump 7-x", pytest.approx(0.312 * G), {}),
        ("pump 7-y", pytest.approx(0.0105 * G), {}),
    ]
    assert out.readings[0].time_us == 1_796_034_600_250_000
    assert out.filtered == 1


@pytest.mark.parametrize(
    "payload", ["v|2.5|t|47", "v=2.5,t=47", "v=2.5&t=47", "v:2.5;t:47", "v: 2.5".replace(" ", "") + " t:47"]
)
def test_pairs_are_names_and_values(payload: str) -> None:
    toml = 'topic = "{sensor}"\nformat = "pairs"\nfields = { velocity_rms = "v", temperature = "t" }'
    assert reading(toml, "vb", payload).quantities == {"velocity_rms": 2.5, "temperature": 47}


def test_groups_of_pairs_are_readings_with_their_times() -> None:
    toml = 'topic = "{sensor}"\nformat = "pairs"\ntime = "time"\nfields = { velocity_rms = "v" }'
    found = readings(toml, "vb", "2026-11-30T10:30:00Z|v|1#2026-11-30T10:30:10Z|v|2")
    assert [each.level for each in found] == [1, 2]
    assert found[1].time_us - found[0].time_us == 10_000_000


@pytest.mark.parametrize(("payload", "level"), [("2.5", 2.5), ('"2.5"', 2.5), ("2.5 in/s", 63.5), (" 1e1\n", 10)])
def test_a_bare_value_may_have_a_unit(payload: str, level: float) -> None:
    for field in ('["value", "@unit"]', '"value"'):
        toml = f'topic = "{{sensor}}"\nformat = "value"\nfields = {{ velocity_rms = {field} }}'
        assert reading(toml, "vb", payload).level == pytest.approx(level)


@pytest.mark.parametrize("payload", ["nan", "unknown", "unavailable"])
def test_a_value_that_nobody_knows_is_left_out(payload: str) -> None:
    out = outcome('topic = "{sensor}"\nformat = "value"\nfields = { velocity_rms = "value" }', "vb", payload)
    assert out.is_ignored
    assert not out.rejected


@pytest.mark.parametrize(
    ("format_", "payload", "reason"),
    [
        ("json", b"", "empty"),
        ("json", b"hello", "not_json"),
        ("json", b'{"a": ', "not_json"),
        ("json", b"[" * 100_000, "too_deep"),
        ("msgpack", b"\xc1", "not_understood"),
        ("msgpack", b"\x91" * 100_000, "too_deep"),
        ("cbor", b"\x9a\x7f\xff\xff\xff", "not_understood"),
        ("cbor", b"\x81" * 100_000, "not_understood"),
        ("python", b"{'a': __import__('os')}", "not_understood"),
        ("python", b"{'a': ", "not_understood"),
        ("line", b"what is this", "not_understood"),
        ("line", b"", "not_understood"),
        ("csv", b"only,a,header", "not_understood"),
        ("csv", b"a\n" * 10_002, "not_understood"),
        ("pairs", b"nothing", "not_understood"),
        ("value", b"", "not_understood"),
    ],
)
def test_what_is_not_in_its_format_is_refused_with_the_reason(format_: str, payload: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        read(format_, payload)
    assert refused.value.reason == reason
    assert str(refused.value)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * (2 * MAX_BYTES))
    with pytest.raises(UnreadableError, match="unpacked"):
        unzipped(bomb)
    with pytest.raises(UnreadableError, match="unpacked"):
        unzipped(gzip.compress(bomb))
    assert unzipped(gzip.compress(gzip.compress(gzip.compress(b"x")))).startswith(b"\x1f\x8b")


@pytest.mark.parametrize("payload", [b"\x1f\x8b", b"\x1f\x8b\x08junk", gzip.compress(b"{}", mtime=0)[:-12]])
def test_what_only_begins_like_gzip_is_a_dead_letter(payload: bytes) -> None:
    out = outcome('topic = "{sensor}"\nfields = { level = "a" }', "vb", payload)
    assert out.rejected[0].payload == payload


@pytest.mark.parametrize(
    ("format_", "payload"),
    [
        ("value", b"1" * 500_000 + b"x"),
        ("python", b"[" + b"1" * 500_000 + b"x]"),
        ("python", b"'" * 500_001),
        ("line", b"a" * 500_000 + b" b"),
        ("line", b"m," + b"a" * 500_000 + b" v=1"),
        ("line", b"m v=" + b'"' * 500_001),
        ("line", b"m " + b"v" * 500_000),
        ("pairs", b"a" * 500_000),
        ("csv", b'"' * 500_001),
        ("json", b'{"a":' * 500 + b"1" * 100_000),
    ],
)
def test_no_text_takes_long(format_: str, payload: bytes) -> None:
    """What is read in more than linear time would take hours here, and the limit of every test ends it."""
    with suppress(UnreadableError):
        read(format_, payload)


def test_a_line_without_a_time_is_of_when_it_came() -> None:
    toml = 'topic = "{sensor}"\nformat = "line"\nfields = { velocity_rms = "v" }'
    assert reading(toml, "vb", "m v=2.5").time_from == "received"


def test_objects_a_line_are_elements() -> None:
    toml = 'topic = "{sensor}"\neach = "."\nfields = { velocity_rms = "v" }'
    payload: Any = "\n".join(json.dumps({"v": value}) for value in (1, 2))
    assert [each.level for each in readings(toml, "vb", payload)] == [1, 2]
