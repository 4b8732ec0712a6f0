from gateway.domain.engine.unit_of_work import UnitOfWork


def test_readings_of_one_time_are_found_whenever_one_asks() -> None:
    batch = UnitOfWork(next_seq=1)
    assert batch.same_time(5, 1) == {}
    for seq, (event_us, sensor, event_id) in enumerate([(5, 1, "a"), (5, 2, "b"), (6, 1, "c"), (5, 1, "d")], start=1):
        batch.readings.append((seq, event_us, sensor, event_id, 0, 0, 4.0, None, 0, event_id.encode()))
        if seq == 2:
            assert batch.same_time(5, 1) == {"a": b"a"}
    assert batch.same_time(5, 1) == {"a": b"a", "d": b"d"}
    assert batch.same_time(6, 1) == {"c": b"c"}
    assert batch.same_time(7, 1) == {}
