"""Messages each of which would have ended the gateway, and come again: they are read as well as they can be."""

import json
from array import array
from typing import Any

import cbor2
import pytest

from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Waveform
from gateway.domain.inputs.stored_waveforms import from_row, to_row
from tests.fuzz.inputs import CONTENT, SEEDS, TABLES, check, topics_of
from tests.fuzz.inputs import family as fuzzed
from tests.unit.domain.inputs.trying import RECEIVED_US, family, message, outcome

BATCH = 'topic = "t/{sensor}"\nbatch = { start = "t", step = "e" }\nfields = { level = "a" }'
SENML = 'topic = "t"\nrows = { senml = true, names = "{sensor}_{field}", fields = { a = "level" } }'
PARTS = 'topic = "t/{sensor}"\nwaveform = { samples = "w", rate = 9, parts = { id = "i", index = "n", count = "c" } }'


@pytest.mark.parametrize("table", TABLES)
def test_every_seed_of_the_fuzzer_keeps_its_promises(table: str) -> None:
    inputs, memory = fuzzed(table), Memory()
    for seed in SEEDS:
        for topic in topics_of(table):
            sent = message(topic, seed)
            check(inputs.read(sent, memory), sent, memory)


@pytest.mark.parametrize(
    "sent",
    [
        {"t": 10**400, "e": 0.5, "a": [1, 2]},
        {"t": "2026-11-30T10:00:00Z", "e": 1e15, "a": [1, 2]},
        {"t": None, "e": -1e299, "a": [1, 2]},
        {"t": 5, "e": 1e299, "a": [1] * 10_000},
    ],
)
def test_a_step_that_leads_out_of_all_times_is_none(sent: Any) -> None:
    out = outcome(BATCH, "t/S", sent)
    assert len(out.readings) == len(sent["a"])
    assert out.readings[-1].time_us in (RECEIVED_US, RECEIVED_US + 500_000)
    assert "the receive time counts" in out.notes[0]


def test_a_relative_time_of_senml_before_all_times_is_none() -> None:
    for ago in (-1e299, -1e12, -1e10):
        assert outcome(SENML, "t", [{"n": "S_a", "v": 1, "t": ago}]).readings[0].time_us == RECEIVED_US
    assert outcome(SENML, "t", [{"n": "S_a", "v": 1, "t": -5}]).readings[0].time_us == RECEIVED_US - 5_000_000


def test_half_a_surrogate_pair_is_a_question_mark_as_no_store_can_encode_it() -> None:
    out = outcome(
        'topic = "t/{sensor}"\nplace = { machine = "{m}" }\nfields = { level = "a" }', "t/S",
        b'{"a": 1, "m": "\\uD800 \\ud83d\\ude00"}',
    )  # fmt: skip
    assert out.readings[0].place == {"machine": "? 😀"}
    memory = Memory()
    part = b'{"i": "\\udc00", "n": 0, "c": 2, "w": [1, 2]}'
    assert outcome(PARTS, "t/S", part, memory).waits
    assert len(memory.changes()) == 2


@pytest.mark.parametrize("samples", ["7f800000ff800000", "7fc0000000000000"])
def test_samples_that_are_not_finite_make_no_waveform(samples: str) -> None:
    out = outcome(
        'topic = "t/{sensor}"\nwaveform = { samples = "w", encoding = "hex+f32be", rate = 1 }', "t/S", {"w": samples}
    )
    assert "no finite number" in out.rejected[0].detail


def test_an_axis_that_a_topic_names_is_short_and_printable() -> None:
    toml = 'topic = "t/{sensor}/{axis}"\nfields = { level = "a" }'
    assert outcome(toml, "t/S/X", {"a": 1}).readings[0].sensor == "S-x"
    for axis in ("x" * 33, "\x01"):
        (rejected,) = outcome(toml, f"t/S/{axis}", {"a": 1}).rejected
        assert (rejected.reason, "with the axis" in rejected.detail) == ("bad_id", True)


def test_a_tag_with_an_axis_that_is_none_means_nothing() -> None:
    toml = 'topic = "t"\nrows = { name = "{key}", names = "{sensor}/{axis}/{field}", fields = { a = "level" } }'
    assert outcome(toml, "t", {"S/" + "x" * 33 + "/a": 1}).is_ignored


