"""Very many sensors that publish in a format, with one measurement each in turn: the load of a mapped input."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count

from simulator.formats import Format
from simulator.formats.sample import Device, Memory, Place, Sample
from simulator.measurement import Measurement
from simulator.publishing import Message

CREST, RPM, SHARES = 4.0, 1480.0, {"x": 1.0, "y": 0.8, "z": 0.6}
VELOCITY = 0.375  # mm/s for each m/s², as of a machine whose shaft makes half of the level


def crowd(form: Format, *, sensors: int, machines: int, level: Callable[[int], float]) -> Iterator[Message]:
    """Yield the messages of the sensors 1, 2, ... again and again; `level` gives the next level of a sensor in m/s²."""
    places = [_place(number, (number - 1) % machines + 1) for number in range(1, sensors + 1)]
    memories = {place.machine: Memory() for place in places}
    for sequence in count():
        for number, place in enumerate(places, 1):
            device = _device(form, place, sequence, level(number))
            sample = Sample(devices=[device], memory=memories[place.machine], origin="load")
            yield from (message for message in form.messages(sample) if not message.retain)


def _device(form: Format, place: Place, sequence: int, level: float) -> Device:
    return Device(
        place=place,
        id=form.sensor_id(place),
        time=datetime.now(UTC),
        sequence=sequence,
        state="running",
        axes={axis: _measurement(SHARES.get(axis, 1.0) * level) for axis in form.axes or ("",)},
    )


def _measurement(level: float) -> Measurement:
    return Measurement(level, VELOCITY * level, CREST * level, CREST, 3.0, 45.0, RPM, 0.75)


def _place(number: int, machine: int) -> Place:
    return Place(
        site="load",
        area="hall-1",
        machine=f"machine-{machine:04d}",
        description=f"Hall 1, machine-{machine:04d}",
        sensor=f"LOAD-{number:06d}",
        number=number,
        position="bearing",
        model="load",
        calibration_date="2026-01-01",
        baseline=None,
    )
