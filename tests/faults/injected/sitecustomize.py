"""Python imports this by itself in a program that a test has started with this folder on PYTHONPATH.

Only `vibration-gateway run` is touched, as `injection.py` says: other programs may inherit the environment.
"""

import importlib
import os
import sys
from pathlib import Path

BROKEN = 70  # the exit code of a gateway whose injection failed, so that no test passes without its fault

if any(Path(word).name == "vibration-gateway" for word in sys.orig_argv[:2]) and "run" in sys.orig_argv:
    try:
        importlib.import_module("injection").inject()
    except BaseException:  # noqa: BLE001 - Python would only mention an error here, and go on
        sys.excepthook(*sys.exc_info())
        os._exit(BROKEN)
