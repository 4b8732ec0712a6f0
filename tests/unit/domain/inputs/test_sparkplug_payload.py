import gzip
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.sparkplug_payload import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_METRICS,
    MalformedError,
    Payload,
    Sent,
    number_of,
    read,
)
from tests.sparkplug import (
    BOOLEAN,
    DATE_TIME,
    DOUBLE,
    FLOAT,
    FLOAT_ARRAY,
    INT16,
    INT16_ARRAY,
    INT32,
    INT64,
    STRING,
    TEMPLATE,
    Float32,
    Value,
    field,
    metric,
    payload,
    properties,
    varint,
)


def only(data: bytes) -> Sent:
    (sent,) = read(data).metrics
    return sent


def value_of(data: bytes) -> object:
    sent = only(data)
    return number_of(sent.kind, sent.value)


def test_a_payload_has_its_time_its_place_in_the_sequence_and_its_metrics() -> None:
    data = payload(metric("RMS", 0.31, DOUBLE, alias=7, at=1_796_034_599_000), seq=255)
    assert read(data) == Payload(
        time=1_796_034_600_000,
        seq=255,
        metrics=[Sent("RMS", 7, DOUBLE, ("double", struct.pack("<d", 0.31)), time=1_796_034_599_000)],
    )


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        (INT16, 0xFFFF_FFFF, -1),
        (INT16, 0xFFFF, -1),
        (INT16, 0xFFFF_FFFF_FFFF_FFFF, -1),
        (INT32, 0xFFFF_FFFE, -2),
        (INT64, 0xFFFF_FFFF_FFFF_FFFD, -3),
        (INT32, 70_000, 70_000),
        (7, 0xFFFF_FFFF, 0xFFFF_FFFF),
        (DATE_TIME, 1_796_034_600_000, 1_796_034_600_000),
        (DOUBLE, 3, 3.0),
        (BOOLEAN, 1, True),
        (BOOLEAN, True, True),
        (0, 12, 12),
        (FLOAT, Float32(0.5), 0.5),
        (DOUBLE, float("nan"), None),
        (DOUBLE, float("inf"), None),
        (STRING, "mm/s", "mm/s"),
        (INT16_ARRAY, struct.pack("<3h", 1, -2, 3) + b"\x00", [1, -2, 3]),
        (FLOAT_ARRAY, struct.pack("<2f", 0.5, -0.25), [0.5, -0.25]),
        (17, b"\x01\x02", b"\x01\x02"),
    ],
)
def test_a_value_is_what_its_type_says(kind: int, sent: Value, value: object) -> None:
    assert value_of(payload(metric("x", sent, kind))) == value


def test_unit_quality_and_flags_are_told() -> None:
    more = field(5, 1) + field(6, 1) + field(9, properties(Quality=500, engUnit="mm/s"))
    sent = only(payload(metric("v", 2.4, DOUBLE, more=more)))
    assert (sent.unit, sent.quality, sent.historical, sent.transient) == ("mm/s", "stale", True, True)


def test_a_null_value_is_none() -> None:
    assert value_of(payload(metric("v", 2.4, DOUBLE, more=field(7, 1)))) is None


def test_a_template_has_members_and_its_definition_has_none() -> None:
    inner = field(2, metric("RMS X", 0.3, DOUBLE)) + field(3, field(1, "rate") + field(2, DOUBLE) + field(6, 25.6))
    instance = only(payload(metric("Pump 7", kind=TEMPLATE, more=field(18, inner))))
    definition = only(payload(metric("Vibration", kind=TEMPLATE, more=field(18, inner + field(5, 1)))))
    assert [(one.name, number_of(one.kind, one.value)) for one in instance.members or []] == [
        ("RMS X", 0.3),
        ("rate", 25.6),
    ]
    assert definition.members == []


def data_set(*rows: bytes, kinds: tuple[int, ...] = (DATE_TIME, DOUBLE)) -> bytes:
    columns = field(2, "at") + field(2, "rms") + b"".join(field(3, kind) for kind in kinds)
    return payload(metric("log", kind=16, more=field(17, columns + b"".join(field(4, row) for row in rows))))


