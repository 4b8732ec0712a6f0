"""Errors of [[inputs]] name the input, the key, the reason and the nearest right key."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.config.to_inputs import compiled, load_inputs
from gateway.errors import ConfigError

READS = 'fields = { level = "v" }'


def no_decoder(name: str) -> Any:
    raise ConfigError([f"there is no decoder {name!r}"])


def problems(toml: str) -> list[str]:
    found: list[str] = []
    compiled(tomllib.loads(f"[[inputs]]\n{toml}")["inputs"], no_decoder, found)
    return found


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        (f'topic = "a/{{sensor}}"\n{READS}\nsensr = "x"', "inputs #1.sensr: unknown key; did you mean sensor?"),
        (f'name = "n"\ntopic = "a/+"\n{READS}', "inputs #1 (n).topic: '+' in 'a/+': a level is either plain text"),
        (f'topic = "a"\n{READS}', "inputs #1.sensor: is required, since the topic has no {sensor}"),
        (READS, "inputs #1.topic: is required"),
        ('topic = "{sensor}"', "inputs #1.fields: is required: what it reads"),
        (
            'topic = "{sensor}"\nfields = { velocity = "v" }',
            "inputs #1.fields.velocity: there is no quantity velocity; did",
        ),
        (
            'topic = "{sensor}"\nfields = { level = ["v", "dB"] }',
            "inputs #1.fields.level.unit: level is not measured in 'dB'",
        ),
        (
            'topic = "{sensor}"\nfields = { peak = ["v", "mm/s"] }',
            "inputs #1.fields.peak.unit: peak is not measured in",
        ),
        ('topic = "{sensor}"\nfields = { level = "a..b" }', "inputs #1.fields.level.path: 'a..b' is no path"),
        (
            'topic = "{sensor}"\nfields = { level = { pth = "a" } }',
            "inputs #1.fields.level.pth: unknown key; did you mean path?",
        ),
        ('topic = "{sensor}"\nfields = { level = ["a", "g", 3] }', 'inputs #1.fields.level: must be "path"'),
        (
            'topic = "{sensor}"\nfields = { level = { path = "a", item = 1 } }',
            "inputs #1.fields.level: item is the number",
        ),
        (
            'topic = "{sensor}"\nfields = { level = { path = "a", exponent = 1.5 } }',
            "inputs #1.fields.level: exponent must be",
        ),
        (
            'topic = "{sensor}"\nfields = { level = { path = "a", scale = inf } }',
            "inputs #1.fields.level.scale: must be a finite",
        ),
        ('topic = "{sensor}"\nfields = { level = "{axis}" }', "inputs #1.axes: is required, since a path has {axis}"),
        (f'topic = "{{sensor}}"\naxes = ["x", "y"]\n{READS}', "inputs #1.axes: has several, and no path has {axis}"),
        ('topic = "{sensor}"\naxes = ["x", "x"]\nfields = { level = "{axis}" }', "inputs #1.axes: has one twice"),
        (f'topic = "{{sensor}}"\n{READS}\ntimezone = "Mars"', "inputs #1.timezone: a time zone is a name such as"),
        (f'topic = "{{sensor}}"\n{READS}\ntime_format = "%Y"', "inputs #1.time_format: without time"),
        (f'topic = "{{sensor}}"\n{READS}\nformat = "xml"', "inputs #1.format: must be 'json', 'cbor'"),
        (f'topic = "{{sensor}}"\n{READS}\ncolumns = ["a"]', 'inputs #1.columns: are those of format = "csv"'),
        (f'topic = "{{sensor}}"\n{READS}\nformat = "binary"', "inputs #1.binary: is required with format"),
        (
            f'topic = "{{sensor}}"\n{READS}\nbinary = {{ form = "x", layout = ["a:u8"] }}',
            "inputs #1.binary.form: unknown key; did you mean from?",
        ),
        (
            f'topic = "{{sensor}}"\n{READS}\nbinary = {{ layout = ["a:q7"] }}',
            "inputs #1.binary: 'a:q7' is no field of a layout",
        ),
        (
            f'topic = "{{sensor}}"\n{READS}\nbinary = {{ layout = ["_:7"] }}',
            "inputs #1.binary: a layout needs one field",
        ),
        (
            f'topic = "{{sensor}}"\n{READS}\nbinary = {{ layout = ["_:70000", "a:u8"] }}',
            "inputs #1.binary: a layout has at most",
        ),
        ('topic = "{sensor}"\nwaveform = { samples = "a" }', "inputs #1.waveform: needs rate"),
        (
            'topic = "{sensor}"\nwaveform = { samples = "a", rate = true }',
            "inputs #1.waveform.rate: must be a number, or the path",
        ),
        (
            'topic = "{sensor}"\nwaveform = { samples = "a", rate = 1, encoding = "base64" }',
            "inputs #1.waveform.encoding: 'base64'",
        ),
        (
            'topic = "a"\nrows = { name = "n", names = "{x}", fields = { A = "level" } }',
            "inputs #1.rows.names: '{x}' has no {field}",
        ),
        (
            'topic = "a"\nrows = { names = "{sensor}.{field}", fields = { A = "level" } }',
            "inputs #1.rows.name: is required",
        ),
        ('topic = "a"\nrows = { name = "n", names = "{sensor}.{field}" }', "inputs #1.rows.fields: is required"),
        (
            'topic = "a"\nrows = { name = "n", names = "{sensor}.{field}", fields = { A = "x levl" } }',
            "rows.fields.A: there is no",
        ),
        (
            'topic = "a"\npreset = "chirpstak"',
            "inputs #1.preset: there is no preset 'chirpstak'; did you mean 'chirpstack'?",
        ),
        ('preset = "chirpstack"', "inputs #1.fields: is required: what the preset 'chirpstack' leaves to you"),
        ('topic = "{sensor}"\ndecoder = "mine"', "inputs #1.decoder: there is no decoder 'mine'"),
        (f'topic = "$share/g/{{sensor}}"\n{READS}', "a shared subscription gives this gateway some messages"),
        (f'topic = "{{sensor}}"\n{READS}\nsensor = "{{a"', "inputs #1.sensor: '{a' has a brace without its other one"),
        (f'topic = "{{sensor}}"\n{READS}\neach = "a..b"', "inputs #1.each: 'a..b' is no path"),
        (f'topic = "{{sensor}}"\n{READS}\nwhere = {{ "a..b" = 1 }}', "inputs #1.where.a..b: 'a..b' is no path"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(toml: str, problem: str) -> None:
    found = problems(toml)
    assert any(problem in line for line in found), found


def test_a_preset_is_filled_up_by_what_the_user_says() -> None:
    found: list[str] = []
    specs = compiled(
        [
            {
                "name": "pumps",
                "preset": "chirpstack",
                "topic": "other/{sensor}",
                "fields": {"velocity_rms": "object.v"},
            }
        ],
        no_decoder,
        found,
    )
    assert found == []
    (spec,) = specs
    assert spec.name == "pumps"
    assert [name or literal for literal, name in spec.topics[0]] == ["other", "sensor"]
    assert spec.time.path == ("time",)
    assert [field.quantity for field in spec.fields] == ["velocity_rms"]


def test_every_problem_is_named_at_once_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "inputs.toml"
    path.write_text(f'[[inputs]]\ntopic = "+"\n{READS}\n[[inputs]]\nname = "two"\n')
    with pytest.raises(ConfigError) as refused:
        load_inputs(path, no_decoder, {})
    assert [problem.partition(": ")[2].partition(":")[0] for problem in refused.value.problems] == [
        "inputs #1.topic",
        "inputs #2 (two).topic",
        "inputs #2 (two).fields",
    ]
    assert all(problem.startswith(f"{path}: ") for problem in refused.value.problems)


def test_two_inputs_have_two_names() -> None:
    table = {"name": "n", "topic": "{sensor}", "fields": {"level": "v"}}
    found: list[str] = []
    compiled([table, table], no_decoder, found)
    assert found == ["inputs: more than one is called 'n'"]


@pytest.mark.parametrize("tables", [{"topic": "x"}, ["x"], "x"])
def test_inputs_are_tables(tables: Any) -> None:
    found: list[str] = []
    assert compiled(tables, no_decoder, found) == []
    assert found == ["inputs: must be tables, each below [[inputs]]"]


def test_what_the_environment_says_is_filled_in_and_a_secret_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "inputs.toml"
    path.write_text(f'[[inputs]]\ntopic = "${{TOPIC}}/{{sensor}}"\n{READS}\n')
    (spec,) = load_inputs(path, no_decoder, {"TOPIC": "plant"})
    assert spec.topics[0][0] == ("plant", "")
    with pytest.raises(ConfigError, match=r"\*\*\*"):
        load_inputs(path, no_decoder, {"TOPIC": "very+secret"})
