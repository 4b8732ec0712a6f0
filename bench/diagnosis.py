"""Diagnosis on waveforms: measured bearings whose fault is known, and made machines with and without one."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from gateway.waveform.bearings import Bearing, bearing_of
from gateway.waveform.diagnosis import Machine, diagnose
from gateway.waveform.signal import features, signal_of
from tests.unit.waveform.test_diagnosis import BEARING, FAULTS, RATE, TEETH, made, named

MFPT = Bearing(8, 0.235, 1.245, 0, "MFPT")
IMS_SPEED, IMS_RATE = 2000 / 60, 20_000.0


def mfpt(folder: Path) -> None:
    """Print how many races of the MFPT set are named right."""
    files = sorted(folder.glob("*.npz"))
    right = 0
    for file in files:
        block = np.load(file)
        found = diagnose(
            signal_of(block["x"], float(block["fs"]), "g"), Machine(float(block["shaft_hz"]), [MFPT])
        ).findings
        right += bool(found) and found[0].fault.split()[0].lower() in file.name.lower()
    print(f"MFPT: the race named right in {right} of {len(files)}")


def ims(file: Path) -> None:
    """Print from which snapshot of IMS test 2 on each bearing is named."""
    blocks, bearings = np.load(file), [known for known in [bearing_of("ZA-2115")] if known is not None]
    for bearing in range(4):
        said = []
        for name in blocks.files:
            signal = signal_of(blocks[name][:, bearing], IMS_RATE, "g")
            found = diagnose(signal, Machine(IMS_SPEED, bearings)).findings
            said += [f"{name[:3]} {found[0].fault.split(' of ')[0]}"] if found else []
        print(f"IMS test 2, bearing {bearing + 1}: {', '.join(said) or 'nothing'}")


def machines(count: int = 200) -> None:
    """Print how many made machines are named right, and how long a block takes."""
    for fault in FAULTS:
        right = sum(named(number, fault) == fault for number in range(count))
        print(f"{fault}: {right} of {count} named right")
    print(f"healthy: {sum(bool(named(1000 + number, '')) for number in range(count))} of {count} named anything")
    block, speed = made(1, "outer race")
    began = time.process_time()
    for _ in range(100):
        signal = signal_of(block, RATE, "m/s²")
        features(signal)
        diagnose(signal, Machine(speed, [BEARING, BEARING], TEETH, 50.0))
    print(f"{len(block)} samples: {(time.process_time() - began) * 10:.1f} ms of processor time")


if __name__ == "__main__":
    data = Path(sys.argv[1])
    mfpt(data / "mfpt")
    ims(data / "ims" / "test2_waveforms.npz")
    machines()
