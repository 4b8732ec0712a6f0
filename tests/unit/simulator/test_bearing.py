import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.bearing import ZA_2115, Bearing


def test_the_defect_frequencies_of_the_ims_bearing() -> None:
    found = ZA_2115.frequencies(2000 / 60)
    assert found.outer == pytest.approx(236.40, abs=0.005)
    assert found.inner == pytest.approx(296.93, abs=0.005)
    assert found.ball == pytest.approx(139.92, abs=0.005)
    assert found.cage == pytest.approx(14.78, abs=0.005)


@given(
    balls=st.integers(3, 40),
    ratio=st.floats(0.05, 0.6),
    angle=st.floats(0, 45),
    shaft=st.floats(0.1, 500),
)
def test_each_ball_passes_one_of_the_rings(balls: int, ratio: float, angle: float, shaft: float) -> None:
    bearing = Bearing(balls=balls, ball_diameter=ratio, pitch_diameter=1.0, contact_angle=angle)
    found = bearing.frequencies(shaft)
    assert found.outer + found.inner == pytest.approx(balls * shaft)
    assert found.outer == pytest.approx(balls * found.cage)
