"""Which rules of detection hold for a sensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.sections import Config, MachineSection, RuleOverrides, SensorSection
from gateway.domain.detection.rules import Feature, Rules, Threshold
from gateway.domain.detection.state import INTERVALS

_UNKNOWN_NS = 3600 * 10**9
"""So long after the start a sensor is missed that nobody has said how often it publishes."""


def rules_for(config: Config, sensor_id: str, tags: Mapping[str, str]) -> Rules:
    """Return the rules of one sensor: [detection], overridden by its [[machines]] table, overridden by its own."""
    own = next((table for table in config.sensors if table.id == sensor_id), None)
    machines = [table for table in config.machines if _is_of(table, tags)]
    narrower: list[MachineSection | SensorSection] = [*machines, *([own] if own else [])]
    tables: list[RuleOverrides] = [config.detection, *narrower]
    intervals = [table.interval for table in narrower if table.interval is not None]
    values: dict[str, Any] = {}
    for table in tables:
        values.update((key, value) for key in RuleOverrides.model_fields if (value := getattr(table, key)) is not None)
    return Rules(
        baseline=own.baseline if own else None,
        learning_ns=values["learning"],
        learning_readings=values["learning_readings"],
        warning_sigma=values["warning_sigma"],
        warning_ratio=values["warning_ratio"],
        critical_ratio=values["critical_ratio"],
        on_readings=values["on_readings"],
        on_delay_ns=values["on_delay"],
        off_readings=values["off_readings"],
        off_delay_ns=values["off_delay"],
        hysteresis=values["hysteresis"],
        interval_ns=intervals[-1] if intervals else None,
        silent_after_ns=values["silent_after"],
        latching=values["latching"],
        stopped_states=frozenset(state.casefold() for state in values["stopped_states"]),
        unknown_states=frozenset(state.casefold() for state in values["unknown_states"]),
        stopped_ratio=values["stopped_ratio"],
        settling_ns=values["settling"],
        rpm_step=values["rpm_step"],
        load_step=values["load_step"],
        drift_ratio=values["drift_ratio"],
        rise_ratio=values["rise_ratio"],
        rise_window_ns=values["rise_window"],
        regime_change=values["regime_change"],
        iso_group=values.get("iso_group"),
        iso_support=values["iso_support"],
        thresholds=_thresholds(tables),
    )


def _thresholds(tables: list[RuleOverrides]) -> tuple[Threshold, ...]:
    """Return the thresholds of features: those of a narrower table replace, key by key, those of a wider one."""
    merged: dict[Feature, dict[str, Any]] = {}
    for table in tables:
        for feature, section in (table.thresholds or {}).items():
            merged.setdefault(feature, {}).update(section.model_dump(exclude_none=True))
    return tuple(
        Threshold(
            feature,
            warning=keys.get("warning"),
            critical=keys.get("critical"),
            on_readings=keys.get("on_readings"),
            on_delay_ns=keys.get("on_delay"),
            off_readings=keys.get("off_readings"),
            off_delay_ns=keys.get("off_delay"),
            hysteresis=keys.get("hysteresis"),
        )
        for feature, keys in sorted(merged.items())
    )


def expected_sensors(config: Config) -> dict[str, int]:
    """Return the sensors with a table of their own: id -> for how long, in ns, nothing need be heard of each."""
    rules = {table.id: rules_for(config, table.id, {}) for table in config.sensors}
    return {
        sensor_id: max(of.silent_after_ns, _UNKNOWN_NS if of.interval_ns is None else INTERVALS * of.interval_ns)
        for sensor_id, of in rules.items()
    }


def _is_of(machine: MachineSection, tags: Mapping[str, str]) -> bool:
    wanted = {"machine": machine.id, "site": machine.site, "area": machine.area}
    return all(tags.get(name) == value for name, value in wanted.items() if value is not None)
