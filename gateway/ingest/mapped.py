"""What the inputs make of messages that are not in the event's own format, on its way into a batch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from gateway.domain.engine.unit_of_work import Original, UnitOfWork, WaveformRow
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.redelivery import RedeliveryWindow, digest_of
from gateway.domain.inputs.results import InputHeard, Outcome, Waveform
from gateway.domain.inputs.specs import InputSpec
from gateway.domain.inputs.stored_waveforms import to_row
from gateway.domain.model.events import Message, Rejected

MAX_DETAIL = 300
"""Characters that are kept of what went wrong."""

MAX_REMARKS = 50
"""Different ones that are kept of an input; of further ones only how many there were."""
FURTHER = "further remarks, about other sensors or values"


class MappedInputs:
    """The inputs with what they remember, and what was stored last of the messages that they read.

    `hear` is a message's way in, `keep` the way of what it led to into its batch. `window` is how many messages are
    looked back upon for one that the broker delivers again.
    """

    def __init__(self, specs: Iterable[InputSpec], window: int) -> None:
        self.family = Family(specs)
        self.window = window
        self._read, self._ignored = Counter[str](), Counter[str]()
        self._remarks = defaultdict[str, dict[str, int]](dict)
        self.restore({}, ())

    def restore(self, memory: Mapping[str, bytes], messages: Iterable[tuple[int, bytes]]) -> None:
        """Take up where the journal ends."""
        self._memory = Memory(memory)
        self._forgotten = 0
        self._stored = RedeliveryWindow(messages, self.window)

    @property
    def filters(self) -> list[str]:
        """What to subscribe to."""
        return self.family.filters

    def hear(self, message: Message) -> Outcome | None:
        """Return what a message comes to, or None for one that is stored already."""
        if message.duplicate and self._stored.has(message, digest_of(message)):
            return None
        try:
            return self.family.read(message, self._memory)
        except Exception as error:  # noqa: BLE001 - no message is worth the gateway: the broker would send it again and again
            detail = f"a defect of the gateway, please report it: {type(error).__name__}: {error}"[:MAX_DETAIL]
            rejected = Rejected("not_understood", detail.encode(errors="replace").decode(), message.payload)
            return Outcome(rejected=[rejected])

    def keep(self, message: Message, outcome: Outcome, first_seq: int, batch: UnitOfWork) -> None:
        """Add to the batch what stays beside the readings, which have sequence numbers from `first_seq` on."""
        digest = outcome.digest or digest_of(message)
        newest = batch.readings[-len(outcome.readings) :] if outcome.readings else []
        seqs = [row[0] for row in newest if row[0] >= first_seq]
        if seqs:
            name, received_ns = outcome.input or "", message.received_ns
            batch.originals.append(
                Original(
                    seqs[0], seqs[-1], received_ns, name, message.topic, message.packet_id, digest, message.payload
                )
            )
        batch.waveforms += [_row(message, digest, wave) for wave in outcome.waveforms]
        if seqs or outcome.waveforms:
            self._stored.add(message.packet_id, digest)
        batch.publications += outcome.publications
        if outcome.is_understood and outcome.input is not None:  # else a dead letter says what is wrong
            self._read[outcome.input] += 1
            for note in outcome.notes:
                self._remark(outcome.input, note, batch)
        for each in outcome.ignored:
            self._ignored[each.input] += 1
            batch.ignored[each.input] = batch.ignored.get(each.input, 0) + 1

    def _remark(self, name: str, note: str, batch: UnitOfWork) -> None:
        """Count what was not as it should be, and have it told the first time."""
        known = self._remarks[name]
        text = note if note in known or len(known) < MAX_REMARKS else FURTHER
        if text not in known:
            batch.news.append((name, text))
        known[text] = known.get(text, 0) + 1
        batch.remarks[name] = batch.remarks.get(name, 0) + 1

    def heard(self) -> list[InputHeard]:
        """Return what each input has done since the start; it does not survive a restart."""
        unused = self.family.unused
        return [
            InputHeard(name, self._read[name], self._ignored[name], list(unused[name]), self._remarks[name].copy())
            for name in (spec.name for spec in self.family.specs)
        ]

    def remember(self, batch: UnitOfWork) -> None:
        """Add to the batch what has to be remembered from now on, since the last one was written."""
        batch.memory |= self._memory.changes()
        batch.forgotten += self._memory.forgotten - self._forgotten
        self._forgotten = self._memory.forgotten


def _row(message: Message, digest: bytes, wave: Waveform) -> WaveformRow:
    about, samples = to_row(wave)
    return WaveformRow(
        wave.event_id, wave.sensor, wave.time_us, message.received_ns, message.topic, message.packet_id, digest, about,
        samples,
    )  # fmt: skip
