"""The machines: which sensors are on each, and the operating state that it reports itself."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.detection.state import Sensor
from gateway.domain.model.assets import AssetPath, asset_of


class Machines:
    """`states` are those of the machines that report one."""

    def __init__(self) -> None:
        self.states: dict[AssetPath, str] = {}
        self._sensors: dict[AssetPath, dict[int, Sensor]] = {}
        self._places: dict[int, AssetPath] = {}
        self._alike: dict[AssetPath, AssetPath] = {}

    def restore(self, states: Mapping[AssetPath, str]) -> None:
        """Start from these states, without sensors."""
        self.states = dict(states)
        self._sensors.clear()
        self._places.clear()
        self._alike.clear()

    def settle(self, sensor: Sensor) -> None:
        """Take note of where a sensor is, and tell it how its machine runs."""
        place = asset_of(sensor.tags)
        self._sensors.get(self._places.get(sensor.key, place), {}).pop(sensor.key, None)
        place = self._alike.setdefault(place, place)
        self._sensors.setdefault(place, {})[sensor.key] = sensor
        self._places[sensor.key] = place
        sensor.machine_state = self.states.get(place)

    def remove(self, sensor: Sensor) -> None:
        """Forget where a sensor is."""
        place = self._places.pop(sensor.key, asset_of(sensor.tags))
        self._sensors.get(place, {}).pop(sensor.key, None)
        if not self._sensors.get(place):
            self._sensors.pop(place, None)
            self._alike.pop(place, None)

    def without_sensors(self) -> list[AssetPath]:
        """Return the machines that have said how they run and have no sensor."""
        return [place for place in self.states if not self.sensors_of(place)]

    def change(self, place: AssetPath, state: str) -> None:
        """Let a machine be in this operating state from now on; an empty one takes back what it has said."""
        if state:
            self.states[place] = state
        else:
            self.states.pop(place, None)
        for sensor in self.sensors_of(place):
            sensor.machine_state = state or None

    def sensors_of(self, place: AssetPath) -> list[Sensor]:
        """Return the sensors of a machine; none where the topics name no machine."""
        return list(self._sensors.get(place, {}).values()) if place[-1] else []
