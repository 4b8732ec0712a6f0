"""The JSON that the API answers with, as its documentation shows it. Texts come from sensors: never interpret them."""

# ruff: noqa: N815 - names as they are in the JSON, which every interface shows alike

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.engine.event_log import StoredReading, ratio_of
from gateway.domain.model.alert_kinds import AlertKind
from gateway.domain.model.events import AlertState, Severity
from gateway.domain.model.reading import FLAG_NAMES, quantities_of
from gateway.domain.model.timefmt import rfc3339


class Problem(BaseModel):
    """Why there is no answer: in words, or for a request that was not understood, a list with `loc` and `msg`."""

    detail: str | list[dict[str, Any]]


class Readiness(BaseModel):
    """Whether the gateway can do its job, and if not, why."""

    ready: bool
    reasons: list[str]


class Sensor(BaseModel):
    """A sensor as it is now. `level` and `baseline` are in `unit`; `spark` are up to 60 levels, the oldest first."""

    id: str
    site: str
    area: str
    machine: str
    tags: dict[str, str]
    state: Literal["critical", "warning", "learning", "ok", "waiting"] = Field(
        description="learning: no baseline yet; waiting: no reading since the gateway started"
    )
    level: float | None
    baseline: float | None
    ratio: float | None = Field(description="level / baseline")
    unit: str
    shownLevel: float | None = Field(description="the level in the unit that the sensor itself uses")
    shownBaseline: float | None
    shownUnit: str
    time: str | None = Field(description="when it was measured, RFC 3339")
    quantities: dict[str, float] = Field(description="the newest of those that came without a level")
    spark: list[float | None]


class SaidState(BaseModel):
    """How a machine was said to run: in its own words, since when (none: since the newest reading), and who said so."""

    state: str
    since: str | None
    by: str


class SensorWithStanding(Sensor):
    """A sensor with what of it was not judged, and how its machine was said to run when its newest reading came."""

    notJudged: dict[str, int] = Field(description="readings that were stored and not judged, by the reason")
    machineState: SaidState | None
    contradiction: str | None = Field(description="of its own baseline and the one that counts, in words")


class Quantity(BaseModel):
    """What can be measured beside the level: its name in the configuration and in an event, its label and unit."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    wire: str
    kind: str
    label: str
    unit: str
    precision: int = Field(description="digits after the decimal point that say something")


class Reading(BaseModel):
    """A stored reading. `baseline` is what it was compared with; `features` are the optional numbers of the event."""

    event_id: str = Field(serialization_alias="eventId")
    time: str
    received_at: str = Field(serialization_alias="receivedAt")
    level: float | None = Field(description="none where it measured something else")
    baseline: float | None
    ratio: float | None
    unit: str
    flags: list[str] = Field(description="late, clock-replaced, retained")
    features: dict[str, float]

    @classmethod
    def of(cls, reading: StoredReading) -> Reading:
        """Return what the API shows of a stored reading."""
        data = reading.event().data
        return cls(
            event_id=reading.event_id,
            time=rfc3339(reading.time_ns),
            received_at=rfc3339(reading.received_ns),
            level=reading.level,
            baseline=reading.baseline,
            ratio=ratio_of(reading.level, reading.baseline),
            unit="" if reading.level is None else data.unit,
            flags=[name for flag, name in FLAG_NAMES.items() if flag & reading.flags],
            features=quantities_of(data),
        )


class Limits(BaseModel):
    """What the sensor's next reading will be compared with, in its unit. Below `clear` an alert may end."""

    baseline: float
    source: str = Field(description="configured, learned, event (the sensor's own) or provisional")
    version: int
    warning: float
    critical: float
    clear: float


class History(BaseModel):
    """A sensor's level over time, in columns of equal length: one value for each step in which there were readings."""

    sensorId: str
    unit: str
    from_: str = Field(alias="from")
    to: str
    step: int = Field(description="seconds from one value to the next")
    resolution: str = Field(description="the rollups that it comes from: 10s, 1m or 1h")
    time: list[int] = Field(description="where the step begins, in seconds since 1970")
    low: list[float | None]
    mean: list[float | None]
    high: list[float | None]
    count: list[int] = Field(description="readings in the step")
    limits: Limits | None
    baselines: list[dict[str, Any]] = Field(description="what was learned, the oldest first")
    states: list[dict[str, Any]] = Field(
        description="operating states that the machine reported of itself, with `from` and `to`"
    )
    alerts: list[dict[str, Any]] = Field(description="open at any moment of the span, the oldest first")


class Step(BaseModel):
    """One thing that happened to an event, in words, with the names and numbers that belong to it."""

    model_config = ConfigDict(extra="allow")

    step: str
    at: str | None
    what: str


