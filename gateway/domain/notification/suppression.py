"""Why nobody is told of an alert now: it is shelved, silenced, or follows from something that is told already."""

from __future__ import annotations

from msgspec import Struct

from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.model import Item
from gateway.domain.notification.silences import Silence, Silences

BROKER = "broker"
"""What the gateway's own alert is about while it hears nothing: no sensor is then silent of its own."""


class Mute(Struct, frozen=True):
    """What mutes an alert: `key` names the one thing that does, `by` what sort of thing it is."""

    key: str
    by: str
    reason: str
    until_ns: int | None = None


class Mutes:
    """The silences, and the alerts from which others follow."""

    def __init__(self, silences: Silences, *, inhibit: bool = True) -> None:
        self.silences = silences
        self._inhibit = inhibit
        self._critical: dict[str, dict[str, str]] = {}
        self._deaf: str | None = None
        self._stopped: set[str] = set()

    def decide(self, item: Item, shelved_until_ns: int | None, now_ns: int) -> Mute | None:
        """Return what mutes an item now, or None."""
        if shelved_until_ns is not None and now_ns < shelved_until_ns:
            reason = f"the alert is shelved until {rfc3339(shelved_until_ns)}"
            return Mute(f"shelve/{item.alert_id}", "shelve", reason, shelved_until_ns)
        found = self.silences.mute(item, now_ns)
        if found is not None:
            return _by_silence(*found)
        return self._inhibited(item) if self._inhibit else None

    def holds(self, mute: Mute, item: Item, now_ns: int) -> bool:
        """Tell whether what has muted an item still does, for as long: what is configured may be something else now."""
        sort, _, name = mute.key.partition("/")
        if sort == "silence":
            silence = self.silences.get(name)
            until_ns = None if silence is None else silence.mute(item, now_ns)
            return until_ns is not None and until_ns >= (mute.until_ns or 0)
        if sort == "inhibit":
            machine = machine_of(item)
            causes = {*self._critical.get(machine, {}), *({machine} & self._stopped), *([BROKER] if self._deaf else [])}
            return self._inhibit and name in causes
        return True

    def begin(self, item: Item) -> None:
        """Let what follows from an alert that people are told of be muted."""
        if item.alert_kind == "gateway" and item.sensor_id == BROKER:
            self._deaf = item.alert_id
        elif item.alert_kind == "machine" and item.severity == "critical" and item.machine:
            self._critical.setdefault(machine_of(item), {})[item.alert_id] = item.sensor_id

    def end(self, item: Item) -> str | None:
        """Let nothing follow from an alert any more; return the key of what it muted."""
        if item.alert_id == self._deaf:
            self._deaf = None
            return f"inhibit/{BROKER}"
        others = self._critical.get(machine_of(item), {})
        if others.pop(item.alert_id, None) is None:
            return None
        if not others:
            del self._critical[machine_of(item)]
        return f"inhibit/{item.alert_id}"

    def stop(self, machine: str) -> None:
        """Let what the sensors of a machine do be muted: it has stopped."""
        self._stopped.add(machine)

    def start(self, machine: str) -> str:
        """Let it be told again; return the key of what was muted."""
        self._stopped.discard(machine)
        return f"inhibit/{machine}"

    def _inhibited(self, item: Item) -> Mute | None:
        if item.alert_kind == "sensor":
            if self._deaf is not None:
                reason = "the gateway does not hear the broker, so a sensor's silence says nothing"
                return Mute(f"inhibit/{BROKER}", "inhibition", reason)
            if machine_of(item) in self._stopped:
                return Mute(f"inhibit/{machine_of(item)}", "inhibition", f"the machine {item.machine} has stopped")
        if item.alert_kind == "machine" and item.severity == "warning":
            for alert_id, sensor_id in sorted(self._critical.get(machine_of(item), {}).items()):
                if sensor_id != item.sensor_id:
                    reason = f"{sensor_id} of the same machine is critical, which people have been told"
                    return Mute(f"inhibit/{alert_id}", "inhibition", reason)
        return None


def machine_of(item: Item) -> str:
    """Return what tells one machine from every other."""
    return machine_key(item.site, item.area, item.machine)


def machine_key(site: str, area: str, machine: str) -> str:
    """Return the same by its names."""
    return f"{site}\x1f{area}\x1f{machine}"


def _by_silence(silence: Silence, until_ns: int) -> Mute:
    why = f": {silence.reason}" if silence.reason else ""
    by = "maintenance" if silence.hours is not None else "silence"
    return Mute(f"silence/{silence.id}", by, f"{by} {silence.id} by {silence.owner}{why}", until_ns)
