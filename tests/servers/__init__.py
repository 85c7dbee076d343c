"""Loopback servers that tests and benchmarks talk to."""
