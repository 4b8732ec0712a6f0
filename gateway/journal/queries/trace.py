"""The whole life of one event, put together from the journal: published, received, stored, judged, told, written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gateway.domain.alerting.alert import ALERT_FACTS, RAISED
from gateway.domain.detection.baseline_events import BASELINE_LEARNED
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.inputs.traceparent import is_valid
from gateway.domain.model.assets import asset_of
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.reading import FLAG_NAMES, Flag, in_words, quantities_of
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.model import DEFERRED, FAILED, SENT, SUPPRESSED
from gateway.journal.queries.machine_states import in_words as in_state
from gateway.journal.queries.machine_states import said_state
from gateway.journal.queries.reader import Reader

INFLUX = "influx"
_NOTIFICATION = "Notification"
_WITHHELD = {SUPPRESSED: "suppressed", DEFERRED: "deferred"}
_MOST = 50
_ANSWERS = 5

_NOT_JUDGED = {
    Flag.LATE: "it lies behind its sensor's newest reading: stored, not judged, and nobody is paged for it",
    Flag.RETAINED: "it is the broker's memory of an earlier reading (retained): stored, not judged",
}

Line = dict[str, Any]
"""One line of a trace: `step`, `at` (RFC 3339 or None), `what` in words, and names and numbers that belong to it."""


def life_of(reader: Reader, event_id: str) -> dict[str, Any] | None:
    """Return everything that is known of an event: a reading, what followed from it, a rejected one; None if nothing.

    The id may be a reading's, or that of a fact or a notification: then the reading at its beginning is traced.
    """
    start = _first_cause(reader, event_id)
    reading = reader.find_reading(start)
    lines: list[Line] = []
    if reading is not None:
        lines += _of_reading(reader, reading)
    else:
        lines += [line for entry in reader.entries_with_id(start) for line in _of_fact(reader, entry)]
    lines += _rejections(reader, start)
    if not lines:
        return None
    kind = "reading" if reading is not None else lines[0]["step"]
    return {
        "eventId": start,
        "asked": event_id,
        "kind": "rejected" if kind == "rejected" else "reading" if kind == "reading" else "fact",
        "sensorId": reading.sensor_id if reading is not None else None,
        "traceparent": _traceparent(reading),
        "steps": lines,
    }


def traceparent_behind(reader: Reader, fact: DomainEvent) -> str:
    """Return the traceparent of the reading that a fact followed from; empty if it has none, or none that is valid."""
    found = _traceparent(reader.reading_behind(fact)) or ""
    return found if is_valid(found) else ""


def _first_cause(reader: Reader, event_id: str) -> str:
    """Walk from a notification or a fact up to what began it."""
    event_id = reader.cause_of_notification(event_id) or event_id
    seen = {event_id}
    while facts := reader.entries_with_id(event_id):
        cause = facts[0].fact.causation_id
        if cause in seen:
            break
        seen.add(cause)
        known = reader.entries_with_id(cause) or reader.find_reading(cause)
        if not known:
            break
        event_id = cause
    return event_id


def _of_reading(reader: Reader, reading: StoredReading) -> Iterator[Line]:
    event = reading.event()
    level = in_words(quantities_of(event.data)) if reading.level is None else f"{reading.level:g} {event.data.unit}"
    yield _line("published", rfc3339(int(event.timestamp.timestamp() * 1e6) * 1000), f"{reading.sensor_id}: {level}")
    delay = (reading.received_ns - reading.time_ns) / 1e9
    yield _line("received", rfc3339(reading.received_ns), f"{delay:.3f} s after it was measured", delaySeconds=delay)
    yield from _original(reader, reading)
    yield _stored(reading)
    caused = reader.entries_caused_by(reading.event_id, _MOST)
    yield _evaluated(reader, reading, caused)
    for entry in caused:
        yield from _of_fact(reader, entry)
    yield _influx(reader, reading)


def _original(reader: Reader, reading: StoredReading) -> Iterator[Line]:
    """Yield the message that an input made a reading of, as it came; nothing for an event of our own."""
    found = reader.original_of(reading.seq)
    if found is not None:
        received_ns, name, topic, payload, size = found
        text = payload.decode(errors="backslashreplace")
        what = f"input {name} read it on {topic}, {size} bytes{' that begin' if size > len(payload) else ''}: {text}"
        yield _line("message", rfc3339(received_ns), what, input=name, topic=topic, payload=text, bytes=size)
    elif (wave := reader.waveform_of(reading.event_id)) is not None:
        received_ns, topic, about, samples = wave
        what = f"input {about['input']} read a waveform on {topic}: {samples} samples, {about['rate']:g} a second"
        yield _line("message", rfc3339(received_ns), what, input=about["input"], topic=topic)


def _stored(reading: StoredReading) -> Line:
    flags = [name for flag, name in FLAG_NAMES.items() if reading.flags & flag]
    what = f"entry {reading.seq} of the journal, once; the same reading again would change nothing"
    if reading.flags & Flag.CLOCK_REPLACED:
        what += "; its sensor's clock cannot be believed, so that it counts at the time of receipt"
    return _line("stored", None, what, seq=reading.seq, flags=flags, countsAt=rfc3339(reading.time_ns))


def _evaluated(reader: Reader, reading: StoredReading, caused: list[EventRecord]) -> Line:
    """Say what a reading was compared with and what came of it."""
    baseline = _baseline(reader, reading)
    for flag, why in _NOT_JUDGED.items():
        if reading.flags & flag:
            return _line("not evaluated", None, why, baseline=baseline)
    results = [entry.fact.type for entry in caused]
    state = in_state(said_state(reader, asset_of(reading.tags), reading))
    said = f"; its machine was said to be {state}" if state else ""
    if reading.level is None:
        what = f"no level: judged by the limits of its quantities alone: {', '.join(results) or 'nothing changed'}"
        return _line("evaluated", None, what, baseline=None, led_to=results)
    if baseline is None:
        what = "there was no baseline yet: learned from, unless its machine stood still"
        return _line("evaluated", None, what + said, baseline=None)
    ratio = f"{reading.level / baseline['level']:.2f} × " if baseline["level"] else ""
    version = f", version {baseline['version']}" if baseline["version"] else ""
    what = f"{ratio}the {baseline['source']} baseline {baseline['level']:g}{version}: "
    what += (", ".join(results) or "nothing changed") + said
    return _line("evaluated", None, what, baseline=baseline, led_to=results)


def _baseline(reader: Reader, reading: StoredReading) -> dict[str, Any] | None:
    """Return the baseline of a reading; its version is known if it was learned, by its level."""
    if reading.baseline is None:
        return None
    for entry in reader.entries(reading.sensor_id, BASELINE_LEARNED, None, reading.time_ns + 1, _MOST):
        data = entry.fact.data
        if data.get("level") == reading.baseline:
            return {"level": reading.baseline, "source": data.get("source"), "version": data.get("version")}
    own = reading.event().data.baseline_vibration_level
    source = "sensor's own" if own == reading.baseline else "configured"
    return {"level": reading.baseline, "source": source, "version": None}


def _of_fact(reader: Reader, entry: EventRecord) -> Iterator[Line]:
    """Yield a fact, who was told of it, and what followed from it; of an alert that it raises all later changes."""
    fact = entry.fact
    yield from _told(reader, entry)
    for follower in reader.entries_caused_by(fact.id, _MOST):
        if follower.fact.id != fact.id and not follower.fact.type.startswith(_NOTIFICATION):
            yield from _of_fact(reader, follower)
    if fact.type == RAISED:
        for later in reader.alert_events(fact.data["id"]):
            if later.fact.type in ALERT_FACTS and later.fact.causation_id not in {fact.id, fact.causation_id}:
                yield from _told(reader, later)


def _told(reader: Reader, entry: EventRecord) -> Iterator[Line]:
    """Yield a fact, who was told of it with what outcome, and who was not and why."""
    fact = entry.fact
    data = fact.data
    said = data.get("finding") or data.get("said") or data.get("reason") or ""
    yield _line(fact.type, rfc3339(fact.time_ns), str(said), id=fact.id, alertId=data.get("id"))
    followers = [each.fact for each in reader.entries_caused_by(fact.id, _MOST)]
    settled = {each.data["handler"]: each for each in followers if each.type in {SENT, FAILED}}
    for handler, state, attempts, answer in reader.outbox_of(fact.id):
        at = rfc3339(settled[handler].time_ns) if handler in settled else None
        what = f"{handler}: {state} after {attempts} attempt{'s' * (attempts != 1)}"
        yield _line("notification", at, f"{what}{f': {answer}' * bool(answer)}", handler=handler, state=state)
    yield from (_withheld(each) for each in followers if each.type in _WITHHELD)


def _withheld(fact: DomainEvent) -> Line:
    """Return the decision not to tell somebody, or not yet."""
    data = fact.data
    what = (
        f"{data['handler'] or data['route'] or 'everybody'}: {_WITHHELD[fact.type]} by {data['by']}: {data['reason']}"
    )
    until = f", until {data['until']}" if data["until"] else ""
    return _line("not told", rfc3339(fact.time_ns), what + until, handler=data["handler"], state=_WITHHELD[fact.type])


def _influx(reader: Reader, reading: StoredReading) -> Line:
    cursor = reader.cursors().get(INFLUX)
    if cursor is None:
        return _line("influxdb", None, "none is configured: the journal keeps the history", state="none")
    if cursor >= reading.seq:
        return _line("influxdb", None, "written, or refused as a dead letter", state="passed")
    if cursor == 0:
        return _line("influxdb", None, "not yet: it has not been reached yet", state="waiting")
    return _line("influxdb", None, f"not yet: it is at entry {cursor}", state="waiting")


def _rejections(reader: Reader, event_id: str) -> Iterator[Line]:
    """Yield the dead letters with this id, or that name it in a payload that cannot be read."""
    for letter in reader.dead_letters_that_mention(event_id, _ANSWERS):
        what = f"{letter['reason']}: {letter['detail']}; dead letter {letter['seq']}, on {letter['topic']}"
        if _is_of(letter["payload"], event_id):
            yield _line("rejected", rfc3339(letter["received"]), what, seq=letter["seq"], reason=letter["reason"])


def _is_of(payload: bytes, event_id: str) -> bool:
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return True
    return not isinstance(event, dict) or event.get("eventId", event_id) == event_id


def _traceparent(reading: StoredReading | None) -> str | None:
    return reading.event().traceparent if reading is not None else None


def _line(step: str, at: str | None, what: str, **more: object) -> Line:
    return {"step": step, "at": at, "what": what, **more}
