"""What a backtest reads of a configuration: the rules and the routes, and nothing that needs a secret."""

from pathlib import Path

from gateway.config import Config, load_rules
from gateway.config.loader import _NOT_JUDGING
from gateway.config.sections import DetectionSection
from tests.unit.test_config import DOCUMENTED


def test_every_table_is_known_to_judge_or_not_to() -> None:
    """Another table is either left aside, or its keys can be tried on history."""
    judging = {"detection", "alerts", "machines", "sensors", "routes", "oncall", "silences", "noise"}
    assert Config.model_fields.keys() - _NOT_JUDGING == judging


def test_no_secret_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(DOCUMENTED + '[heartbeat]\nurl = "${HEARTBEAT_URL}"\n')
    config = load_rules(file, {})
    assert (config.sensors[0].baseline, [route.severity for route in config.routes]) == (4.0, ["warning", "critical"])
    assert list(config.handlers) == ["maintenance-mail", "oncall-sms"]


def test_messages_keep_their_time_zone(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[gateway]\ntimezone = "Europe/Stockholm"\n')
    assert str(load_rules(file, {}).gateway.timezone) == "Europe/Stockholm"


def test_without_a_file_the_shipped_rules_hold() -> None:
    assert load_rules(None).detection == DetectionSection()
