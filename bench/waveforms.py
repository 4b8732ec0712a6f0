"""The simulator's features of recorded waveforms, against the features given: `python -m bench.waveforms FOLDER`.

FOLDER/ims holds raw snapshots of four bearings at 20 kHz (`test2_waveforms.npz`, one array [20480, 4] in g for each,
named by snapshot) and the features of all of them (`test2.csv`): NASA/IMS Bearing Data Set, test 2 (Lee, Qiu, Yu, Lin
2007).
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from bench.figures import Figure, at_most, show
from simulator.features import features

RATE = 20_000.0  # Hz
BEARINGS = 4
GIVEN = {"rms": "level", "peak": "peak", "crest": "crest_factor", "kurt": "kurtosis"}
TOLERANCES = {"rms": 1e-4, "peak": 1e-3, "crest": 2e-2, "kurt": 1e-3}


def waveforms(folder: Path) -> Iterator[Figure]:
    """Compare each feature of each bearing in each snapshot. OSError or KeyError if the files are not as described."""
    found = list(_compared(folder))
    for name, limit in TOLERANCES.items():
        greatest = max(abs(ours[name] - theirs[name]) for ours, theirs in found)
        yield at_most(
            f"IMS {name}: greatest difference from the one given", greatest, limit, "", f"{len(found)} waveforms"
        )


def _compared(folder: Path) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
    with (folder / "ims/test2.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    with np.load(folder / "ims/test2_waveforms.npz") as snapshots:
        for name in snapshots.files:
            row = rows[int(name.split("__")[0])]
            for bearing, waveform in enumerate(snapshots[name].T.astype(np.float64)):
                ours = features(waveform, RATE)
                theirs = {feature: float(row[f"b{bearing + 1}_{feature}"]) for feature in GIVEN}
                yield {feature: getattr(ours, field) for feature, field in GIVEN.items()}, theirs


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Print how far the simulator's features are from the ones given. Exit code 1 if one is further than it may be."""
    found = list(waveforms(folder))
    show("Features of recorded waveforms", found)
    sys.exit(0 if all(figure.met for figure in found) else 1)


if __name__ == "__main__":
    main()
