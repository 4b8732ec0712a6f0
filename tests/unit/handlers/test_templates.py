import re
from contextlib import suppress
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.handlers.text import wording
from gateway.handlers.text.templates import Template
from tests.notifications import notification

VALUES = dict.fromkeys(wording.FIELDS, "x") | {"sensor": "VB-1", "reason": "{machine} {{", "machine": ""}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{sensor}: {severity}", "VB-1: x"),
        ("{{sensor}} 100 %", "{sensor} 100 %"),
        ("{{{sensor}}}", "{VB-1}"),
        ("{reason}", "{machine} {{"),  # a value is not searched for further fields
        ("[{machine}]", "[]"),
    ],
)
def test_fields_are_replaced_once(template: str, text: str) -> None:
    assert Template(template).render(VALUES) == text


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{sensr}", "there is no field {sensr}; there are alert, area, baseline"),
        ("{sensor.__class__}", "there is no field {'sensor.__class__'}; there are"),
        ("{sensor!r}", "there is no field"),
        ("{sensor:>9999999999}", "there is no field"),
        ("{0}", "there is no field"),
        ("{ sensor }", "there is no field"),
        ("{}", "a brace that stands alone"),
        ("{sensor", "a brace that stands alone"),
        ("sensor}", "a brace that stands alone"),
    ],
)
def test_anything_else_is_refused_by_name(template: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        Template(template)
    assert str(caught.value).startswith(problem)


def test_every_field_has_a_value() -> None:
    assert wording.fields(notification(), UTC).keys() == wording.FIELDS


@given(st.text())
def test_any_text_is_a_template_or_a_mistake(text: str) -> None:
    with suppress(ValueError):
        assert len(Template(text).render(VALUES)) <= 2 * len(text) + 20
