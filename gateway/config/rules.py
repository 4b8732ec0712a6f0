"""Which rules of detection hold for a sensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.sections import Config, MachineSection, RuleOverrides
from gateway.domain.detection import Rules


def rules_for(config: Config, sensor_id: str, tags: Mapping[str, str]) -> Rules:
    """Return the rules of one sensor: [detection], overridden by its [[machines]] table, overridden by its own."""
    own = next((table for table in config.sensors if table.id == sensor_id), None)
    machines = [table for table in config.machines if _is_of(table, tags)]
    tables: list[RuleOverrides] = [config.detection, *machines, *([own] if own else [])]
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
        stopped_states=frozenset(state.casefold() for state in values["stopped_states"]),
    )


def _is_of(machine: MachineSection, tags: Mapping[str, str]) -> bool:
    wanted = {"machine": machine.id, "site": machine.site, "area": machine.area}
    return all(tags.get(name) == value for name, value in wanted.items() if value is not None)
