"""The tables of the file, as frozen models that refuse unknown keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AnyHttpUrl,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from gateway.config.access import Network, TokenSection, UserSection
from gateway.config.fleet import CentreSection, FleetSection
from gateway.config.influx import OURS_IN_INFLUXDB, InfluxSection
from gateway.config.notification import (
    HeartbeatSection,
    NoiseSection,
    OtelSection,
    RotaSection,
    RouteSection,
    SilenceSection,
)
from gateway.config.plugins import HandlerSection, PluginSection
from gateway.config.rule_keys import ELSEWHERE, with_keys_of
from gateway.config.section import Section
from gateway.config.tls import TlsSection
from gateway.config.values import (
    Duration,
    Host,
    Interval,
    Name,
    OwnToken,
    Port,
    Size,
    Timezone,
    is_loopback,
    system_zone,
)
from gateway.config.waveform import BearingSection
from gateway.domain.detection.rules import Rules, Threshold
from gateway.domain.engine.quotas import Quotas
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.quantities import QUANTITIES
from gateway.domain.notification.matching import GROUPS
from gateway.domain.notification.model import further


class GatewaySection(Section):
    """This device."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    id: Name
    state_dir: Path
    timezone: Timezone | None = None  # of the times in messages; None is the system's
    sensors_move: bool = False
    processes: Annotated[int, Field(ge=1, le=2)] = 1


