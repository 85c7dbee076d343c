"""Samples out: Parquet folder with card, JSONL, the Hub."""
