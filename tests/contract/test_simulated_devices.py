"""The gateway understands what the simulator publishes as devices do, with the inputs of the simulator's page."""

import re
from pathlib import Path

import pytest

from gateway.config.to_inputs import load_inputs
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Reading
from gateway.domain.model.events import Message
from simulator.formats import FORMATS
from simulator.heard import as_heard
from tests.unit.simulator.formats.test_values import FLEET, RESOLUTION, START, measured, nearest, published

PAGE = (Path(__file__).parents[2] / "docs/simulator.md").read_text(encoding="utf-8")
TABLES = [
    f"[[inputs]]\n{table}"
    for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    for table in block.split("[[inputs]]\n")[1:]
]
COMPLETE = {
    "advantech-wise-2410": "",
    "ncd": "",
    "ifm-vvb001": "",
    "senml": 'topic = "senml/{urn}"',
    "tasmota": 'timezone = "Europe/Stockholm"',
    "esphome": "",
    "zigbee2mqtt": "",
}
"""The presets that know the quantities, and what they must be told all the same."""
DEVICES = [name for name in FORMATS if name != "event"]
TRUE = {"velocityRms": "velocity_rms", "peak": "peak", "kurtosis": "kurtosis", "crestFactor": "crest_factor"}


def inputs(name: str) -> str:
    if name in COMPLETE:
        return f'[[inputs]]\npreset = "{name}"\n{COMPLETE[name]}\n'
    if name == "telegraf-line":
        return inputs("telegraf-json").replace('preset = "telegraf-json"', 'preset = "telegraf-line"')
    (table,) = [each for each in TABLES if f'"{name}"' in each.split("#")[0]]
    return table


def understood(name: str, file: Path) -> list[tuple[float, Reading]]:
    """Return the readings with the simulated seconds after which they come."""
    file.write_text(inputs(name), encoding="utf-8")
    family, memory = Family(load_inputs(file, pytest.fail)), Memory()
    found = []
    for due in published(name):
        received = round((START.timestamp() + due.after) * 1e9)
        outcome = family.read(Message(due.message.topic, due.message.payload, received), memory)
        assert not outcome.rejected or not family.routes(due.message.topic), outcome.rejected
        found += [(reading.time_us / 1e6 - START.timestamp(), reading) for reading in outcome.readings]
    return found


@pytest.mark.parametrize("name", DEVICES)
def test_what_a_device_publishes_is_understood_under_the_ids_that_the_truth_names(name: str, tmp_path: Path) -> None:
    found = understood(name, tmp_path / "inputs.toml")
    heard = as_heard(FLEET, FORMATS[name])
    assert {reading.sensor for _, reading in found} == {
        each.id for machine in heard.machines for each in machine.sensors
    }
    taken = measured(name)
    for elapsed, reading in found:
        true = nearest(taken[reading.sensor], elapsed)
        if reading.level is not None and reading.unit == "m/s²" and name != "tasmota":
            assert reading.level == pytest.approx(true.level, rel=0.01, abs=RESOLUTION)
        for wire in TRUE.keys() & reading.values.keys():
            if (name, reading.axis) != ("thingsboard-gateway", "y"):  # its one velocity is that along x
                assert reading.values[wire] == pytest.approx(getattr(true, TRUE[wire]), rel=0.01, abs=RESOLUTION)