class MqttSection(Section):
    """The broker, and the topics the sensors publish on."""

    host: Host = "localhost"
    port: Port = 1883
    topics: tuple[str, ...] = ()
    state_topic: str | None = None
    status_topic: str | None = None
    client_id: Name | None = None
    username: str | None = None
    password: SecretStr | None = None
    publish_username: str | None = None  # of the connection that publishes; None is the same account
    publish_password: SecretStr | None = None
    tls: TlsSection | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    transport: Literal["tcp", "websockets"] = "tcp"
    websocket_path: Annotated[str, Field(pattern=r"^/\S*$")] = "/mqtt"
    keepalive: Annotated[Duration, Field(ge=10**9, le=65_535 * 10**9)] = 30 * 10**9
    session_expiry: Duration = 7 * 86400 * 10**9
    receive_maximum: Annotated[int, Field(ge=1, le=65535)] = 2000

    @field_validator("topics")
    @classmethod
    def _templates(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            if topic.startswith("$share/"):
                raise ValueError(
                    f"{topic!r} is a shared subscription: the broker would give a part of the readings away"
                )
        TopicTemplates(list(topics))
        return topics

    @field_validator("state_topic", "status_topic")
    @classmethod
    def _template(cls, topic: str | None, info: ValidationInfo) -> str | None:
        needed = "{machine}" if info.field_name == "state_topic" else "{sensor}"
        if topic:
            TopicTemplates([topic])
        if topic and needed not in topic.split("/"):
            raise ValueError(f"{topic!r} has no level {needed}")
        return topic

    @model_validator(mode="after")
    def _login(self) -> Self:
        for username, password in ((self.username, self.password), (self.publish_username, self.publish_password)):
            if password is not None and username is None:
                raise ValueError("a password needs a username")
        return self

    def for_publishing(self) -> Self:
        """Return the same with the login of the connection that publishes."""
        if self.publish_username is None:
            return self
        return self.model_copy(update={"username": self.publish_username, "password": self.publish_password})


class HttpSection(Section):
    """The live page, the API and the metrics. Without this section there are none."""

    host: Host = "127.0.0.1"
    port: Port = 8080
    token: OwnToken | None = None
    public_url: AnyHttpUrl | None = None
    read: Literal["open", "signed-in"] | None = None
    session: Annotated[Duration, Field(ge=60 * 10**9, le=30 * 86400 * 10**9)] = 12 * 3600 * 10**9
    proxies: tuple[Network, ...] = ()
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = None

    @property
    def is_read_by_all(self) -> bool:
        """Return whether who is not signed in may read; by itself only where nobody else reaches it."""
        return self.read == "open" or (self.read is None and is_loopback(self.host))

    @model_validator(mode="after")
    def _whose_word(self) -> Self:
        if self.user_header is not None and not self.proxies:
            raise ValueError("user_header counts only from http.proxies, and there are none")
        if self.user_header is not None and self.user_header.lower() in _NEVER_A_NAME:
            raise ValueError(f"{self.user_header} is a header that others send for other reasons")
        return self


_NEVER_A_NAME = {"host", "cookie", "authorization", "origin", "referer", "x-forwarded-for", "x-forwarded-proto"}


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_BELOW = ("warning_below", "critical_below")


@with_keys_of(Threshold, without=("quantity", "warning", "critical", *_BELOW))
class SizeSection(Section):
    """Limits of a quantity that only too much of is too much; delays and hysteresis left out are those of the level."""

    warning: Positive | None = None
    critical: Positive | None = None


@with_keys_of(Threshold, without=("quantity",))
class RangeSection(Section):
    """Limits of a quantity that can be too low as well, at or below zero too."""

    if TYPE_CHECKING:

        def __getattr__(self, key: str) -> Any: ...

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        above = [limit for limit in (self.warning, self.critical) if limit is not None]
        below = [limit for limit in (self.warning_below, self.critical_below) if limit is not None]
        if above and below and max(below) >= min(above):
            raise ValueError(f"no value is normal between the lower limit {max(below)} and the upper one {min(above)}")
        return self


_LIMITED: dict[str, Any] = {
    quantity.key: ((SizeSection if quantity.alarms == "above" else RangeSection) | None, None)
    for quantity in QUANTITIES
    if quantity.alarms is not None
}
ThresholdsSection = create_model(
    "ThresholdsSection", __base__=Section, __doc__="Limits of quantities, by their keys.", **_LIMITED
)


@with_keys_of(Rules, without=ELSEWHERE)
class RuleOverrides(Section):
    """Rules of detection for some sensors; what is left out comes from the next wider table."""

    thresholds: ThresholdsSection | None = None

    if TYPE_CHECKING:

        def __getattr__(self, key: str) -> Any: ...


@with_keys_of(Rules, without=ELSEWHERE, defaults=True)
class DetectionSection(RuleOverrides):
    """The rules for every sensor, and how far a sensor's clock may be off."""

    thresholds: ThresholdsSection = ThresholdsSection()
    lateness: Duration = 0
    clock_tolerance: Duration = 86400 * 10**9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.critical_ratio < self.warning_ratio:
            raise ValueError("critical_ratio is below warning_ratio; what is critical is worse than a warning")
        return self


class AlertsSection(Section):
    """What people can do with alerts."""

    max_shelving: Annotated[Duration, Field(gt=0)] = 7 * 86400 * 10**9


class MachineSection(RuleOverrides):
    """Rules for the sensors of one machine: those whose topic captured this `{machine}` (and site and area)."""

    id: str
    site: str | None = None
    area: str | None = None
    interval: Interval | None = None
    states: Annotated[frozenset[str], Field(min_length=1)] | None = None
    speed: Positive | None = None  # turns a minute
    bearings: tuple[BearingSection, ...] = ()
    teeth: Annotated[int, Field(ge=1)] | None = None
    line_frequency: Positive | None = None


class SensorSection(RuleOverrides):
    """Rules for one sensor. A configured baseline, in the sensor's unit, comes before every learned one."""

    id: str
    interval: Interval | None = None
    baseline: Positive | None = None


class JournalSection(Section):
    """How long a reading may wait for the commit that it shares with others."""

    commit_within: Annotated[Duration, Field(le=5 * 10**9)] = 500 * 10**6


class RetentionSection(Section):
    """How long the journal keeps what, how large it may become, and how much of the disk it leaves alone."""

    readings: Duration = 400 * 86400 * 10**9
    seal_after: Duration = 600 * 10**9
    events: Duration = 3650 * 86400 * 10**9
    dead_letters: Duration = 90 * 86400 * 10**9
    dead_letters_size: Annotated[Size, Field(ge=10**5)] = 10**9
    rollups_10s: Duration = 7 * 86400 * 10**9
    rollups_1m: Duration = 90 * 86400 * 10**9
    rollups_1h: Duration = 3650 * 86400 * 10**9
    waveforms: Annotated[Size, Field(ge=10**6)] = 256 * 10**6
    max_size: Annotated[Size, Field(ge=10**6)] = 8 * 10**9
    reserve: Annotated[Size, Field(ge=10**5)] = 32 * 10**6


@with_keys_of(Quotas, defaults=True)
class QuotasSection(Section):
    """How much anybody who may publish can make the gateway keep, beside readings of known sensors."""


class Config(Section):
    """The whole file."""

    gateway: GatewaySection
    mqtt: MqttSection
    influxdb: InfluxSection | None = None
    http: HttpSection | None = None
    users: tuple[UserSection, ...] = ()
    tokens: tuple[TokenSection, ...] = ()
    detection: DetectionSection = DetectionSection()
    alerts: AlertsSection = AlertsSection()
    journal: JournalSection = JournalSection()
    retention: RetentionSection = RetentionSection()
    quotas: QuotasSection = QuotasSection()
    inputs: tuple[Mapping[str, Any], ...] = ()
    machines: tuple[MachineSection, ...] = ()
    sensors: tuple[SensorSection, ...] = ()
    handlers: Mapping[Name, HandlerSection] = Field(default_factory=dict)
    consumers: Mapping[Name, PluginSection] = Field(default_factory=dict)
    routes: tuple[RouteSection, ...] = ()
    oncall: Mapping[Name, RotaSection] = Field(default_factory=dict)
    silences: tuple[SilenceSection, ...] = ()
    noise: NoiseSection = NoiseSection()
    heartbeat: HeartbeatSection | None = None
    otel: OtelSection | None = None
    fleet: FleetSection | None = None
    centre: CentreSection | None = None

    _secrets: frozenset[str] = PrivateAttr(frozenset())

    @property
    def secrets(self) -> frozenset[str]:
        """Every text that came from `${…}`, to be kept out of all output."""
        return self._secrets

    @model_validator(mode="after")
    def _something_to_read(self) -> Self:
        if not self.mqtt.topics and not self.inputs and self.centre is None:
            raise ValueError("mqtt.topics: needs a topic at least, where there are no [[inputs]]")
        return self

    @field_validator("sensors", "machines")
    @classmethod
    def _distinct(cls, tables: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [(table.id, getattr(table, "site", None), getattr(table, "area", None)) for table in tables]
        if twice := sorted({key[0] for key in keys if keys.count(key) > 1}):
            raise ValueError(f"more than one table for id {', '.join(map(repr, twice))}")
        return tables

    @field_validator("routes", "silences", "users", "tokens")
    @classmethod
    def _named_once(cls, tables: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [getattr(table, "name", None) or f"route {number}" for number, table in enumerate(tables, start=1)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"more than one table with the name {', '.join(map(repr, twice))}")
        return tables

    @model_validator(mode="after")
    def _known_handlers(self) -> Self:
        if both := sorted(set(self.oncall) & set(self.handlers)):
            raise ValueError(f"oncall.{both[0]}: [handlers.{both[0]}] has this name already; a route could mean either")
        for name, rota in self.oncall.items():
            _known(f"oncall.{name}.handlers", rota.handlers, self.handlers)
        known = {**self.handlers, **self.oncall}
        for number, route in enumerate(self.routes):
            _known(f"routes.{number}.handlers", route.handlers, known)
            _known(f"routes.{number}.fallback", [route.fallback] if route.fallback else [], known)
            for step, section in enumerate(route.escalation):
                _known(f"routes.{number}.escalation.{step}.handlers", section.handlers, known)
        return self

    @model_validator(mode="after")
    def _captured(self) -> Self:
        tags = further(dict.fromkeys(TopicTemplates(list(self.mqtt.topics)).placeholders, ""))
        there = ", ".join(sorted(tags)) or "none that is no key of its own"
        for number, route in enumerate(self.routes):
            if route.group_by not in {*GROUPS, *tags}:
                raise ValueError(
                    f"routes.{number}.group_by: must be {', '.join(GROUPS)}, or a placeholder of mqtt.topics"
                    f" (there are: {there})"
                )
        for name in ("routes", "silences"):
            for number, section in enumerate(getattr(self, name)):
                if unknown := sorted(section.tags.keys() - tags.keys()):
                    raise ValueError(
                        f"{name}.{number}.tags.{unknown[0]}: no topic has this placeholder (there are: {there})"
                    )
        return self

    @model_validator(mode="after")
    def _no_tag_is_a_field(self) -> Self:
        is_written = self.influxdb is not None or any(table.type == "influxdb" for table in self.consumers.values())
        taken = sorted(OURS_IN_INFLUXDB & TopicTemplates(list(self.mqtt.topics)).placeholders)
        if is_written and taken:
            raise ValueError(
                f"mqtt.topics: {{{taken[0]}}} would be a tag in InfluxDB, where the gateway's own points have a"
                " column of this name; call the placeholder something else"
            )
        return self

    @model_validator(mode="after")
    def _silences_end(self) -> Self:
        zone = self.gateway.timezone or system_zone()
        for number, silence in enumerate(self.silences):
            if not silence.ends_after_it_starts(zone):
                raise ValueError(f"silences.{number}.until: it must be after starts")
        return self


def _known(key: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known)) or "none are configured"
            raise ValueError(f"{key}: there is no [handlers.{name}] (there are: {there})")