@pytest.mark.parametrize("damaged", [b"", b"\xff", b"\x93\x01", b"\xa1\xff"])
def test_what_is_remembered_and_was_damaged_is_as_good_as_forgotten(damaged: bytes) -> None:
    rows = family(
        'topic = "t"\nrows = { name = "{key}", names = "{sensor}/{field}", keep_last = true, fields = { a = "level" } }'
    )
    parts = family(PARTS)
    decoder = family('topic = "t"\ndecoder = "d"', {"d": lambda *_: [{"sensor": "S", "values": {"level": 1}}]})
    first = [
        (rows, message("t", {"S/a": 1})),
        (parts, message("t/S", {"i": "c", "n": 0, "c": 2, "w": [1, 2]})),
        (decoder, message("t", b"")),
    ]
    for inputs, sent in first:
        memory = Memory()
        inputs.read(sent, memory)
        again = Memory(dict.fromkeys(memory.blobs, damaged))
        out = inputs.read(sent, again)
        check(out, sent, again)
        assert again.forgotten >= 1


def test_a_damaged_part_gives_the_block_up() -> None:
    inputs, memory = family(PARTS), Memory()
    inputs.read(message("t/S", {"i": "c", "n": 0, "c": 2, "w": [1, 2]}), memory)
    damaged = {key: b"\x92\x01\xc4\x01a" if key.endswith("\x1f0") else blob for key, blob in memory.blobs.items()}
    out = inputs.read(message("t/S", {"i": "c", "n": 1, "c": 2, "w": [3, 4]}), Memory(damaged))
    assert "damaged" in out.rejected[0].detail


def test_a_stored_waveform_whose_samples_the_disk_has_made_infinite_is_refused() -> None:
    wave = Waveform(
        input="i", sensor="S", source="S", axis=None, place={}, time_us=RECEIVED_US, time_from="message", rate=9.0,
        unit="m/s²", sensor_unit="g", samples=array("f", [1, 2]), values={}, event_id="e",
    )  # fmt: skip
    about, samples = to_row(wave)
    assert from_row(about, samples) == wave
    with pytest.raises(ValueError, match="finite"):
        from_row(about, samples[:4] + b"\x00\x00\xc0\x7f")


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def failing(error: BaseException) -> Any:
    def decode(*_: Any) -> Any:
        raise error

    return decode


@pytest.mark.parametrize(
    ("decode", "says"),
    [
        (failing(SilentError()), "does not say why"),
        (failing(SystemExit(3)), "SystemExit"),
        (failing(KeyboardInterrupt()), "KeyboardInterrupt"),
        (failing(ValueError("\ud800")), "ValueError: ?"),
        (lambda *_: [{"sensor": "S", "\ud800": 1}], "no reading"),
        (lambda *_: [{"sensor": "S", "axis": "\ud800", "values": {"level": 1}}], "printable"),
        (lambda *_: [{"sensor": "S", "axis": "x" * 1000, "values": {"level": 1}}], "printable"),
        (lambda *_: [{"sensor": "S", "place": {"m": "\ud800"}, "values": {"level": 1}}], "printable"),
        (lambda *_: [{"sensor": "S", "samples": [1e300, 1], "rate": 1}], "finite"),
        (lambda _t, _p, _r, state: state.update({5: 1}) or [], "no text"),
    ],
)
def test_no_decoder_ends_the_gateway(decode: Any, says: str) -> None:
    inputs, memory = family('topic = "t"\ndecoder = "d"', {"d": decode}), Memory()
    for _ in range(2):
        sent = message("t", b"x")
        out = inputs.read(sent, memory)
        check(out, sent, memory)
        assert out.rejected[0].reason == "decoder_failed"
        assert says in out.rejected[0].detail


def test_numbers_of_thousands_of_bits_are_no_times() -> None:
    payload = cbor2.dumps({**CONTENT, "t": 2**9000, "e": 0.5, "a": [1, 2]})
    assert len(outcome('format = "cbor"\n' + BATCH, "t/S", payload).readings) == 2
    assert json.loads(outcome(BATCH, "t/S", {"a": [1]}).readings[0].body)["data"]["vibrationLevel"] == 1


def test_invented_axes_of_a_sensor_are_remembered_up_to_a_bound() -> None:
    inputs, memory = (
        family(
            'topic = "t"\nrows = { name = "{key}", names = "{sensor}/{axis}/{field}", keep_last = true,'
            ' fields = { a = "level", b = "peak" } }'
        ),
        Memory(),
    )
    for number in range(200):
        inputs.read(message("t", {f"S/n{number}/a": 1}), memory)
    assert max(map(len, memory.blobs.values())) < 64 * 60
    (newest,) = inputs.read(message("t", {"S/n199/b": 2}), memory).readings
    (oldest,) = inputs.read(message("t", {"S/n0/b": 2}), memory).readings
    assert (newest.level, oldest.level) == (1, None)
