"""How much anybody who may publish can make the gateway keep, beside readings: sensors, machines' states, dead letters.

Sensors and machines that are known already are never refused anything: what is over a quota came on top of them.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS

MAX_TOPICS = 10_000
"""Topics whose dead letters are counted apart within an hour; all further ones share a count."""

_FURTHER = ""

NEW, IN_ALL, STATES, LETTERS = "new_sensors", "sensors", "machine_states", "dead_letters"
LETTER_BYTES = "dead_letters_size"
"""The quota of the journal's upkeep: the oldest dead letters go when all of them take up more."""

_AtLeastOne = Annotated[int, Meta(ge=1)]


class Quotas(Struct, frozen=True):
    """At most so many: new sensors a minute, sensors in all, machines without a sensor whose state is remembered.

    `dead_letters` are those that are kept of one topic within an hour.
    """

    new_sensors: _AtLeastOne = 5_000
    sensors: _AtLeastOne = 20_000
    machine_states: _AtLeastOne = 10_000
    dead_letters: _AtLeastOne = 10_000


WORDS = {
    NEW: "more new sensors came within a minute than quotas.new_sensors allows ({limit}): the readings of further ones"
    " are dead letters (over_quota)",
    IN_ALL: "as many sensors are known as quotas.sensors allows ({limit}): the readings of further ones are dead"
    " letters (over_quota); 'sensors purge' removes invented ones, or allow more if they are real",
    STATES: "as many machines have said how they run as quotas.machine_states allows ({limit}): what further ones say"
    " that have no sensor is a dead letter (over_quota); 'sensors purge --machine-states' removes invented ones",
    LETTERS: "more messages on one topic could not be used within an hour than quotas.dead_letters allows ({limit}):"
    " further ones are counted and not kept; 'deadletters groups' shows which",
    LETTER_BYTES: "the dead letters took up more than retention.dead_letters_size ({limit} bytes): the oldest have been"
    " removed; 'deadletters groups' shows what is sent that cannot be used",
}
"""Quota -> what it means that something was over it."""


class Usage:
    """What has been taken up of the quotas. `always` are sensors that the configuration names: they are never over."""

    def __init__(self, quotas: Quotas, always: frozenset[str] = frozenset()) -> None:
        self._quotas = quotas
        self._always = always
        self._minute = self._hour = -1
        self._new = 0
        self._letters: dict[str, int] = {}

    def refuse_sensor(self, sensor_id: str, known: int, now_ns: int) -> str | None:
        """Take in a sensor that is new beside so many `known` ones, or return the quota that it would be over."""
        if sensor_id in self._always:
            return None
        if known >= self._quotas.sensors:
            return IN_ALL
        if now_ns // MINUTE_NS != self._minute:
            self._minute, self._new = now_ns // MINUTE_NS, 0
        if self._new >= self._quotas.new_sensors:
            return NEW
        self._new += 1
        return None

    def refuse_state(self, remembered: int) -> str | None:
        """Return the quota that the state of a machine without a sensor would be over, beside those `remembered`."""
        return STATES if remembered >= self._quotas.machine_states else None

    def refuse_letter(self, topic: str, now_ns: int) -> bool:
        """Take in a dead letter of a topic, or tell that it would be one too many."""
        if now_ns // HOUR_NS != self._hour:
            self._hour = now_ns // HOUR_NS
            self._letters.clear()
        name = topic if topic in self._letters or len(self._letters) < MAX_TOPICS else _FURTHER
        count = self._letters.get(name, 0)
        if count >= self._quotas.dead_letters:
            return True
        self._letters[name] = count + 1
        return False
