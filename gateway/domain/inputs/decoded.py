"""What a decoder plugin returns -> readings and waveforms."""

from __future__ import annotations

from array import array

from gateway.domain.inputs.decoders import Decoded, DecoderError, decoded
from gateway.domain.inputs.emitter import Emitter, Subject
from gateway.domain.inputs.fields import UNIT, Found, put
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.numbers import LARGEST, LEVEL, Field, UnknownUnitError, canonical_symbol, measured_in, number
from gateway.domain.inputs.results import Outcome, Waveform, is_id
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.specs import Decode
from gateway.domain.inputs.waveforms import NoWaveformError, finite, scaled
from gateway.domain.model.events import Message, Rejected
from gateway.domain.model.quantities import BY_KEY


def read_decoded(route: Route, decode: Decode, message: Message, memory: Memory) -> Outcome:
    """Return what a decoder makes of a message; whatever is wrong with that makes a dead letter."""
    name = route.spec.name
    emitter = Emitter(route, message)
    out = emitter.out
    try:
        for each in decoded(name, decode, message, memory):
            _take(emitter, each)
    except (DecoderError, UnknownUnitError, NoWaveformError) as error:
        return Outcome(input=name, rejected=[Rejected("decoder_failed", f"input {name!r}: {error}", message.payload)])
    if not out.is_understood:
        out.ignored_as(name, "the decoder made nothing of it")
    return out


def _take(emitter: Emitter, each: Decoded) -> None:
    if not is_id(each.sensor):
        raise DecoderError(f"{each.sensor[:40]!r} cannot be a sensor's id")
    when = emitter.ago(0) if each.time is None else emitter.moment(each.time)
    subject = Subject(each.sensor, {**emitter.route.place(emitter.route.captured, ()), **each.place}, when)
    values = _values(each, emitter.out)
    if each.samples is not None:
        emitter.out.waveforms.append(_waveform(emitter, each, subject, values))
    elif values:
        emitter.emit_one(_axis(each), values, subject)


def _axis(each: Decoded) -> str | None:
    return each.axis.lower() if each.axis else None


def _values(each: Decoded, out: Outcome) -> Found:
    found: Found = {}
    for name, raw in each.values.items():
        if name != LEVEL and name not in BY_KEY:
            raise DecoderError(f"{name!r} is no quantity; there are {', '.join([LEVEL, *BY_KEY])}")
        value = number(raw)
        if value is not None:
            put(found, Field(name, ()), value, each.units.get(name), out.note)
    return found


def _waveform(emitter: Emitter, each: Decoded, subject: Subject, values: Found) -> Waveform:
    kind, unit = measured_in(LEVEL, each.units.get(LEVEL))
    if each.rate is None or not 0 < each.rate < LARGEST:
        raise DecoderError("samples need their rate")
    sensor = subject.sensor(_axis(each))
    return Waveform(
        input=emitter.route.spec.name,
        sensor=sensor,
        source=subject.source,
        axis=_axis(each),
        place=subject.place,
        time_us=subject.when[0],
        time_from=subject.when[1],
        rate=each.rate,
        unit=canonical_symbol(kind),
        sensor_unit=unit.symbol,
        samples=scaled(finite(array("f", each.samples or ())), unit.factor, unit.offset),
        values={name: value for name, value in values.items() if name != UNIT},
        event_id=emitter.event_id(subject.when),
    )
