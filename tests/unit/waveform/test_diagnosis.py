"""Made machines with a known fault are named right, healthy ones are not named anything; bad blocks are said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gateway.cli.diagnose import diagnose as command
from gateway.waveform.bearings import Bearing, bearing_of, designations
from gateway.waveform.diagnosis import Machine, diagnose
from gateway.waveform.signal import Array, UnusableBlockError, features, signal_of

RATE, COUNT = 12_800.0, 16_384
BEARING = bearing_of("6205") or pytest.fail("6205 is in the table")
TEETH = 23


def made(number: int, fault: str) -> tuple[Array, float]:
    """Return a block in m/s² of a machine of its own speed and loudness, and its speed in Hz."""
    draw = np.random.default_rng(number)
    speed = float(draw.uniform(18, 49))
    time = np.arange(COUNT) / RATE
    turned = 2 * np.pi * speed * time + draw.uniform(0, 6)
    noise = float(draw.uniform(0.4, 1.2))
    block = draw.normal(0, noise, COUNT)

    def add(order: float, velocity: float) -> None:  # mm/s RMS
        peak = velocity * 2**0.5 * 2 * np.pi * order * speed / 1000
        block[:] += peak * np.sin(order * turned + draw.uniform(0, 6))

    add(1, float(draw.uniform(0.3, 1.2)))
    add(2, 0.3)
    add(TEETH, 0.4)
    rough = float(draw.uniform(4, 9))
    if fault == "imbalance":
        add(1, rough)
    elif fault == "misalignment":
        add(1, rough / 2)
        add(2, rough)
    elif fault == "looseness":
        for order in (0.5, 1, 1.5, 2, 3, 4, 5, 6, 7):
            add(order, rough / (1 + order / 4))
    elif fault == "electrical":
        block += rough * 2**0.5 * 2 * np.pi * 100 / 1000 * np.sin(2 * np.pi * 100 * time)
    elif fault == "gear":
        side = 1 + 0.9 * np.cos(turned) + 0.6 * np.cos(2 * turned)
        block += 4 * noise * side * np.sin(TEETH * turned)
    elif fault:
        block += ringing(draw, speed, fault, time) * noise * draw.uniform(6, 12)
    return block, speed


def ringing(draw: np.random.Generator, speed: float, part: str, time: Array) -> Array:
    """Return what a bearing's fault sets ringing: a hit each time, that dies away at the structure's frequency."""
    order, side = {
        "outer race": (BEARING.outer, 0.0),
        "inner race": (BEARING.inner, 1.0),
        "rolling element": (2 * BEARING.element, BEARING.cage),
    }[part]
    hits = np.zeros(COUNT)
    at = 0.0
    while at < time[-1]:
        strength = 1.0 if not side else 0.55 + 0.45 * np.cos(2 * np.pi * side * speed * at)
        hits[int(at * RATE)] = strength * draw.uniform(0.8, 1.2)
        at += draw.normal(1, 0.008) / (order * speed)
    structure = float(draw.uniform(2500, 5000))
    response = np.exp(-900 * time[:400]) * np.sin(2 * np.pi * structure * time[:400])
    found: Array = np.convolve(hits, response)[:COUNT]
    return found


FAULTS = (
    "outer race", "inner race", "rolling element", "imbalance", "misalignment", "looseness", "electrical", "gear",
)  # fmt: skip


def named(number: int, fault: str) -> str:
    block, speed = made(number, fault)
    found = diagnose(signal_of(block, RATE, "m/s²"), Machine(speed, [BEARING], TEETH, 50.0)).findings
    return found[0].fault.partition(" of ")[0] if found else ""


@pytest.mark.parametrize("fault", FAULTS)
def test_nine_in_ten_made_machines_are_named_right(fault: str) -> None:
    names = [named(number, fault) for number in range(50)]
    assert names.count(fault) >= 45, names


def test_hardly_a_healthy_machine_is_named_anything() -> None:
    names = [name for number in range(200) if (name := named(1000 + number, ""))]
    assert len(names) < 4, names


def test_the_features_are_those_of_a_known_wave() -> None:
    time = np.arange(20_000) / 10_000
    wave = 9.80665 * np.sin(2 * np.pi * 100 * time)
    found = features(signal_of(wave, 10_000, "m/s²"))
    assert found.rms == pytest.approx(9.80665 / 2**0.5, rel=1e-3)
    assert found.crest == pytest.approx(2**0.5, rel=1e-3)
    assert found.kurtosis == pytest.approx(1.5, rel=1e-3)
    assert found.velocity == pytest.approx(1000 * found.rms / (2 * np.pi * 100), rel=1e-3)
    in_g = features(signal_of(wave / 9.80665, 10_000, "g"))
    assert in_g.velocity == pytest.approx(found.velocity, rel=1e-6)


@pytest.mark.parametrize(
    ("count", "rate", "unit", "why"),
    [(3000, 10_000, "g", "0.3 s long"), (4000, 1000, "g", "do not reach"), (20_000, 10_000, "", "without a unit")],
)
def test_a_velocity_that_there_is_none_of_says_why(count: int, rate: float, unit: str, why: str) -> None:
    found = features(signal_of(np.random.default_rng(1).normal(size=count), rate, unit))
    assert found.velocity is None
    assert why in found.why_not


@pytest.mark.parametrize(
    ("block", "rate", "why"),
    [
        (np.zeros(100), 1000.0, "too few"),
        (np.zeros(1000), 1000.0, "all samples are equal"),
        (np.full(1000, np.nan), 1000.0, "no numbers"),
        (np.arange(1000.0), float("nan"), "cannot be"),
        (np.arange(1000.0), -5.0, "cannot be"),
    ],
)
def test_a_block_that_nothing_can_be_said_of(block: Array, rate: float, why: str) -> None:
    with pytest.raises(UnusableBlockError, match=why):
        signal_of(block, rate)


def test_what_is_not_as_it_should_be_is_said_and_the_rest_used() -> None:
    block, speed = made(3, "outer race")
    clipped = np.clip(np.repeat(block, 8), -3, 3)[: 8 * 4096]
    clipped[7] = np.nan
    signal = signal_of(clipped, 8 * RATE, "m/s²")
    assert ["replaced" in signal.remarks[0], "clipped" in signal.remarks[1]] == [True, True]
    cannot_be = diagnose(signal_of(block, RATE), Machine(1e6, [BEARING]))
    assert "cannot be" in cannot_be.remarks[0]
    assert cannot_be.findings == []
    assert "8 are needed" in diagnose(signal_of(block[:2048], RATE), Machine(speed)).remarks[0]
    assert "too few to hear" in diagnose(signal_of(block, 1000.0), Machine(speed, [BEARING])).remarks[0]


def test_the_frequencies_are_those_of_the_data_sets() -> None:
    """As published with the data of Case Western (6205) and of IMS at 2000 rpm: 236.4 Hz of the outer race."""
    assert BEARING.inner == pytest.approx(5.4152, abs=2e-3)
    assert BEARING.outer == pytest.approx(3.5848, abs=2e-3)
    assert 2 * BEARING.element == pytest.approx(4.7135, abs=2e-3)
    rexnord = bearing_of("ZA-2115")
    assert rexnord is not None
    assert rexnord.outer * 2000 / 60 == pytest.approx(236.4, abs=0.2)


@pytest.mark.parametrize("text", ["6205-2RS", "SKF 6205-2RSJEM", "6205 C3", "6205ZZ", " 6205 "])
def test_a_suffix_changes_no_frequency(text: str) -> None:
    found = bearing_of(text)
    assert found is not None
    assert found.name == "6205"
    assert bearing_of("62055") is None
    assert bearing_of("NU 205") is None
    assert len(designations()) > 10


@pytest.mark.parametrize("sizes", [(2, 1, 4, 0), (8, 4, 4, 0), (8, 1, 4, 90), (8, float("nan"), 4, 0)])
def test_a_bearing_that_cannot_be(sizes: tuple[int, float, float, float]) -> None:
    with pytest.raises(ValueError, match=r"bearing|angle"):
        Bearing(*sizes)


def write_csv(path: Path, block: Array) -> None:
    path.write_text("time;acceleration\n" + "\n".join(f"{place};{value:.6f}" for place, value in enumerate(block)))


def write_npy(path: Path, block: Array) -> None:
    np.save(path, np.stack([block, block], axis=1))


@pytest.mark.parametrize(("name", "write"), [("block.csv", write_csv), ("block.npy", write_npy)])
def test_an_analyst_asks_with_a_file_and_a_machine(
    tmp_path: Path, name: str, write: Callable[[Path, Array], None]
) -> None:
    block, speed = made(5, "inner race")
    write(tmp_path / name, block)
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[[machines]]\nid = "pump-1"\nspeed = {60 * speed}\n'
        'bearings = [{ position = "DE", designation = "6205-2RS" }, { designation = "NJ 999" }]\n'
    )
    asked = [str(tmp_path / name), "-c", str(config), "--machine", "pump-1", "--rate", str(RATE), "--column", "2"]
    result = CliRunner().invoke(command, [*asked, "--unit", "m/s²", "-o", "json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["findings"][0]["fault"] == "inner race of bearing 6205 at DE"
    assert any("NJ 999" in remark for remark in said["remarks"])
    text = CliRunner().invoke(command, [*asked, "--bearing", "9,7.94,39.04"])
    assert "inner race of bearing" in text.output
    assert "stand" in text.output