class Trace(BaseModel):
    """The life of an event. `eventId` is what began it, `asked` what was asked for."""

    eventId: str
    asked: str
    kind: Literal["reading", "fact", "rejected"]
    sensorId: str | None
    traceparent: str | None
    steps: list[Step]


class Broker(BaseModel):
    """Whether messages can come in."""

    connected: bool
    problems: list[str]


class Follower(BaseModel):
    """A consumer of the journal, and how many entries it has not had yet."""

    name: str
    at: int = Field(description="the last entry that it is done with; 0 if it has never had any")
    behind: int


class HandlerState(BaseModel):
    """A handler, and how many messages there are by state: pending, sending, sent, uncertain, failed."""

    name: str
    type: str
    messages: dict[str, int]


class Disk(BaseModel):
    """Bytes: the journal and what it may become, what the disk has left and what is never taken of that."""

    journal: int
    journalLimit: int
    free: int
    reserve: int


class Condition(BaseModel):
    """How the gateway itself is. `reasons` say why it is not ready; `deadLetters` are counted by reason."""

    id: str
    reasons: list[str]
    broker: Broker
    influxdb: bool = Field(description="whether one is configured; how far behind it is, is among the consumers")
    lastEntry: int
    consumers: list[Follower]
    handlers: list[HandlerState]
    deadLetters: dict[str, int]
    overQuota: dict[str, int] = Field(
        description="what was refused, or not kept, since the journal was made, by the quota"
    )
    disk: Disk


class InputState(BaseModel):
    """What an input has done since the gateway was started."""

    name: str
    messages: int = Field(description="that it read")
    ignored: int = Field(description="that it left out on purpose, or in which it found no value")
    unused: list[str] = Field(description="paths of numbers that no field uses")
    remarks: dict[str, int] = Field(description="what was not as it should be and was made the best of, and how often")


class HeardGroup(BaseModel):
    """Messages that were not understood for one reason, on topics of one kind; topic and payload are of the newest."""

    pattern: str = Field(description="the topics, with a + for each level that varies")
    reason: str
    meaning: str | None
    detail: str
    looksLike: str | None = Field(description="what the newest looks like, and what helps")
    messages: int
    topics: int
    newest: str = Field(description="when it came, RFC 3339")
    seq: int
    topic: str
    payload: str = Field(description="its beginning")
    bytes: int


class NotUnderstood(BaseModel):
    """What was heard and not understood, the largest groups first, of the newest dead letters."""

    summary: str = Field(description="in words; empty if everything was understood")
    messages: int
    topics: int
    isWhole: bool = Field(description="whether every dead letter was looked at, or only the newest")
    groups: list[HeardGroup]


class ProposedInputs(BaseModel):
    """The `[[inputs]]` that would read a group, in TOML, with what came of trying them on it."""

    inputs: str


class Told(BaseModel):
    """What became of telling somebody of one change of an alert."""

    handler: str
    state: str = Field(description="pending, sending, sent, uncertain, failed or withdrawn")
    attempts: int
    said: str = Field(description="by the other side, last")


class Untold(BaseModel):
    """The decision not to tell, or not yet."""

    handler: str | None = Field(description="none: nobody is told")
    state: str = Field(description="suppressed or deferred")
    by: str = Field(description="what decided so: silence, quiet, …")
    why: str
    until: str | None


class AlertChange(BaseModel):
    """A change of an alert: when, who (if it was a person), why, and who was told."""

    at: str
    change: str = Field(description="AlertRaised, AlertEscalated, …")
    who: str | None
    why: str
    cause: str
    told: list[Told]
    untold: list[Untold] = Field(description="why somebody was not told of it, or not yet")


class AlertMessage(BaseModel):
    """A message that tells of an alert, and maybe of others too; or the decision not to tell, or not yet."""

    at: str
    handler: str | None
    route: str | None
    kind: str
    state: str = Field(description="as of `told`; suppressed or deferred: it was decided not to tell, or not yet")
    attempts: int
    said: str | None = Field(description="by the other side, last")
    alerts: int = Field(description="how many alerts it tells of")
    named: bool | None = Field(description="whether its list names this one, or it is only counted; none: a decision")
    by: str | None = Field(description="what decided not to tell: silence, quiet, …")
    why: str | None
    until: str | None
    id: str | None = Field(description="of the message; a decision has none")


class Alert(BaseModel):
    """An alert. It is open until its state is `cleared`; `openedBy` is the id of the event that caused it.

    Times are RFC 3339.
    """

    model_config = ConfigDict(extra="allow")

    id: str
    kind: AlertKind
    sensorId: str
    severity: Severity
    state: AlertState
    acknowledged: bool
    shelvedUntil: str | None
    openedAt: str
    clearedAt: str | None
    reason: str
    openedBy: str


class AlertWithPast(Alert):
    """An alert with all that is known of its past, each list the oldest first."""

    history: list[AlertChange] = []
    messages: list[AlertMessage] = []
