"""Every `[[inputs]]` of the guide is a configuration, and reads the message that stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.config.presets import preset, preset_names
from gateway.config.to_inputs import load_inputs
from gateway.plugins.decoders import load_decoder
from tests.unit.inputs.trying import HEAD, tried

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/inputs.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^```toml\n(\[\[inputs\]\].*?)^```\n(?:\n```(?:json|text)\n(.*?)\n```)?", GUIDE, re.MULTILINE | re.DOTALL
)
READ = [(inputs, message) for inputs, message in EXAMPLES if message]
RECEIVED = "2026-03-02T08:00:00Z"


def topic_of(inputs: str) -> str:
    """Return a topic that fits the first template of an example."""
    own = re.search(r'^topics? = \[?"([^"]+)"', inputs, re.MULTILINE)
    named = re.search(r'^preset = "([^"]+)"', inputs, re.MULTILINE)
    template = own[1] if own else preset(named[1]).topics[0] if named else ""
    return re.sub(r"\{(\w+)[.]*\}", r"\1", template)


@pytest.mark.parametrize("inputs", [inputs for inputs, _ in EXAMPLES])
def test_an_example_is_a_configuration(inputs: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(HEAD.format(tmp_path) + inputs, encoding="utf-8")
    assert load_inputs(file, load_decoder, {})


@pytest.mark.parametrize(("inputs", "message"), READ)
def test_an_example_reads_its_message(inputs: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_text(message, encoding="utf-8")
    found = tried(tmp_path, inputs, [(file, topic_of(inputs))], RECEIVED)
    assert [(each["ignored"], each["problem"]) for each in found["messages"]] == [(False, None)]
    assert found["readings"] or found["statuses"]


def test_the_output_of_inputs_test_is_as_the_guide_shows_it(tmp_path: Path) -> None:
    message, inputs, shown = re.findall(
        r"says\n\n```json\n(.*?)```.*?must know:\n\n```toml\n(.*?)```.*?```text\n(.*?)```", GUIDE, re.DOTALL
    )[0]
    config, file = tmp_path / "gateway.toml", tmp_path / "sample.json"
    config.write_text(HEAD.format(tmp_path) + inputs, encoding="utf-8")
    file.write_text(message, encoding="utf-8")
    arguments = ["inputs", "test", str(file), "--topic", "mill/line-2/mixer-DE", "-c", str(config)]
    assert CliRunner().invoke(cli, arguments).output == shown


def test_most_examples_have_a_message() -> None:
    assert len(READ) >= len(EXAMPLES) - 2


def test_the_presets_that_the_guide_tells_by_their_topics_exist() -> None:
    table = GUIDE.split("| the topic looks like | the preset |")[1].split("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall(r"`([a-z0-9-]+)`", row.split("|")[-2] if row else "")
    }
    assert len(named) > 10
    assert named <= set(preset_names())
