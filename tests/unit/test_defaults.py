"""No default changes unnoticed: each is what docs/reference.md says, and the domain's are the configuration's."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.fields import FieldInfo

from gateway.config import load, noise_of, route_table, rules_for
from gateway.config.access import TokenSection, UserSection
from gateway.config.influx import InfluxSection
from gateway.config.notification import (
    HeartbeatSection,
    HoursSection,
    NoiseSection,
    OtelSection,
    RotaSection,
    RouteSection,
    SilenceSection,
)
from gateway.config.plugins import HandlerSection, PluginSection
from gateway.config.sections import (
    AlertsSection,
    DetectionSection,
    GatewaySection,
    HttpSection,
    MqttSection,
    QuotasSection,
    RetentionSection,
    SensorSection,
)
from gateway.domain.detection.rules import Rules
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.oncall import DAY_MINUTES, EVERY_DAY
from gateway.domain.notification.routing import Route
from gateway.handlers.apprise import AppriseSettings
from gateway.handlers.log import LogSettings
from gateway.handlers.mail.handler import EmailSettings
from gateway.handlers.sms import SmsSettings
from gateway.handlers.text.templates import Template
from gateway.handlers.webhook import WebhookSettings
from tests.unit.test_docs import section

SECTIONS: dict[str, type[BaseModel]] = {
    "[gateway]": GatewaySection,
    "[mqtt]": MqttSection,
    "[influxdb]": InfluxSection,
    "[http]": HttpSection,
    "[[users]]": UserSection,
    "[[tokens]]": TokenSection,
    "[retention]": RetentionSection,
    "[quotas]": QuotasSection,
    "[detection]": DetectionSection,
    "[alerts]": AlertsSection,
    "[handlers.NAME]": HandlerSection,
    "[consumers.NAME]": PluginSection,
    "[[routes]]": RouteSection,
    "[oncall.NAME]": RotaSection,
    "[[silences]]": SilenceSection,
    "[noise]": NoiseSection,
    "[heartbeat]": HeartbeatSection,
    "[otel]": OtelSection,
}
HANDLERS: dict[str, type[BaseModel]] = {
    "email": EmailSettings,
    "sms": SmsSettings,
    "webhook": WebhookSettings,
    "apprise": AppriseSettings,
    "log": LogSettings,
}
CONFIG = ConfigDict(arbitrary_types_allowed=True)
GUIDE = Path(__file__).parents[2] / "docs" / "handlers.md"
BASE = '[gateway]\nid = "a"\nstate_dir = "s"\n[mqtt]\ntopics = ["{sensor}"]\n[handlers.mail]\ntype = "log"\n'
WORD = object()
"""A default that is no value, such as `none` or `learned`."""


def documented(title: str) -> dict[str, object]:
    """Return key -> default of the table of a section, as TOML has it."""
    (part,) = re.findall(
        rf"^### `{re.escape(title)}`[^\n]*\n(.*?)(?=^##|\Z)", section("Configuration"), re.DOTALL | re.MULTILINE
    )
    found: dict[str, object] = {}
    for names, text in re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", part, re.MULTILINE):
        keys = re.findall(r"`(\w+)`", names)
        values = text.split(", ") if len(keys) > 1 and ", " in text else [text] * len(keys)
        found |= {key: value_of(value.strip()) for key, value in zip(keys, values, strict=True)}
    return found


def value_of(text: str) -> object:
    plain = text.strip("`")
    try:
        return tomllib.loads(f"value = {plain}")["value"]
    except tomllib.TOMLDecodeError:
        return plain if text.startswith("`") and re.fullmatch(r"[a-z0-9.]+", plain) else WORD


def defaults() -> Iterator[Any]:
    for title, model in SECTIONS.items():
        texts = documented(title)
        for name, field in model.model_fields.items():
            yield pytest.param(field, texts.get(field.alias or name), id=f"{title}.{name}")


@pytest.mark.parametrize(("field", "text"), list(defaults()))
def test_each_is_the_one_in_the_reference(field: FieldInfo, text: object) -> None:
    default = field.get_default(call_default_factory=True)
    if text is WORD or text is None:
        said_nothing = isinstance(default, BaseModel) and not default.model_dump(exclude_none=True)
        assert field.is_required() or said_nothing or default in (None, (), {})
    else:
        kind: Any = Annotated[field.annotation, "", *field.metadata]
        assert default == TypeAdapter[Any](kind).validate_python(text)


def handlers_defaults() -> Iterator[Any]:
    for name, model in HANDLERS.items():
        for key, field in model.model_fields.items():
            if field.get_default(call_default_factory=True) not in (None, "", {}) and not field.is_required():
                yield pytest.param(name, key, field, id=f"{name}.{key}")


@pytest.mark.parametrize(("name", "key", "field"), list(handlers_defaults()))
def test_each_of_a_handler_is_the_one_in_the_guide(name: str, key: str, field: FieldInfo) -> None:
    (table,) = re.findall(rf"^## {name}\n+```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (line,) = re.findall(rf"^(?:# )?({key} = .*)$", table, re.MULTILINE)
    kind: Any = Annotated[field.annotation, "", *field.metadata]
    said, default = TypeAdapter[Any](kind, config=CONFIG).validate_python(tomllib.loads(line)[key]), field.default
    assert (said.text if isinstance(said, Template) else said) == getattr(default, "text", default)


def test_a_machine_and_a_sensor_say_nothing_of_their_own() -> None:
    assert all(not field.default for name, field in SensorSection.model_fields.items() if name != "id")


def test_hours_are_all_hours_of_every_day() -> None:
    hours = HoursSection()
    assert (hours.days, hours.start, hours.end, hours.timezone) == (EVERY_DAY, 0, DAY_MINUTES, None)


def test_the_domain_and_the_configuration_have_the_same(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(BASE + '[[routes]]\nseverity = "warning"\nhandlers = ["mail"]\n')
    config = load(file, {})
    assert rules_for(config, "VB-1", {}) == Rules()
    assert noise_of(config) == Noise()
    assert route_table(config).by_name["route 1"] == Route("warning", ("mail",))
