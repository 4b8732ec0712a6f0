"""A quantity is one row of the table: everything that stores, judges, shows and exports follows from it."""

from pathlib import Path
from typing import Any

import pytest

from gateway.cli.export import _reading
from gateway.config import load, rules_for
from gateway.consumers.influx.lines import to_lines
from gateway.web.schema import Reading
from tests.readings import event, message, plant

CONFIGURED = """
[gateway]
id = "edge-1"
state_dir = "."
[mqtt]
topics = ["vibration/{site}/{area}/{machine}/{sensor}/reading"]
[detection]
thresholds = %s
"""


CASES = {
    "load": ("{ warning = 90 }", 95.0, "load 95.0 %, limit 90.0"),
    "displacement": ("{ warning = 80 }", 95.4, "displacement 95.4 µm, limit 80.0"),
    "pressure": ("{ warning = 6, critical_below = -0.5 }", -0.62, "pressure -0.62 bar, below its critical limit -0.5"),
}
"""Name on the wire, which is the key here -> limits in the configuration, a value beyond them, how a reason begins."""


def with_quantity(second: int, name: str, value: float) -> dict[str, Any]:
    made = event(second)
    made["data"][name] = value
    return made


@pytest.mark.parametrize("name", CASES)
def test_a_row_is_all_that_a_quantity_takes(tmp_path: Path, name: str) -> None:
    limits, beyond, reason = CASES[name]
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURED % f"{{ {name} = {limits} }}", encoding="utf-8")
    rules = rules_for(load(file, {}), "VB-1", {})
    with plant(tmp_path / "state", rules) as made:
        made.take(*(message(with_quantity(second, name, beyond)) for second in range(3)))
        with made.reader() as reader:
            (alert,) = reader.alerts(everything=False)
            stored = reader.step(0, 1000).readings[0]
    assert alert.reason == f"{reason}, for 3 readings in 2 s"
    assert f",{name}={beyond}" in to_lines([stored], [])[0].decode()
    assert _reading(stored)[name] == Reading.of(stored).features[name] == beyond
