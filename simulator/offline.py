"""A fleet's readings as CSV files, one for each machine, without a broker and as fast as they can be worked out.

Columns: `time` and `received` (epoch ms), `state`, and for each sensor one named after it, with the level, and one for
each feature, `SENSOR.feature`. A row holds what the machine's sensors measured at one moment; `time` is what a sensor's
own clock says, so one whose clock is wrong has rows of its own. What happens to messages on their way is left out.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from simulator.fleet import Fleet, Machine
from simulator.profile import Profile
from simulator.replay import FEATURES
from simulator.sensing import Reading, machine_readings

MS = 1000


def write_machines(
    fleet: Fleet, doing: dict[str, Profile], folder: Path, *, seed: int, start: datetime, until: float
) -> Iterator[tuple[Path, int]]:
    """Write `AREA-MACHINE.csv` for each machine, up to `until` simulated seconds; yield each file and its readings.

    OSError if the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for machine in fleet.machines:
        file = folder / f"{machine.area}-{machine.id}.csv"
        made = machine_readings(machine, seed, doing[machine.place])
        yield file, _write(file, machine, made, start, until)


def _write(file: Path, machine: Machine, made: Iterator[Reading], start: datetime, until: float) -> int:
    began, readings = round(start.timestamp() * MS), 0
    with file.open("w", encoding="utf-8", newline="") as out:
        out.write(",".join(_header(machine)) + "\n")
        for elapsed, group in groupby(made, key=attrgetter("elapsed")):
            if elapsed >= until:
                return readings
            together = [reading for reading in group if reading.sent]
            readings += len(together)
            out.writelines(f"{line}\n" for line in _rows(machine, together, began))
    return readings


def _header(machine: Machine) -> list[str]:
    columns = (name for sensor in machine.sensors for name in column_names(sensor.id))
    return ["time", "received", "state", *columns]


def column_names(sensor: str) -> list[str]:
    """Return a sensor's columns: its level, and its features by their names in the event."""
    return [sensor, *(f"{sensor}.{feature}" for feature in FEATURES)]


def _rows(machine: Machine, readings: list[Reading], began: int) -> Iterator[str]:
    for clock in sorted({reading.clock for reading in readings}):
        of = {reading.sensor.id: reading for reading in readings if reading.clock == clock}
        first = next(iter(of.values()))
        received = began + round(first.elapsed * MS)
        cells = (_cells(of.get(sensor.id)) for sensor in machine.sensors)
        yield f"{received + round(clock * MS)},{received},{first.state},{','.join(cells)}"


NOTHING = "," * len(FEATURES)


def _cells(reading: Reading | None) -> str:
    if reading is None:
        return NOTHING
    measured = reading.measurement
    return ",".join(map(str, (measured.level, *(getattr(measured, name) for name in FEATURES.values()))))