def row(at: int, rms: float) -> bytes:
    return field(1, field(2, at)) + field(1, field(4, rms))


def test_each_row_of_a_data_set_has_its_own_time() -> None:
    sent = only(data_set(row(1_796_034_600_000, 0.3), row(1_796_034_601_000, 0.4)))
    found = [(one.name, one.time, number_of(one.kind, one.value)) for one in sent.members or [] if one.name == "rms"]
    assert found == [("rms", 1_796_034_600_000, 0.3), ("rms", 1_796_034_601_000, 0.4)]


def test_rows_without_a_time_are_counted_and_not_read() -> None:
    found = read(data_set(row(1, 0.3), row(2, 0.4), kinds=(INT64, DOUBLE)))
    assert (found.unread, found.metrics[0].members) == (2, [])


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_payload_is_unpacked(compress: object) -> None:
    assert callable(compress)
    inner = field(2, metric("RMS", 0.31, DOUBLE))
    found = read(field(1, 5) + field(3, 9) + field(4, "SPBV1.0_COMPRESSED") + field(5, compress(inner)))
    assert (found.time, found.seq, [one.name for one in found.metrics]) == (5, 9, ["RMS"])


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(MAX_BYTES + 1))
    with pytest.raises(MalformedError, match=f"more than {MAX_BYTES}"):
        read(field(4, "SPBV1.0_COMPRESSED") + field(5, bomb))


def test_a_compressed_payload_within_another_is_left_as_it_is() -> None:
    body = field(4, "SPBV1.0_COMPRESSED") + field(5, gzip.compress(field(2, metric("RMS", 0.3))))
    assert read(field(4, "SPBV1.0_COMPRESSED") + field(5, gzip.compress(body))).metrics == []


def test_templates_are_read_to_their_limit_of_depth() -> None:
    inner = metric("x", 1.0, DOUBLE)
    for _ in range(MAX_DEPTH):
        inner = metric("t", kind=TEMPLATE, more=field(18, field(2, inner)))
    read(payload(inner))
    with pytest.raises(MalformedError, match="deep"):
        read(payload(metric("t", kind=TEMPLATE, more=field(18, field(2, inner)))))


def test_ten_thousand_metrics_are_read_and_one_more_is_refused() -> None:
    many = field(2, metric("x", 1.0, DOUBLE)) * MAX_METRICS
    assert len(read(many).metrics) == MAX_METRICS
    with pytest.raises(MalformedError, match="more than 10000 metrics"):
        read(many + field(2, metric("x", 1.0, DOUBLE)))


def test_a_payload_that_is_too_large_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        read(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80", "no number ends"),
        (b"\x08" + b"\xff" * 11, "no number ends"),
        (b"\x12\x05ab", "cut off: 5 bytes"),
        (b"\x0b", "wire type 3"),
        (b"\x21\x00", "cut off: 8 bytes"),
    ],
)
def test_what_is_no_protocol_buffer_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        read(data)


def test_a_field_of_the_wrong_wire_type_is_unknown() -> None:
    assert only(payload(field(1, 5) + field(10, b"12") + field(12, 3))) == Sent()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = read(data)
    except MalformedError:
        return
    for sent in found.metrics:
        number_of(sent.kind, sent.value)


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_read_as_it_was_written(number: int) -> None:
    assert read(b"\x18" + varint(number)).seq == number


@given(
    st.lists(
        st.builds(metric, st.text(max_size=5), st.floats(), st.integers(0, 40), alias=st.integers(0, 9)), max_size=5
    ),
    st.data(),
)
def test_a_payload_that_is_cut_off_is_a_shorter_one_or_refused(metrics: list[bytes], data: st.DataObject) -> None:
    whole = payload(*metrics)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        assert read(whole[:cut]).metrics == read(whole).metrics[: len(read(whole[:cut]).metrics)]
    except MalformedError:
        assert cut < len(whole)
