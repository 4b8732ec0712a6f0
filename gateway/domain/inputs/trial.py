"""Messages that inputs are tried with, and what comes of them."""

from __future__ import annotations

from typing import Any

from gateway.domain.inputs.expected import differences
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Outcome, Reading, timestamp
from gateway.domain.inputs.waveform_reading import with_features
from gateway.domain.model.events import Message


class Trial:
    """Messages that inputs are tried with, and what came of them."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._memory = Memory()
        self.outcomes: list[tuple[Message, Outcome]] = []
        self.readings: list[Reading] = []

    def add(self, message: Message) -> None:
        """Read the next message."""
        out = self.family.read(message, self._memory)
        self.outcomes.append((message, out))
        self.readings += with_features(out)

    def problems(self, expected: Any) -> list[str]:
        """Return what is not as it should be."""
        found = self.described()
        if expected is not None:
            return differences(expected, found["readings"], found["statuses"])
        return [] if found["readings"] or found["statuses"] else ["nothing came out"]

    def described(self) -> dict[str, Any]:
        """Return everything, for programs."""
        return {
            "messages": [
                {
                    "topic": message.topic,
                    "input": out.input,
                    "ignored": out.is_ignored,
                    "problem": _problem(out),
                    "unused": self.family.unused_in(message, out),
                }
                for message, out in self.outcomes
            ],
            "readings": [described_reading(reading) for reading in self.readings],
            "statuses": [
                {"sensor": status.source, "status": status.status}
                for _, out in self.outcomes
                for status in out.statuses
            ],
        }


def _problem(out: Outcome) -> str | None:
    return "; ".join([*(rejected.detail for rejected in out.rejected), *out.notes]) or None


def described_reading(reading: Reading) -> dict[str, Any]:
    """Return a reading, for programs and tables."""
    return {
        "sensor": reading.sensor,
        "axis": reading.axis,
        "time": timestamp(reading.time_us),
        "timeFrom": reading.time_from,
        "level": reading.level,
        "unit": reading.unit,
        "quantities": reading.values,
    }
