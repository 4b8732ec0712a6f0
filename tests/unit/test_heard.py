"""What was heard and not understood, as the page and the command line say it, and what would read it."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.model.events import Message
from gateway.errors import NotFoundError, RefusedError
from gateway.heard import LOOKED_AT_BYTES, TRIED, not_understood, proposal, tried
from tests.readings import NOON_NS, Plant, plant


@pytest.fixture
def here(tmp_path: Path) -> Any:
    with plant(tmp_path / "state") as made:
        yield made


def heard_here(here: Plant, count: int = 3, **more: Any) -> None:
    content = {"acc_rms_g": 0.25, "velocity_rms": 2.5, **more}
    topics = [f"mill/dev-{number}/features" for number in range(count)]
    here.take(*(Message(topic, json.dumps(content).encode(), NOON_NS) for topic in topics))


def test_the_groups_have_what_a_technician_needs(here: Plant) -> None:
    heard_here(here)
    here.take(Message("lora/application/4/device/00aa11/event/up", b'{"deviceInfo": {}, "rxInfo": [1]}', NOON_NS))
    here.take(Message("bytes/dev-1", b"\xff\x00", NOON_NS))
    with here.reader() as reader:
        found = not_understood(reader)
    assert found["summary"] == "heard, not understood: 5 messages on 5 topics"
    first, *others = found["groups"]
    assert (first["pattern"], first["messages"], first["topics"]) == ("mill/+/features", 3, 3)
    assert (first["topic"], first["newest"]) == ("mill/dev-2/features", "2026-03-01T12:00:00.000Z")
    assert json.loads(first["payload"]) == {"acc_rms_g": 0.25, "velocity_rms": 2.5}
    assert {each["looksLike"] for each in others} == {None, 'it looks like a ChirpStack uplink: preset = "chirpstack"'}
    assert "\\xff\x00" in {each["payload"] for each in others}


def test_what_would_read_a_group_is_proposed_and_can_be_tried(here: Plant) -> None:
    heard_here(here, 2 * TRIED)
    with here.reader() as reader:
        (group,) = not_understood(reader)["groups"]
        text = proposal(reader, group["seq"])["inputs"]
        assert "# Tried on what was heard: 10 of the messages gave readings" in text
        assert tomllib.loads(text)["inputs"][0]["topic"] == "mill/{sensor}/features"
        found = tried(reader, text)
    assert [message["problem"] for message in found["messages"]] == TRIED * [None]
    assert {reading["sensor"] for reading in found["readings"]} == {f"dev-{number}" for number in range(5, 10)}


def test_what_cannot_be_proposed_or_tried_says_why(here: Plant) -> None:
    heard_here(here)
    with here.reader() as reader:
        with pytest.raises(NotFoundError, match="ask for the groups again"):
            proposal(reader, 99)
        for text, why in {
            "[[inputs": "not TOML",
            "a = 1": "no .*inputs.* in this",
            '[[inputs]]\ntopic = "a/#"': "placeholder",
            '[[inputs]]\ntopic = "a/{sensor}"\ndecoder = "none"': "no decoder 'none'",
            "inputs = 7": "must be tables",
        }.items():
            with pytest.raises(RefusedError, match=why):
                tried(reader, text)


def test_a_large_message_is_not_looked_at_but_counted(here: Plant) -> None:
    heard_here(here, 1, more="x" * LOOKED_AT_BYTES)
    with here.reader() as reader:
        (group,) = not_understood(reader)["groups"]
        assert group["bytes"] > LOOKED_AT_BYTES > len(group["payload"])
        assert "[[inputs]]" not in proposal(reader, group["seq"])["inputs"]
