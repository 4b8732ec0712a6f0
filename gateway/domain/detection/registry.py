"""The registry: which sensor a reading is of. Identity is (place, id), unless sensors move between machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.domain.detection.state import Sensor
from gateway.domain.model.assets import AssetPath, asset_of
from gateway.domain.model.naming import ambiguous, free_name, names_of, published_in
from gateway.errors import NotFoundError

_ANYWHERE: AssetPath = ("", "", "")

_MOST_COMPARED = 100
"""Places of one id that are compared with a new one; of more, each is a place of its own."""


class Registry:
    """The sensors by `names`, which are unique. With `sensors_move` an id is one sensor, wherever it publishes.

    Only ids that are used at several places take up more than that. Places that do not contradict each other are one:
    a topic may come to say more of it, or less.
    """

    def __init__(self, *, sensors_move: bool = False) -> None:
        self.names: dict[str, Sensor] = {}
        self.sensors_move = sensors_move
        self._shared: dict[str, dict[AssetPath, Sensor]] = {}

    def restore(self, sensors: Iterable[Sensor]) -> None:
        """Start from these sensors."""
        self.names.clear()
        self._shared.clear()
        for sensor in sensors:
            self.add(sensor)

    def add(self, sensor: Sensor) -> None:
        """Take a sensor in, under the name that it has."""
        self.names[sensor.id] = sensor
        published = sensor.published_id
        if sensor.published and published not in self._shared:
            self._shared[published] = {}
            if alone := self.alone(published):
                self._put(published, alone)
        if published in self._shared:
            self._put(published, sensor)

    def remove(self, sensor: Sensor) -> None:
        """Let there be a sensor no more. Others of its id keep their names."""
        del self.names[sensor.id]
        at = self._shared.get(sensor.published_id, {})
        places = list(at) if len(at) <= _MOST_COMPARED else [self._place(sensor.tags)]
        for place in places:
            if at.get(place) is sensor:
                del at[place]
        if not at:
            self._shared.pop(sensor.published_id, None)

    def left_alone(self, published: str) -> Sensor | None:
        """Return the one sensor that is left of several of an id, if it may be called by that alone again."""
        at = self._shared.get(published, {})
        left = {sensor.key: sensor for sensor in at.values()} if len(at) <= _MOST_COMPARED else {}
        if len(left) != 1 or published in self.names:
            return None
        del self._shared[published]
        return next(iter(left.values()))

    def find(self, published: str, tags: Mapping[str, str]) -> Sensor | None:
        """Return the sensor that publishes this id from a topic that has captured this, or None if it is a new one."""
        place = self._place(tags)
        shared = self._shared.get(published)
        if shared is not None:
            return shared.get(place) or _likely(shared, place)
        alone = self.alone(published)
        return alone if alone is not None and _agree(self._place(alone.tags), place) else None

    def is_known(self, published: str) -> bool:
        """Tell whether a sensor publishes this id, wherever."""
        return published in self._shared or self.alone(published) is not None

    def alone(self, published: str) -> Sensor | None:
        """Return the sensor whose name is just this id, or None."""
        sensor = self.names.get(published)
        return None if sensor is None or sensor.published else sensor

    def name_for(self, published: str, tags: Mapping[str, str]) -> str:
        """Return the name of a sensor that is not in the registry, or bears the id alone and is to share it."""
        return free_name(published, asset_of(tags), self.names, is_shared=self.is_known(published))

    def rename(self, sensor: Sensor, name: str) -> None:
        """Let a sensor have another name."""
        published = sensor.published_id
        del self.names[sensor.id]
        sensor.id, sensor.published = name, "" if name == published else published
        self.add(sensor)

    def of_id(self, published: str, place: AssetPath) -> list[Sensor]:
        """Return the sensors that publish an id at a place, of which perhaps only some levels are said."""
        alone = self.alone(published)
        found = self._shared[published].values() if published in self._shared else [alone] if alone else []
        return [sensor for sensor in found if self.sensors_move or _fits(place, asset_of(sensor.tags))]

    def answering(self, asked: str) -> list[Sensor]:
        """Return the sensors that something people write may mean."""
        if asked in self.names:
            return [self.names[asked]]
        if asked in self._shared:
            return list(self._shared[asked].values())
        published = published_in(asked)
        of_id = self.of_id(published, _ANYWHERE)
        return [sensor for sensor in of_id if asked in names_of(published, asset_of(sensor.tags))]

    def called(self, asked: str) -> Sensor:
        """Return the one sensor that is meant. Raises NotFoundError, and ConflictError where it may be several."""
        found = self.answering(asked)
        if not found:
            raise NotFoundError(f"no sensor {asked!r} has published yet")
        if len(found) > 1:
            raise ambiguous(asked, [sensor.id for sensor in found])
        return found[0]

    def named(self, asked: Iterable[str]) -> list[str]:
        """Return the names of the sensors that are meant, as far as there are any. Raises ConflictError."""
        return [self.called(each).id for each in asked if self.answering(each)]

    def _place(self, tags: Mapping[str, str]) -> AssetPath:
        return _ANYWHERE if self.sensors_move else asset_of(tags)

    def _put(self, published: str, sensor: Sensor) -> None:
        """Let a sensor be the one at its place; of two, as moves may leave them, the one that was heard last."""
        at, place = self._shared[published], self._place(sensor.tags)
        known = at.get(place)
        if known is None or known.state.heard_ns <= sensor.state.heard_ns:
            at[place] = sensor


def _likely(shared: dict[AssetPath, Sensor], place: AssetPath) -> Sensor | None:
    """Return the one sensor whose topic says more or less of the same place than before; then it is there."""
    if len(shared) > _MOST_COMPARED:
        return None
    found = [sensor for own, sensor in shared.items() if any(own) and any(place) and _agree(own, place)]
    if len(found) != 1:
        return None
    shared[place] = found[0]
    return found[0]


def _agree(one: AssetPath, other: AssetPath) -> bool:
    """Tell whether two places may be one, of which one topic says more than the other."""
    return all(not ours or not theirs or ours == theirs for ours, theirs in zip(one, other, strict=True))


def _fits(said: AssetPath, own: AssetPath) -> bool:
    return all(level in {"", of_own} for level, of_own in zip(said, own, strict=True))
