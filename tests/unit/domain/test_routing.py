from gateway.domain.routing import Route, handlers_for

ROUTES = (Route("warning", ("mail", "log")), Route("critical", ("sms", "mail")))


def test_a_route_takes_its_severity_and_worse() -> None:
    assert handlers_for("warning", ROUTES) == ["mail", "log"]


def test_every_matching_route_applies_and_a_handler_in_two_of_them_is_told_once() -> None:
    assert handlers_for("critical", ROUTES) == ["mail", "log", "sms"]


def test_without_a_route_nobody_is_told() -> None:
    assert handlers_for("critical", ()) == []
    assert handlers_for("warning", ROUTES[1:]) == []
