"""Which rules hold for which sensor: the narrower table counts."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config import expected_sensors, load, rules_for
from tests.unit.test_config import LEAST, SECOND, Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


class TestRules:
    def rules(self, write: Write, text: str, sensor: str = "VB-1", **tags: str) -> Any:
        return rules_for(load(write(LEAST + text), {}), sensor, tags)

    def test_how_often_a_sensor_is_expected(self, write: Write) -> None:
        text = """
[detection]
silent_after = "10m"
[[machines]]
id = "pump-7"
interval = "1h"
[[sensors]]
id = "VB-1"
interval = "15m"
[[sensors]]
id = "VB-2"
[[sensors]]
id = "VB-3"
interval = "1s"
"""
        assert self.rules(write, text, machine="pump-7").interval_ns == 900 * SECOND
        assert self.rules(write, text, "VB-4", machine="pump-7").interval_ns == 3600 * SECOND
        assert self.rules(write, text, "VB-4").interval_ns is None
        assert expected_sensors(load(write(LEAST + text), {})) == {
            "VB-1": 75 * 60 * SECOND,
            "VB-2": 3600 * SECOND,
            "VB-3": 600 * SECOND,
        }

    def test_a_table_for_one_place_comes_before_that_for_the_id(self, write: Write) -> None:
        text = """
[[sensors]]
id = "DE"
baseline = 4.0
[[sensors]]
id = "DE (pump-3)"
baseline = 5.0
"""
        assert self.rules(write, text, "DE", machine="pump-3").baseline == 5.0
        assert self.rules(write, text, "DE", machine="fan-9").baseline == 4.0
        assert self.rules(write, text, "NDE", machine="pump-3").baseline is None

    def test_the_narrower_table_counts(self, write: Write) -> None:
        text = """
[detection]
critical_ratio = 3.0
on_readings = 4
off_readings = 5
[[machines]]
id = "pump-3"
critical_ratio = 3.5
on_readings = 6
[[sensors]]
id = "VB-1"
critical_ratio = 4.0
baseline = 2.0
"""
        own = self.rules(write, text, machine="pump-3")
        assert (own.critical_ratio, own.on_readings, own.off_readings, own.baseline) == (4.0, 6, 5, 2.0)
        neighbour = self.rules(write, text, "VB-2", machine="pump-3")
        assert (neighbour.critical_ratio, neighbour.on_readings, neighbour.baseline) == (3.5, 6, None)
        stranger = self.rules(write, text, "VB-3", machine="pump-4")
        assert (stranger.critical_ratio, stranger.on_readings) == (3.0, 4)
        assert self.rules(write, text, "VB-4").critical_ratio == 3.0

    def test_site_and_area_narrow_a_machine_down(self, write: Write) -> None:
        text = (
            '[[machines]]\nid = "p"\non_readings = 5\n[[machines]]\nid = "p"\nsite = "s"\narea = "a"\non_readings = 7'
        )
        assert self.rules(write, text, machine="p", site="other").on_readings == 5
        assert self.rules(write, text, machine="p", site="s", area="a").on_readings == 7

    def test_states_are_compared_without_regard_to_case(self, write: Write) -> None:
        assert self.rules(write, '[detection]\nstopped_states = ["AUS", "Straße"]').stopped_states == {"aus", "strasse"}
