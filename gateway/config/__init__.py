"""The configuration: TOML -> frozen models. Unknown keys are refused, secrets are never printed."""

from gateway.config.influx import InfluxSection
from gateway.config.loader import load, load_http, load_rules, load_state_dir, load_zone, masked, read_toml
from gateway.config.notification import HeartbeatSection, OtelSection
from gateway.config.plugins import PluginSection
from gateway.config.problems import readable, validation_problems
from gateway.config.section import Section
from gateway.config.sections import (
    Config,
    MqttSection,
    RetentionSection,
)
from gateway.config.tls import TlsSection
from gateway.config.to_notification import noise_of, route_table, standing_silences, zone_of
from gateway.config.to_rules import expected_sensors, quotas_of, rules_for
from gateway.config.values import Duration, Size, parse_duration, parse_size

__all__ = [
    "Config",
    "Duration",
    "HeartbeatSection",
    "InfluxSection",
    "MqttSection",
    "OtelSection",
    "PluginSection",
    "RetentionSection",
    "Section",
    "Size",
    "TlsSection",
    "expected_sensors",
    "load",
    "load_http",
    "load_rules",
    "load_state_dir",
    "load_zone",
    "masked",
    "noise_of",
    "parse_duration",
    "parse_size",
    "quotas_of",
    "read_toml",
    "readable",
    "route_table",
    "rules_for",
    "standing_silences",
    "validation_problems",
    "zone_of",
]
