"""The rows of the table of faults, and which tests prove each: those named `test_row_NN_…` here, and those below."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]

TITLES = {
    1: "kill -9 after receive, before commit",
    2: "kill -9 after commit, before the acknowledgement",
    3: "kill -9 in the middle of a commit",
    4: "kill -9 after InfluxDB's 204, before the cursor moves",
    5: "kill -9 before the mail is handed over",
    6: "kill -9 at random times under load",
    7: "SIGTERM during a flush; a second SIGTERM",
    8: "broker restarted; broker gone for 10 minutes",
    9: "broker killed with the shipped configuration",
    10: "half-open connection",
    11: "connection closed right after CONNACK, again and again",
    12: "subscription refused, bad password, bad certificate",
    13: "two gateways with one client id or one state directory",
    14: "InfluxDB down for an hour's backlog; slow answers",
    15: "503 and 429 with Retry-After",
    16: "401 and 404 from InfluxDB",
    17: "400: one poison point in 5,000",
    18: "disk full, then space again",
    19: "journal cap reached",
    20: "our clock jumps",
    21: "duplicate with the same content",
    22: "shuffled order",
    23: "times behind, ahead, naive, year 9999; a backlog in order after an outage",
    24: "NaN, Infinity, 1e400, 5,000 digits, true, text, null",
    25: "100,000 nested arrays, 1 MB payload, empty, BOM, not JSON, lone surrogate, NUL",
    26: "invalid or wildcard topic",
    27: "retained stale reading",
    28: "flood from one sensor",
    29: "SMTP accepts and never answers",
    30: "SMTP 4xx then ok; 5xx",
    31: "every handler down for an hour's worth of alerts",
    32: "a handler plugin raises, blocks for ever, returns junk",
    33: "value flapping at the threshold",
    34: "acknowledge twice at once; without token; wrong Origin; by GET",
    35: "markup, line breaks, templates, terminal escapes in texts or ids",
    36: "configuration: typo, bad unit, missing secret, duplicate name",
    37: "reload with a bad configuration",
    38: "1,000 page viewers that do not read",
    39: "state folder moved or not mounted, in use and before a start",
    40: "write-ahead log damaged or cut after a kill",
    41: "a disk that does not read for a while",
    42: "a standard error that nobody reads",
    43: "every answer over HTTP: status, headers, body, time",
    44: "InfluxDB refuses everything, most, what is old, or one point for ever",
    45: "fifty ways for a plugin to fail, in handlers, consumers and decoders",
    46: "a critical alert in a flood of warnings",
    47: "invented sensors",
    48: "garbage at the journal's cap",
    49: "invented machines",
}

APART = "tests/integration/plugins/test_apart.py"
DURABILITY, REFUSALS = "tests/system/test_durability.py", "tests/system/test_refusals.py"
ELSEWHERE = {
    5: [f"{DURABILITY}::test_a_mail_server_that_was_away_gets_the_mail_once"],
    8: [f"{DURABILITY}::test_a_restarted_broker_loses_nothing"],
    9: ["tests/integration/test_shipped_mosquitto.py::test_a_killed_broker_keeps_what_is_older_than_the_stated_window"],
    12: [
        f"{REFUSALS}::test_a_wrong_password_is_named_and_not_told",
        f"{REFUSALS}::test_a_broker_with_a_certificate_of_somebody_else_gets_no_password",
    ],
    13: [f"{DURABILITY}::test_a_second_gateway_on_the_same_state_refuses_to_start"],
    24: [f"{REFUSALS}::test_bad_messages_become_dead_letters_and_good_ones_flow"],
    25: [
        f"{REFUSALS}::test_bad_messages_become_dead_letters_and_good_ones_flow",
        f"{REFUSALS}::test_a_bad_element_of_an_array_is_a_dead_letter_of_its_own",
    ],
    35: [
        "tests/browser/test_live_page.py::test_text_from_outside_is_text",
        "tests/contract/test_handlers.py::test_delivers_hostile_text_inert",
    ],
    45: [
        f"{APART}::test_every_way_to_fail_is_an_error_of_one_call",
        f"{APART}::test_whatever_a_consumer_raises_is_an_error_of_one_step",
        f"{APART}::test_a_decoder_keeps_its_state_and_costs_a_dead_letter_at_most",
    ],
    36: [f"{REFUSALS}::test_a_bad_configuration_is_named_and_connects_to_nothing"],
}
"""Tests of other folders that prove a row or a part of it."""


def tests_of_rows() -> dict[int, list[str]]:
    """Return row -> the tests that prove it; raises KeyError for a test named above that is not there."""
    found = defaultdict(list)
    for file in sorted(Path(__file__).parent.glob("test_rows_*.py")):
        for name in filter(lambda name: name.startswith("test_row_"), _functions(file)):
            found[int(name.removeprefix("test_row_")[:2])].append(f"{file.relative_to(ROOT)}::{name}")
    for row, tests in ELSEWHERE.items():
        for test in tests:
            file_name, _, name = test.partition("::")
            if name not in _functions(ROOT / file_name):
                raise KeyError(test)
            found[row].append(test)
    return dict(sorted(found.items()))


def _functions(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")]
