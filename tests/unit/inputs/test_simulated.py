"""What the simulator publishes as a device does, the preset of the device reads: two who have read the same manual."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from gateway.config.to_inputs import load_inputs
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Reading
from gateway.domain.model.events import Message
from gateway.plugins.decoders import load_decoder
from simulator.demo import demo_fleet
from simulator.formats import FORMATS
from simulator.publishing import Message as Published
from simulator.run import messages
from simulator.sensing import profiles
from simulator.transport import Due
from tests.unit.simulator.formats.reading import READERS
from tests.unit.simulator.formats.test_values import START

COMPLETE = {
    "advantech-wise-2410": "",
    "esphome": "",
    "event": "",
    "ifm-vvb001": "",
    "ncd": "",
    "senml": 'topic = "senml/{device}"',
}
"""Presets that need no fields of a user's, and what else they need."""
NAMES = {
    "level": "level",
    "velocity": "velocityRms",
    "peak": "peak",
    "kurtosis": "kurtosis",
    "temperature": "temperature",
}
RECEIVED = int(START.timestamp() * 1e9)


def published(name: str) -> list[Published]:
    fleet = demo_fleet()
    due = messages(fleet, profiles(fleet, 1), FORMATS[name], seed=1, start=START)
    return [each.message for each in takewhile(lambda each: each.after < 20, due) if isinstance(each, Due)]


def said(reading: Reading) -> dict[str, float]:
    return reading.values if reading.level is None else {"level": reading.level, **reading.values}


@pytest.mark.parametrize(("name", "more"), COMPLETE.items())
def test_a_preset_finds_in_each_message_what_a_reader_of_the_tests_finds_there(
    name: str, more: str, tmp_path: Path
) -> None:
    file = tmp_path / "inputs.toml"
    file.write_text(f'[[inputs]]\npreset = "{name}"\n{more}\n', encoding="utf-8")
    family, memory = Family(load_inputs(file, load_decoder, {})), Memory()
    state: dict[str, Any] = {}
    compared = 0
    for message in published(name):
        if not family.routes(message.topic):
            continue
        out = family.read(Message(message.topic, message.payload, RECEIVED), memory)
        read = [found for _, _, found in READERS[name](message, state)]
        assert not out.rejected
        for theirs, ours in NAMES.items():
            expected = sorted(found[theirs] for found in read if theirs in found)
            assert sorted(said(each)[ours] for each in out.readings if ours in said(each)) == pytest.approx(expected)
            compared += len(expected)
    assert compared > 20
