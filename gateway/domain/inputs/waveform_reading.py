"""The waveforms of a message, axis by axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.domain.inputs.emitter import Subject, key_of
from gateway.domain.inputs.fields import UNIT, Found
from gateway.domain.inputs.numbers import LEVEL, LEVEL_WIRE, UnknownUnitError, canonical_symbol, measured_in
from gateway.domain.inputs.paths import ABSENT, find
from gateway.domain.inputs.results import Outcome, Reading, Waveform, event_of, moment_of
from gateway.domain.inputs.route import VELOCITY, VELOCITY_UNIT
from gateway.domain.inputs.waveforms import (
    Assembly,
    NoWaveformError,
    WaveformSpec,
    factor_of,
    features,
    part_of,
    rate_of,
    samples_of,
    scaled,
)

if TYPE_CHECKING:
    from gateway.domain.inputs.reader import MessageReader


def take_waveforms(reader: MessageReader, element: Any, captured: Mapping[str, str], found: list[Found]) -> bool:
    """Add the waveforms that an element has; return whether it has any, whole or not.

    What was measured beside them goes with them: it is taken out of `found`.
    """
    spec, extraction = reader.spec.waveform, reader.route.extraction
    blocks = [(slot, find(element, spec.of_axis(axis))) for slot, axis in enumerate(extraction.axes)] if spec else []
    blocks = [(slot, block) for slot, block in blocks if block is not ABSENT]
    subject = reader.subject(element, captured) if blocks else None
    shared = dict(found[-1])
    for slot, block in blocks:
        wave = _waveform(reader, element, subject, extraction.names[slot], block) if subject else None
        if wave is not None:
            wave.values = {name: value for name, value in {**shared, **found[slot]}.items() if name != UNIT}
            found[slot].clear()
            found[-1].clear()
            reader.out.waveforms.append(wave)
    return bool(blocks)


def _waveform(reader: MessageReader, element: Any, subject: Subject, axis: str | None, block: Any) -> Waveform | None:
    """Return a waveform; None where a part of it is missing, or where it is none, which is said."""
    try:
        return _made(reader, element, subject, axis, block)
    except (NoWaveformError, UnknownUnitError) as error:
        reader.trouble(f"a waveform of {subject.sensor(axis)!r} cannot be used: {error}")
        return None


def _made(reader: MessageReader, element: Any, subject: Subject, axis: str | None, block: Any) -> Waveform | None:
    spec = reader.spec.waveform
    assert spec is not None  # noqa: S101 - it has found the block
    samples = samples_of(spec, block)
    time_us, time_from = subject.when
    if spec.parts is not None:
        key = f"wave\x1f{reader.spec.name}\x1f{key_of(subject.sensor(axis), subject.place)}"
        whole = Assembly(reader.memory, key).add(part_of(spec.parts, element, samples, time_us))
        if whole is None:
            reader.out.waits = True
            return None
        samples, time_us = whole
    kind, unit = measured_in(LEVEL, _unit(spec, element))
    samples = scaled(samples, factor_of(spec, element) * unit.factor, unit.offset)
    sensor = subject.sensor(axis)
    return Waveform(
        input=reader.spec.name,
        sensor=sensor,
        source=subject.source,
        axis=axis,
        place=subject.place,
        time_us=time_us,
        time_from=time_from,
        rate=rate_of(spec, element),
        unit=canonical_symbol(kind),
        sensor_unit=unit.symbol,
        samples=samples,
        values={},
        event_id=reader.emitter.event_id((time_us, time_from)),
    )


def _unit(spec: WaveformSpec, element: Any) -> str | None:
    if spec.unit_path is None:
        return spec.unit
    found = find(element, spec.unit_path)
    return found if isinstance(found, str) else None


def reading_of(wave: Waveform) -> Reading | None:
    """Return the reading that a waveform's features are, with what came beside it; None for a block of one sample.

    It takes about a microsecond for three samples: call it off the batch.
    """
    found = features(wave.samples)
    if not found:
        return None
    data: dict[str, Any] = {LEVEL_WIRE: found["rms"], **found}
    del data["rms"]
    if wave.unit != canonical_symbol("acceleration"):
        del data["peak"]
    if wave.unit == VELOCITY_UNIT:
        data[VELOCITY] = found["rms"]
    data |= wave.values
    data |= {"sensorId": wave.sensor, "unit": wave.unit, "sensorUnit": wave.sensor_unit}
    event, body = event_of(moment_of(wave.time_us), wave.event_id, data)
    return Reading(wave.input, wave.source, wave.axis, wave.place, wave.time_from, event, body)


def with_features(out: Outcome) -> list[Reading]:
    """Return the readings of a message, those of its waveforms among them: for who has time to wait for them."""
    return [*out.readings, *(reading for wave in out.waveforms if (reading := reading_of(wave)) is not None)]
