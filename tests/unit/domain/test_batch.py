from gateway.domain.engine.event_log import BODY, READING_COLUMNS, SENSOR, StoredReading, stored_reading
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


def test_a_row_has_its_columns_where_those_who_read_it_look() -> None:
    assert (READING_COLUMNS[SENSOR], READING_COLUMNS[BODY]) == ("sensor", "body")
    row = (1, 2, 3, "id", 4, 5, 6.0, 7.0, 8, b"{}")
    assert stored_reading(row, "VB-1", {}) == StoredReading(1, 4, "VB-1", {}, 6.0, 7.0, 8, "id", 5, b"{}")
