"""What the structs made from the table of quantities have in common."""

import msgspec

from gateway.domain.detection.state import Waiting
from gateway.domain.model.quantities import BY_KEY, BY_WIRE, QUANTITIES
from gateway.domain.model.reading import Quantities, ReadingData, quantities_of, values_of


def names(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct)]


def test_every_quantity_is_a_number_of_the_event_under_its_name_on_the_wire() -> None:
    numbers = {quantity.wire: float(index) for index, quantity in enumerate(QUANTITIES, start=1)}
    data = msgspec.convert({"sensorId": "VB-1", "vibrationLevel": 4.0, **numbers}, ReadingData)
    assert values_of(data) == tuple(numbers.values())
    assert quantities_of(data) == numbers
    assert names(Quantities) == [*BY_WIRE]


def test_what_was_not_measured_is_left_out() -> None:
    data = msgspec.convert({"sensorId": "VB-1", "vibrationLevel": 4.0, "kurtosis": 3.1}, ReadingData)
    assert quantities_of(data) == {"kurtosis": 3.1}


def test_the_fixed_fields_keep_their_places_and_names() -> None:
    assert names(ReadingData)[:4] == ["sensorId", "vibrationLevel", "baselineVibrationLevel", "unit"]


def test_what_waits_is_saved_under_the_keys_of_the_configuration() -> None:
    assert names(Waiting)[-len(BY_KEY) :] == [*BY_KEY]
