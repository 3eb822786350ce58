"""The benchmarks: `python -m tests.perf.bench`."""
