"""The configuration: TOML -> frozen models. Unknown keys are refused, secrets are never printed."""

from gateway.config.problems import readable, validation_problems
from gateway.config.reading import load, load_rules, load_state_dir, masked, read_toml
from gateway.config.rules import expected_sensors, rules_for
from gateway.config.sections import (
    Config,
    InfluxSection,
    MqttSection,
    PluginSection,
    RetentionSection,
    Section,
    TlsSection,
)
from gateway.config.values import Duration, Size, parse_duration, parse_size

__all__ = [
    "Config",
    "Duration",
    "InfluxSection",
    "MqttSection",
    "PluginSection",
    "RetentionSection",
    "Section",
    "Size",
    "TlsSection",
    "expected_sensors",
    "load",
    "load_rules",
    "load_state_dir",
    "masked",
    "parse_duration",
    "parse_size",
    "read_toml",
    "readable",
    "rules_for",
    "validation_problems",
]
