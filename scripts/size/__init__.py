"""The parts of `bench_size.py`, which measures image files."""
