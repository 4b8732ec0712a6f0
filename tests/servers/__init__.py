"""Real servers for tests and benchmarks: each lives in a folder of its own, on a port of its own."""
