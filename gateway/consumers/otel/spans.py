"""What became of the readings behind alerts, as OpenTelemetry spans.

Who sends a reading with a traceparent finds these spans in that trace; else an alert's life is a trace of its own. All
ids follow from the facts, so that a span that is sent twice is the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.inputs.traceparent import is_valid
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import FAILED

_LONGEST_TEXT = 1000

Value = str | float | None


def spans_of_change(entry: EventRecord, reading: StoredReading | None) -> list[Span]:
    """Return the way of a reading to the change of an alert that it led to; of other changes only the change itself."""
    fact, now = entry.fact, entry.recorded_ns
    trace = _trace_id(fact, reading)
    about = {"alert.id": fact.data["id"], "alert.severity": fact.data["severity"], "alert.change": fact.data["finding"]}
    if reading is None:
        return [_span(trace, fact, fact.type, b"", (now, now), about)]
    place = {f"sensor.{name}": tag for name, tag in reading.tags.items()}
    measured: dict[str, Value] = {
        "reading.id": reading.event_id,
        "reading.level": reading.level,
        "reading.baseline": reading.baseline,
    }
    steps: list[tuple[str, tuple[int, int], Mapping[str, Value]]] = [
        (
            "receive",
            (min(reading.time_ns, reading.received_ns), reading.received_ns),
            {"sensor.id": reading.sensor_id, **place, **measured},
        ),
        ("store", (reading.received_ns, max(reading.received_ns, now)), {"journal.entry": reading.seq}),
        ("evaluate", (now, now), measured),
        (fact.type, (now, now), about),
    ]
    spans: list[Span] = []
    parent = bytes.fromhex(_traceparent(reading)[36:52])
    for name, times, attributes in steps:
        spans.append(_span(trace, fact, name, parent, times, attributes))
        parent = spans[-1].span_id
    return spans


def span_of_message(entry: EventRecord, cause: EventRecord, reading: StoredReading | None) -> Span:
    """Return the span from a change of an alert to what became of a message about it."""
    fact, data = entry.fact, entry.fact.data
    attributes = {"handler": data["handler"], "attempts": data["attempts"], "answer": data["said"]}
    times = (cause.recorded_ns, max(cause.recorded_ns, fact.time_ns))
    parent = _span_id(cause.fact, cause.fact.type)
    span = _span(_trace_id(cause.fact, reading), fact, f"notify {data['handler']}", parent, times, attributes)
    if fact.type == FAILED:
        span.status.code = Status.STATUS_CODE_ERROR
    return span


def _traceparent(reading: StoredReading | None) -> str:
    found = None
    with suppress(msgspec.MsgspecError):  # a body that the disk has damaged; the reading's row stands beside it
        found = reading.event().traceparent if reading is not None else None
    return found if found is not None and is_valid(found) else ""


def _trace_id(fact: DomainEvent, reading: StoredReading | None) -> bytes:
    """Return the trace of the reading behind a change of an alert, else that of the alert."""
    return bytes.fromhex(_traceparent(reading)[3:35]) or _digest(16, fact.data["id"])


def _span_id(fact: DomainEvent, name: str) -> bytes:
    return _digest(8, fact.id, name)


def _digest(size: int, *parts: str) -> bytes:
    return blake2b("\x1f".join(parts).encode(), digest_size=size).digest()


def _span(  # noqa: PLR0917 - as they stand in a span
    trace: bytes, fact: DomainEvent, name: str, parent: bytes, times: tuple[int, int], attributes: Mapping[str, Value]
) -> Span:
    return Span(
        trace_id=trace,
        span_id=_span_id(fact, name),
        parent_span_id=parent,
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=times[0],
        end_time_unix_nano=times[1],
        attributes=attributes_of(attributes),
    )


def attributes_of(values: Mapping[str, Value]) -> list[KeyValue]:
    """Return attributes as they are sent; what is None is not there."""
    return [
        KeyValue(
            key=name,
            value=AnyValue(string_value=value[:_LONGEST_TEXT])
            if isinstance(value, str)
            else AnyValue(double_value=value),
        )
        for name, value in values.items()
        if value is not None
    ]
