"""One message, read as an input says. Nothing that a message may be raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.domain.inputs.elements import MAX_ELEMENTS, elements_of, is_of_elements, overlaid
from gateway.domain.inputs.emitter import Emitter, Subject, When
from gateway.domain.inputs.fields import Found
from gateway.domain.inputs.formats import LINEWISE
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.numbers import number
from gateway.domain.inputs.paths import ABSENT, find
from gateway.domain.inputs.results import Outcome, Presence, Status, is_id
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.row_reading import read_rows
from gateway.domain.inputs.specs import Each
from gateway.domain.inputs.waveform_reading import take_waveforms
from gateway.domain.inputs.waveforms import setting
from gateway.domain.inputs.wording import text_of
from gateway.domain.model.events import Message, Rejected

SHOWN_PROBLEMS: Final = 3
"""Bad elements that a dead letter describes; the others are counted."""

LONGEST_EVENT_ID: Final = 100
"""Characters of an id that a message gives its event; an axis comes behind it."""


class MessageReader:
    """The reading of one message by one input."""

    __slots__ = (
        "emitter", "heard", "is_troubled", "memory", "message", "out", "payload", "problems", "route",
        "spec",
    )  # fmt: skip

    def __init__(self, route: Route, content: Any, message: Message, memory: Memory) -> None:
        self.route = route
        self.spec = route.spec
        self.message = content
        self.memory = memory
        self.payload = message.payload
        self.emitter = Emitter(route, message)
        self.out = self.emitter.out
        self.problems: list[str] = []
        self.heard = False
        self.is_troubled = False

    def read(self) -> Outcome:
        """Return what came of the message: a dead letter too, where a part of it is bad."""
        if self.route.rows is not None:
            read_rows(self, self.route.rows)
        elif self.spec.each is None:
            self._element(self.message, self.route.captured)
        else:
            for element, captured in self._elements(self.spec.each):
                self._element(element, captured)
        out = self.out
        if self.problems:
            self._reject("bad_id", self._described())
        elif not out.readings and not out.is_understood and not out.rejected:
            self._nothing()
        return out

    def _nothing(self) -> None:
        """Say why a message came to nothing: on purpose, or since it is not what the input was made for."""
        if self.is_troubled:
            self._reject("not_understood", f"input {self.spec.name!r}: {'; '.join(self.out.notes)}")
        elif self.heard or self.out.filtered:
            self.out.ignored_as(self.spec.name, self._why_nothing())
        else:
            self._reject("not_understood", f"input {self.spec.name!r}: none of its paths is in the message")

    def trouble(self, text: str) -> None:
        """Say what cannot be used of what the message has."""
        self.is_troubled = True
        self.out.note(text)

    def _why_nothing(self) -> str:
        return "it has no value" if self.heard else "all its parts are left out"

    def _reject(self, reason: str, detail: str) -> None:
        self.out.rejected.append(Rejected(reason, detail, self.payload))

    def _described(self) -> str:
        more = len(self.problems) - SHOWN_PROBLEMS
        return (
            f"input {self.spec.name!r}: "
            + "; ".join(self.problems[:SHOWN_PROBLEMS])
            + (f"; and {more} more" if more > 0 else "")
        )

    def _elements(self, each: Each) -> Iterator[tuple[Any, Mapping[str, str]]]:
        """Iterate over the elements that are not left out, with what is captured for each."""
        elements = elements_of(each, self.message, self.route.wanted)
        if elements is None:
            return
        if len(elements) > MAX_ELEMENTS:
            self._reject("too_many", f"{len(elements)} elements; at most {MAX_ELEMENTS} come in one message")
            return
        self.heard = not elements
        for element, key in elements:
            captured = self.route.captured if key is None else {**self.route.captured, "key": key}
            if self.spec.where_each and self.spec.where_each.failing(element, captured):
                self.out.filtered += 1
            else:
                yield overlaid(self.spec.binary, element) if is_of_elements(self.spec) else element, captured

    def row_elements(self) -> list[tuple[Any, Mapping[str, str]]]:
        """Return what has the rows: the message, or each of its elements."""
        if self.spec.each is None or self.spec.format in LINEWISE:
            return [(self.message, self.route.captured)]
        return list(self._elements(self.spec.each))

    def _element(self, element: Any, captured: Mapping[str, str]) -> None:
        if self.spec.status is not None and self._status(element, captured):
            return
        if self.spec.batch is not None:
            self._batch(element, captured)
            return
        found = self.route.extraction.read(element, self.trouble)
        waves = self.spec.waveform is not None and take_waveforms(self, element, captured, found)
        if any(found):
            self._emit(found, element, captured)
        elif waves or self.route.extraction.is_there(element):
            self.heard = True
        elif self.spec.each is not None:
            self.out.filtered += 1

    def _emit(self, found: list[Found], element: Any, captured: Mapping[str, str], when: When | None = None) -> None:
        subject = self.subject(element, captured, when)
        if subject is not None:
            self.emitter.emit(found, subject)

    def subject(
        self, element: Any, captured: Mapping[str, str], when: When | None = None, around: Any = None
    ) -> Subject | None:
        """Return whose readings an element has, or None, remembering why. What it lacks is looked up `around` it."""
        scopes = (element,) if element is self.message else (element, around, self.message)
        found = self.route.fixed if captured is self.route.captured else None
        source, place = found or (self.route.source(captured, scopes), self.route.place(captured, scopes))
        if source is None or (found is None and not (is_id(source) and self.route.is_named)):
            self._bad_source(source)
            return None
        when = when or self.emitter.when(scopes)
        return Subject(source, place, when, self._event_id(element) if self.spec.event_id else "")

    def _event_id(self, element: Any) -> str:
        said = text_of(find(element, self.spec.event_id or ()))
        return said if len(said) <= LONGEST_EVENT_ID and said.isprintable() else ""

    def _bad_source(self, source: str | None) -> None:
        if source is None:
            template = self.spec.sensor.text if self.spec.sensor else "{sensor}"
            self.problems.append(f"nothing in the message says what sensor = {template!r} is")
        else:
            axis = "" if self.route.is_named else f" with the axis {self.route.captured['axis'][:40]!r}"
            self.problems.append(f"{source[:40]!r}{axis} cannot be a sensor's id")

    def _status(self, element: Any, captured: Mapping[str, str]) -> bool:
        status = self.spec.status
        name = status.path[0] if status and len(status.path) == 1 else ""
        said = captured[name] if name in captured else text_of(find(element, status.path)) if status else ""
        if not status or not said:
            return False
        if said not in status.online and said not in status.offline:
            self.heard = True
            self.out.note(f"{said[:40]!r} says neither that the sensor is there nor that it is not")
            return not self.spec.fields
        subject = self.subject(element, captured, (0, "received"))
        if subject is not None:
            presence: Presence = "online" if said in status.online else "offline"
            self.out.statuses.append(Status(self.spec.name, subject.source, subject.place, presence))
        return not self.spec.fields

    def _batch(self, element: Any, captured: Mapping[str, str]) -> None:
        extraction = self.route.extraction
        count = extraction.length(element)
        if count > MAX_ELEMENTS:
            self._reject("too_many", f"{count} readings in columns; at most {MAX_ELEMENTS} come in one message")
            return
        self.heard = self.heard or extraction.is_there(element)
        for at in range(count):
            found = extraction.read(element, self.trouble, at)
            if any(found):
                self._emit(found, element, captured, self._step(element, at))

    def _step(self, element: Any, at: int) -> When:
        """Return the time of reading `at`. A step that a message says has the unit of its start, if it is one."""
        batch = self.spec.batch
        start: Any = find(element, batch.start) if batch else ABSENT
        if type(start) is list:
            return self.emitter.moment(start[at] if at < len(start) else ABSENT)
        step = (setting(batch.step, element) if batch else None) or 0.0
        if batch and isinstance(batch.step, tuple) and type(start) in {int, float} and number(start) is not None:
            return self.emitter.moment(start + at * (int(step) if step.is_integer() else step))
        return self.emitter.later(self.emitter.moment(start), at * step)
