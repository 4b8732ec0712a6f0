"""Measurements on real servers: `python -m bench` for speed, `python -m bench.evaluate FOLDER` for detection."""
