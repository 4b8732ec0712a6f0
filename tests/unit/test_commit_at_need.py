"""When what has been judged is committed: so seldom that a disk survives it, so soon that no broker waits for it."""

from gateway.ingest.need import Need

WITHIN, ALLOWED = 0.5, 2000


def test_few_messages_wait_for_the_time_and_half_of_what_is_allowed_does_not() -> None:
    need = Need(WITHIN, ALLOWED)
    need.take(1, 1, 10.0)
    assert not need.is_due(10.49)
    assert need.due_at == 10.5
    assert need.is_due(10.5)
    need.take(ALLOWED // 2 - 1, 1, 10.1)
    assert need.is_due(10.1)
    need.committed(10.1)
    assert need.due_at is None


def test_a_broker_that_waits_for_us_is_found_out_and_soon_not_kept_waiting() -> None:
    need, now, waited = Need(WITHIN, ALLOWED), 0.0, []
    for _ in range(20):
        need.take(20, 1, now)
        due_at = need.due_at
        assert due_at is not None
        at = now if need.is_due(now) else due_at
        waited.append(round(at - now, 3))
        need.committed(at)
        now = at + 0.001  # as soon as it is acknowledged, the next ones are there
    assert waited[:4] == [0.05] * 4
    assert waited[5:] == [0.0] * 15


def test_a_broker_that_allows_one_message_is_found_out_too() -> None:
    need, now = Need(WITHIN, ALLOWED), 0.0
    for _ in range(4):
        need.take(1, 1, now)
        assert not need.is_due(now)
        need.committed(now + WITHIN)
        now += WITHIN + 0.001
    need.take(1, 1, now)
    assert need.is_due(now)


def test_sensors_that_send_together_once_a_second_are_no_broker_that_waits() -> None:
    need = Need(WITHIN, ALLOWED)
    for second in range(20):
        need.take(20, 1, second)
        assert not need.is_due(second)
        need.committed(second + 0.05)


def test_what_was_found_out_is_forgotten_when_it_holds_no_more_and_with_the_connection() -> None:
    def waiting_for_us() -> tuple[Need, float]:
        need, now = Need(WITHIN, ALLOWED), 0.0
        for _ in range(6):
            need.take(20, 1, now)
            now += 0 if need.is_due(now) else 0.05
            need.committed(now)
            now += 0.001
        return need, now

    need, now = waiting_for_us()
    need.take(10, 1, now)
    assert need.is_due(now)
    need.take(11, 1, now)  # more than it had ever sent
    assert not need.is_due(now)

    need, now = waiting_for_us()
    need.take(10, 2, now)
    assert not need.is_due(now)

    need, now = waiting_for_us()
    for _ in range(4):  # the next one never was waiting
        need.take(10, 1, now)
        assert need.is_due(now)
        need.committed(now)
        now += 1
    need.take(10, 1, now)
    assert not need.is_due(now)
