"""Which rules of detection hold for a sensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.rule_keys import RULE_KEYS, key_of
from gateway.config.sections import Config, MachineSection, RuleOverrides, SensorSection
from gateway.domain.detection.rules import Rules, Threshold
from gateway.domain.detection.state import INTERVALS
from gateway.domain.engine.quotas import Quotas, Usage
from gateway.domain.model.assets import asset_of
from gateway.domain.model.naming import names_of

_UNKNOWN_NS = 3600 * 10**9
"""So long after the start a sensor is missed that nobody has said how often it publishes."""


def rules_for(config: Config, sensor_id: str, tags: Mapping[str, str]) -> Rules:
    """Return the rules of one sensor: [detection], overridden by its [[machines]] table, overridden by its own.

    `sensor_id` is what it publishes; a table of its own for `DE (pump-3)` comes before one for `DE`.
    """
    tables_of = {table.id: table for table in reversed(config.sensors)}
    own = next((tables_of[name] for name in names_of(sensor_id, asset_of(tags))[::-1] if name in tables_of), None)
    machines = [table for table in config.machines if _is_of(table, tags)]
    narrower: list[MachineSection | SensorSection] = [*machines, *([own] if own else [])]
    tables: list[RuleOverrides] = [config.detection, *narrower]
    intervals = [table.interval for table in narrower if table.interval is not None]
    values: dict[str, Any] = {}
    for table in tables:
        values.update((name, value) for key, name in RULE_KEYS.items() if (value := getattr(table, key)) is not None)
    for name in ("stopped_states", "unknown_states"):
        values[name] = frozenset(state.casefold() for state in values[name])
    states = [table.states for table in machines if table.states is not None]
    return Rules(
        states=frozenset(state.strip().casefold() for state in states[-1]) if states else None,
        baseline=own.baseline if own else None,
        interval_ns=intervals[-1] if intervals else None,
        thresholds=_thresholds(tables),
        **values,
    )


def _thresholds(tables: list[RuleOverrides]) -> tuple[Threshold, ...]:
    """Return the thresholds of quantities: those of a narrower table replace, key by key, those of a wider one."""
    merged: dict[str, dict[str, Any]] = {}
    for table in tables:
        for quantity, section in table.thresholds or ():
            if section is not None:
                merged.setdefault(quantity, {}).update(section.model_dump(exclude_none=True))
    names = {key_of(name): name for name in Threshold.__struct_fields__}
    return tuple(
        Threshold(quantity, **{names[key]: value for key, value in keys.items()})
        for quantity, keys in sorted(merged.items())
    )


def expected_sensors(config: Config) -> dict[str, int]:
    """Return the sensors with a table of their own: id -> for how long, in ns, nothing need be heard of each."""
    rules = {table.id: rules_for(config, table.id, {}) for table in config.sensors}
    return {
        sensor_id: max(of.silent_after_ns, _UNKNOWN_NS if of.interval_ns is None else INTERVALS * of.interval_ns)
        for sensor_id, of in rules.items()
    }


def quotas_of(config: Config) -> Usage:
    """Return the quotas, with nothing taken up of them; the sensors with a table of their own are never over one."""
    return Usage(Quotas(**config.quotas.model_dump()), frozenset(table.id for table in config.sensors))


def _is_of(machine: MachineSection, tags: Mapping[str, str]) -> bool:
    wanted = {"machine": machine.id, "site": machine.site, "area": machine.area}
    return all(tags.get(name) == value for name, value in wanted.items() if value is not None)
