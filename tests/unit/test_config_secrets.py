"""Whatever comes from `${…}` is a secret in output."""

import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config import Config, load, masked
from gateway.errors import ConfigError
from tests.examples import examples
from tests.unit.test_config import LEAST

# Every place that a text may stand in, each with a mistake beside it or made by it.
PLACES = [
    '[gateway]\nid = "${S}"\nstate_dir = "/tmp"\n[mqtt]\ntopics = ["a"]',
    LEAST + 'host = "${S}"\nport = "${S}"',
    LEAST + 'protocol = "${S}"',
    LEAST + 'keepalive = "${S}"',
    LEAST + 'password = "${S}"',
    LEAST + 'tls = { ca = "${S}" }',
    LEAST + '[influxdb]\nurl = "${S}"\norg = "o"\nbucket = "b"\ntoken = "t"',
    LEAST + '[influxdb]\nurl = "http://${S}@host:x/"\norg = "${S}"\nbucket = "b"\ntoken = "${S}"',
    LEAST + '[http]\npublic_url = "${S}"\ntoken = "${S}"\nport = "x"',
    LEAST + '[detection]\nlearning = "${S}"\nwarning_ratio = "${S}"\nstopped_states = "${S}"',
    LEAST + '[[sensors]]\nid = "${S}"\n[[sensors]]\nid = "${S}"',
    LEAST + '[[routes]]\nseverity = "${S}"\nhandlers = ["${S}"]',
    LEAST + '[[routes]]\nseverity = "warning"\nhandlers = ["${S}"]',
    LEAST + '[handlers.h]\ntype = "${S}"\ntimeout = "${S}"\npassword = "${S}"',
    LEAST.replace("vibration/{sensor}/reading", "${S}/{x}/{x}"),
    LEAST.replace("vibration/{sensor}/reading", "${S}#"),
]
secrets = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=30).filter(
    lambda text: len(set(text)) > 4 and "gateway" not in text  # a traceback names our own files
)


@examples(150)
@given(st.sampled_from(PLACES), secrets)
@example(PLACES[12], "quote'and\"and\nline")
@example(PLACES[15], "a/b\\c{d}e")
def test_no_secret_shows_in_an_error_or_a_repr(
    tmp_path_factory: pytest.TempPathFactory, text: str, secret: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "secret.toml"
    path.write_text(text, encoding="utf-8")
    shown = what_is_shown(path, secret)
    assert not any(secret in words or repr(secret)[1:-1] in words for words in shown)


def what_is_shown(path: Path, secret: str) -> list[str]:
    """Return every text that a log or a terminal could show of a configuration or of what is wrong with it."""
    try:
        config = load(path, {"S": secret})
    except ConfigError as error:
        return [str(error), repr(error), *error.problems, "".join(traceback.format_exception(error))]
    return [text for part in parts(config) for text in (repr(part), str(part), f"{part}", f"{part!r:>9}")]


def parts(config: Config) -> list[Any]:
    """Return the configuration and every table in it."""
    return [config, config.mqtt, config.influxdb, config.http, *config.handlers.values(), *config.routes]


def test_what_is_masked_and_what_is_too_short_to_be() -> None:
    assert masked("the password hunter2 and hunter22", {"hunter2", "hunter22"}) == "the password *** and ***"
    assert masked("unchanged", {"a", "n"}) == "unchanged"
