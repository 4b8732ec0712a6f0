import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.publishing import Message
from simulator.recording import Recorded, read_recording
from simulator.replay import Problems

TIME = datetime(2026, 11, 30, 22, 0, 18, tzinfo=UTC)


def read(*lines: bytes) -> tuple[list[Recorded], Problems]:
    problems = Problems()
    return list(read_recording(lines, problems)), problems


def as_mosquitto_sub_writes(topic: str, payload: bytes, retain: int = 0) -> bytes:
    """Write a line of %j: the bytes of the payload as they are, but for what JSON must escape, up to the first zero."""
    text = payload.split(b"\0")[0].decode(errors="surrogateescape")
    head = {"tst": "2026-11-30T22:00:18.417901Z+0000", "topic": topic, "qos": 0, "retain": retain}
    line = json.dumps(head | {"payloadlen": len(payload), "payload": text}, ensure_ascii=False)
    return line.encode(errors="surrogateescape") + b"\n"


def test_a_line_of_json_is_the_message_with_its_time_and_its_retain_flag() -> None:
    (found,), problems = read(as_mosquitto_sub_writes("a b/ü", b'{"a": 1.50, "\xc2\xb5": "x"}', retain=1))
    assert found.message == Message("a b/ü", b'{"a": 1.50, "\xc2\xb5": "x"}', retain=True)
    assert found.time == TIME.replace(microsecond=417901)
    assert not problems.bad_rows


def test_a_line_of_hex_is_the_message_with_its_time() -> None:
    found, problems = read(b"2026-11-30T23:00:18+0100 a b/\xc3\xbc 7b7d\n", b"2026-11-30T22:00:18+0000 empty \n", b"\n")
    assert found == [Recorded(TIME, Message("a b/ü", b"{}")), Recorded(TIME, Message("empty", b""))]
    assert not problems.bad_rows


def test_an_empty_payload_of_json_is_null() -> None:
    (found,), _ = read(b'{"tst":"2026-11-30T22:00:18Z","topic":"t","qos":0,"retain":1,"payloadlen":0,"payload":null}')
    assert found == Recorded(TIME, Message("t", b"", retain=True))


@given(payload=st.binary(max_size=200))
def test_a_payload_comes_out_as_it_went_in_or_is_said_to_be_cut(payload: bytes) -> None:
    found, problems = read(as_mosquitto_sub_writes("t", payload))
    if b"\0" in payload:
        assert (found, problems.bad_rows) == ([], 1)
        assert "%j ends at a zero: record with -F '%I %t %x'" in problems.first[0]
    else:
        assert [each.message.payload for each in found] == [payload]


@given(
    payload=st.binary(max_size=200),
    topic=st.text(st.characters(codec="utf-8", exclude_characters="+#\0\r\n$"), min_size=1),
)
def test_hex_keeps_every_payload_and_topic(payload: bytes, topic: str) -> None:
    found, problems = read(f"2026-11-30T22:00:18+0000 {topic} {payload.hex()}\n".encode())
    assert [each.message for each in found] == [Message(topic, payload)]
    assert not problems.bad_rows


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"time,rms\n", "Invalid isoformat string"),
        (b"2026-11-30T22:00:18+0000 t zz\n", "non-hexadecimal number"),
        (b'{"tst":"2026-11-30T22:00:18Z","topic":"t","payload":{"a":1}}', "is no text, as %J writes them"),
        (b'{"topic":"t","payload":"1"}', "Invalid isoformat string: 'None'"),
        (b'{"tst":"2026-11-30T22:00:18Z","topic":"$SYS/uptime","payload":"1"}', "is no topic to publish to"),
        (b'{"tst":"2026-11-30T22:00:18Z","topic":"a/#","payload":"1"}', "is no topic to publish to"),
        (b'{"tst":"2026-11-30T22:0', "Unterminated string"),
        (b'{"a":' * 100_000, "recursion"),
        (b'{"tst":"2026-11-30T22:00:18Z","topic":"t","payload":"\\ud800"}', "surrogates not allowed"),
    ],
)
def test_a_line_that_cannot_be_used_is_counted_and_says_why(line: bytes, problem: str) -> None:
    good = as_mosquitto_sub_writes("t", b"1")
    found, problems = read(good, line, good)
    assert len(found) == 2
    assert problems.bad_rows == 1
    assert problems.first[0].startswith("line 2: ")
    assert problem in problems.first[0]
