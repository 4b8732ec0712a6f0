"""Every preset has a sample, and every sample gives exactly the readings that were worked out by hand."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.config.presets import preset, preset_names
from gateway.config.to_inputs import load_inputs
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.model.events import Message
from gateway.plugins.decoders import load_decoder
from tests.unit.inputs.trying import tried

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "tests/presets"
PAGE = (ROOT / "docs/presets.md").read_text(encoding="utf-8")
PRESETS = list(preset_names())


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / name / "expected.json").read_text(encoding="utf-8"))
    return found


def close(reading: dict[str, Any]) -> dict[str, Any]:
    """Return a reading that equals one whose numbers are the same but for rounding."""
    level = reading["level"] if reading["level"] is None else pytest.approx(reading["level"])
    return timed(reading) | {"level": level, "quantities": pytest.approx(reading["quantities"])}


def timed(reading: dict[str, Any]) -> dict[str, Any]:
    """Return a reading with a moment instead of one of the ways to write it."""
    return reading | {"time": datetime.fromisoformat(reading["time"])}


def test_every_preset_has_a_sample_and_every_sample_a_preset() -> None:
    assert [folder.name for folder in sorted(SAMPLES.iterdir())] == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_sample_gives_exactly_what_is_expected(name: str, tmp_path: Path) -> None:
    expected = sample(name)
    messages = [(SAMPLES / name / message["file"], message["topic"]) for message in expected["messages"]]
    found = tried(tmp_path, (SAMPLES / name / "input.toml").read_text(encoding="utf-8"), messages, expected["received"])
    assert [(message["ignored"], message["problem"]) for message in found["messages"]] == [
        (message.get("ignored", False), None) for message in expected["messages"]
    ]
    assert found["statuses"] == expected["statuses"]
    assert [timed(reading) for reading in found["readings"]] == [close(reading) for reading in expected["readings"]]


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("cloudevents", "c1b7f0d2-90"),
        ("chirpstack", "6f2c1d0e-7b0a-4a55-9b57-2f7b1d4c9e10-x"),
        ("monitron", "5f1c8b9e-1f6a-4c9c-9f0e-2f1c7a3b6d55-x"),
    ],
)
def test_an_envelope_names_its_event(name: str, id_: str) -> None:
    family = Family(load_inputs(SAMPLES / name / "input.toml", load_decoder, {}))
    first = sample(name)["messages"][0]
    message = Message(first["topic"], (SAMPLES / name / first["file"]).read_bytes(), 0)
    assert family.read(message, Memory()).readings[0].event_id == id_


@pytest.mark.parametrize("name", PRESETS)
def test_a_sample_uses_its_preset_and_all_its_files(name: str) -> None:
    folder = SAMPLES / name
    assert f'preset = "{name}"' in (folder / "input.toml").read_text(encoding="utf-8")
    listed = {message["file"] for message in sample(name)["messages"]}
    assert {file.name for file in folder.iterdir()} == listed | {"input.toml", "expected.json"}


@pytest.mark.parametrize("name", PRESETS)
def test_the_head_of_a_file_says_what_it_is_where_that_is_documented_what_it_gives_and_what_to_add(name: str) -> None:
    head = (ROOT / "gateway/presets" / f"{name}.toml").read_text(encoding="utf-8").split("[[inputs]]")[0].splitlines()
    assert [line.split(": ")[0] for line in head[1:]] == ["# Documentation", "# Gives", "# Add"]
    assert head[0].startswith("# ")
    assert head[0].endswith(".")


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_says_of_a_preset_what_its_file_says(name: str) -> None:
    section = re.search(rf"^### {name}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert section
    found = preset(name)
    for text in (found.what, f"- Gives: {found.gives}", f"- Add: {found.add}", *(f"`{each}`" for each in found.topics)):
        assert text in section[1]


def test_the_page_has_no_preset_that_is_none() -> None:
    assert sorted(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE)) == PRESETS


def test_the_command_lists_them_with_what_they_give() -> None:
    table = CliRunner().invoke(cli, ["inputs", "presets"]).output
    listed = json.loads(CliRunner().invoke(cli, ["inputs", "presets", "-o", "json"]).output)
    assert [each["name"] for each in listed] == PRESETS
    assert all(each["inputs"] and each["documentation"] for each in listed)
    assert [name for name in PRESETS if name not in table or f"Gives: {preset(name).gives[:60]}" not in table] == []
