"""What a backtest reads of a configuration: the rules and the routes, and nothing that needs a secret."""

from pathlib import Path

from gateway.config import Config, load_rules, rules_for
from gateway.config.loader import _NOT_JUDGING
from gateway.config.rule_keys import ELSEWHERE, RULE_KEYS
from gateway.config.sections import DetectionSection
from gateway.domain.detection.rules import Rules, Threshold
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


def test_every_rule_has_one_key_and_one_default() -> None:
    fields = set(Rules.__struct_fields__) - ELSEWHERE
    assert {*RULE_KEYS.values()} == fields
    section, rules = DetectionSection(), Rules()
    assert {key: getattr(section, key) for key in RULE_KEYS} == {
        key: getattr(rules, field) for key, field in RULE_KEYS.items()
    }


def test_limits_of_a_narrower_table_replace_those_of_a_wider_one_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        "[detection]\nthresholds.temperature = { warning = 80, warning_below = 5 }\n"
        '[[sensors]]\nid = "VB-1"\nthresholds.temperature = { warning_below = -20, on_delay = "1m" }\n',
        encoding="utf-8",
    )
    assert rules_for(load_rules(file), "VB-1", {}).thresholds == (
        Threshold("temperature", warning=80.0, warning_below=-20.0, on_delay_ns=60 * 10**9),
    )


def test_the_states_of_a_machine_are_its_tables(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[[machines]]\nid = "pump-3"\nstates = ["Running ", "STOPPED"]\n')
    config = load_rules(file)
    assert rules_for(config, "VB-1", {"machine": "pump-3"}).states == frozenset({"running", "stopped"})
    assert rules_for(config, "VB-1", {"machine": "pump-4"}).states is None
