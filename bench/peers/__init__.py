"""The same job done by programs of other makers, in turns with the gateway: `python -m bench.peers`."""
