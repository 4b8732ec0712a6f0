"""The tables that say who is told what and when: routes, rotas, silences, noise, the heartbeat, traces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    ConfigDict,
    Field,
    SecretStr,
    create_model,
    field_validator,
    model_validator,
)

from gateway.config.section import Section
from gateway.config.values import ClockTime, Days, Duration, Handover, Name, Patterns, Timezone
from gateway.domain.model.events import Severity
from gateway.domain.notification.matching import DIMENSIONS, Matchers
from gateway.domain.notification.model import OWN
from gateway.domain.notification.oncall import DAY_MINUTES, EVERY_DAY
from gateway.domain.notification.silences import SOMETHING

_MINUTE = 60 * 10**9


class HoursSection(Section):
    """Hours of the week: from a time of day to another, on some days. With `to` before `from` into the next day."""

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True)

    days: Days = EVERY_DAY
    start: Annotated[ClockTime, Field(alias="from")] = 0
    end: Annotated[ClockTime, Field(alias="to")] = DAY_MINUTES
    timezone: Timezone | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.start in (self.end, DAY_MINUTES) or self.end == 0:
            raise ValueError("from and to leave no time between them; leave both out for the whole day")
        return self


def _placeholder(name: str) -> str:
    if name in OWN:
        raise ValueError(f"it is a key of its own: {name}s")
    return name


if TYPE_CHECKING:
    _Dimensions = Section
else:
    _Dimensions = create_model(
        "_Dimensions",
        __base__=Section,
        **{each.names: (tuple[Literal[each.choices], ...] if each.choices else Patterns, ()) for each in DIMENSIONS},
    )


class MatcherSection(_Dimensions):
    """Of which alerts a table speaks: of those that match everything it names.

    It has a key for each dimension. `tags` are further placeholders of the topics.
    """

    tags: Mapping[Annotated[str, AfterValidator(_placeholder)], Patterns] = Field(default_factory=dict)

    @property
    def matchers(self) -> Matchers:
        """What it speaks of."""
        named = {each.names: getattr(self, each.names) for each in DIMENSIONS}
        return Matchers(**named, tags=dict(self.tags))


class StepSection(Section):
    """Whom to tell when nobody has acknowledged `after` the message before."""

    after: Annotated[Duration, Field(ge=10**9)]
    handlers: Annotated[tuple[str, ...], Field(min_length=1)]


class RouteSection(MatcherSection):
    """Alerts of this severity and worse go to these handlers, or to whose turn it is. Every matching route applies."""

    name: Name | None = None
    severity: Severity
    handlers: Annotated[tuple[str, ...], Field(min_length=1)]
    times: HoursSection | None = None
    quiet: HoursSection | None = None
    resolved: bool = False
    group_by: str = "machine"
    group_wait: Duration = 30 * 10**9
    repeat: Annotated[Duration, Field(ge=_MINUTE)] | None = None
    escalation: tuple[StepSection, ...] = ()
    fallback: str | None = None


class RotaSection(Section):
    """Whose turn it is: these handlers, one a week, from the week of `first` on."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    handlers: Annotated[tuple[str, ...], Field(min_length=1)]
    handover: Handover = 8 * 60
    first: date = date(2024, 1, 1)
    timezone: Timezone | None = None


class SilenceSection(MatcherSection):
    """Nobody is told of what matches: until a time, or every week within `hours`."""

    name: Name
    owner: Annotated[str, Field(min_length=1)]
    reason: str
    severity: Severity = "critical"
    starts: datetime | None = None
    until: datetime | None = None
    hours: HoursSection | None = None

    @field_validator("starts", "until")
    @classmethod
    def _known(cls, moment: datetime | None) -> datetime | None:
        try:
            if moment is not None and moment.tzinfo:
                moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("it is before the year 1, or after 9999, in UTC") from None
        return moment

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.matchers.match_everything():
            raise ValueError(f"it must name {SOMETHING}; it does not mute everything")
        if self.until is None and self.hours is None:
            raise ValueError("it needs an end (until), or hours in which it comes back")
        return self

    def ends_after_it_starts(self, zone: ZoneInfo) -> bool:
        """Tell whether `until`, if there is one, is after `starts`; `zone` is that of a time that names none."""
        if self.starts is None or self.until is None:
            return True
        starts, until = (each if each.tzinfo else each.replace(tzinfo=zone) for each in (self.starts, self.until))
        return starts.timestamp() < until.timestamp()


class NoiseSection(Section):
    """What is too much: floods on a route, alerts that come and go; and what follows from something else."""

    flood_count: Annotated[int, Field(ge=0, le=1000)] = 10
    flood_end: Annotated[int, Field(ge=1)] = 5
    flood_window: Annotated[Duration, Field(ge=_MINUTE)] = 10 * _MINUTE
    flap_count: Annotated[int, Field(ge=0, le=1000)] = 5
    flap_window: Annotated[Duration, Field(ge=_MINUTE)] = 30 * _MINUTE
    inhibit: bool = True
    notice: Duration = 15 * _MINUTE

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.flood_count and self.flood_end > self.flood_count:
            raise ValueError("flood_end is above flood_count; a flood would end before it begins")
        return self


class HeartbeatSection(Section):
    """An address that is called for as long as this gateway does its job: when the calls end, somebody is told."""

    url: AnyHttpUrl
    every: Annotated[Duration, Field(ge=10**9)] = _MINUTE
    method: Literal["GET", "POST", "HEAD"] = "GET"


class OtelSection(Section):
    """Where the traces of alerts go: OTLP over HTTP, with these headers. It needs the extra `otel`."""

    endpoint: AnyHttpUrl
    headers: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], SecretStr] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, value in headers.items():
            text = value.get_secret_value()
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"{name}: a header is one line of ASCII")
        return headers
