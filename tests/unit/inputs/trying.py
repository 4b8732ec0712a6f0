"""`inputs test`, as the tests of presets and of the guide use it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from gateway.cli import cli

HEAD = """
[gateway]
id = "edge-1"
state_dir = "{}"
[mqtt]
host = "localhost"
"""


def tried(folder: Path, inputs: str, messages: Sequence[tuple[Path, str]], received: str) -> dict[str, Any]:
    """Return what `inputs test -o json` prints for files and their topics; the configuration goes to `folder`."""
    config = folder / "gateway.toml"
    config.write_text(HEAD.format(folder) + inputs, encoding="utf-8")
    topics = [argument for _, topic in messages for argument in ("--topic", topic)]
    files = [str(file) for file, _ in messages]
    result = CliRunner().invoke(
        cli, ["inputs", "test", *files, *topics, "--received", received, "-o", "json", "-c", str(config)]
    )
    assert result.output.startswith("{"), (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.output)
    return found
