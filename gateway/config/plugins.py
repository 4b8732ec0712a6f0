"""The tables of handlers and consumers, whose other keys are their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from gateway.config.section import Section
from gateway.config.values import Interval, Rate


class PluginSection(Section):
    """A consumer's table, and a part of a handler's: `settings` is every other key, for that plugin's own model."""

    type: str
    settings: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, table: object) -> object:
        if not isinstance(table, dict):
            return table
        own = cls.model_fields.keys() - {"settings"}
        ours = {key: value for key, value in table.items() if key in own}
        return {**ours, "settings": {key: value for key, value in table.items() if key not in own}}


class HandlerSection(PluginSection):
    """A handler's table: how long a message may take, and how many may go."""

    timeout: Interval = 30 * 10**9
    rate: Rate | None = None
