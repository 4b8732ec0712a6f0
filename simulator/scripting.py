"""A fleet, a seed and a start: everything that decides what a run publishes, or writes, and what its truth is."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from simulator import offline, run
from simulator.demo import AFTER_LEARNING, SOON, demo_fleet
from simulator.fleet import Fleet, FleetError, load_fleet
from simulator.formats import EVENT, Format
from simulator.formats.sample import Memory
from simulator.heard import as_heard, places_of
from simulator.publishing import Message, Publisher
from simulator.sensing import profiles
from simulator.transport import disturb
from simulator.trial import trial_fleet
from simulator.truth import encode_truth, truth_of

__all__ = ["FleetError", "Script", "choose_fleet"]


def choose_fleet(file: Path | None, trial: int | None, seed: int, form: Format = EVENT) -> Fleet:
    """Return the fleet of a file, the trial with so many faults of each kind, or the built-in one; FleetError.

    In the built-in one a machine fails soon, but not before a gateway can know what is normal: only events say that.
    """
    if file:
        return load_fleet(file)
    return trial_fleet(trial, seed) if trial else demo_fleet(SOON if form is EVENT else AFTER_LEARNING)


class Script:
    """What is played. `speed` simulated seconds pass in a real one. FleetError if the fleet does not fit the format."""

    def __init__(self, fleet: Fleet, seed: int, start: datetime, speed: float, form: Format = EVENT) -> None:
        self.fleet = fleet
        self.seed = seed
        self._heard = as_heard(fleet, form)
        self._form = form
        self._start = start
        self._speed = speed
        self._doing = profiles(fleet, seed)
        self._memories = {machine.place: Memory() for machine in fleet.machines}

    def first_states(self) -> list[Message]:
        """Make what is published with each connection."""
        return run.first_states(self.fleet, self._doing, self._start, self._form)

    def commands(self) -> dict[str, Callable[[bytes], None]]:
        """Return what obeys on which topic."""
        command, obey = self._form.command, self._form.obey
        if command is None or obey is None:
            return {}
        memories = [
            (command(places_of(self.fleet, each)[0]), self._memories[each.place]) for each in self.fleet.machines
        ]
        return {topic: partial(obey, memory) for topic, memory in memories}

    async def publish(
        self, publisher: Publisher, *, duration: float | None, truth: Path | None, stop: asyncio.Event
    ) -> None:
        """Publish for `duration` real seconds; the truth is written at the start, and again with the real end."""
        form, speed = self._form, self._speed
        due = run.messages(
            self.fleet, self._doing, form, self._memories, seed=self.seed, start=self._start, speed=speed
        )
        arriving = disturb(due, self.fleet.transport, seed=self.seed, speed=speed)
        self._write_truth(truth, None if duration is None else duration * speed)
        began = time.monotonic()
        try:
            present, farewells = run.presences(self.fleet, speed, form), run.farewells(self.fleet, form)
            await run.publish_fleet(publisher, arriving, present, farewells, duration=duration, stop=stop)
        finally:
            lasted = time.monotonic() - began
            self._write_truth(truth, speed * (lasted if duration is None else min(duration, lasted)))

    def write(self, folder: Path, truth: Path | None, duration: float) -> Iterator[tuple[Path, int]]:
        """Write the machines' files up to `duration` simulated seconds; yield each and its readings. OSError."""
        self._write_truth(truth, duration)
        yield from offline.write_machines(
            self.fleet, self._doing, folder, seed=self.seed, start=self._start, until=duration
        )

    def _write_truth(self, file: Path | None, until: float | None) -> None:
        if file is not None:
            found = truth_of(
                self._heard, self._doing, seed=self.seed, start=self._start, speed=self._speed, until=until
            )
            file.write_bytes(encode_truth(found))
