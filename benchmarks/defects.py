"""What the default validators find in the original Alpaca file (52,002 rows), and what good data they would cost.

python -m benchmarks.defects                         counts by reason
python -m benchmarks.defects --examples 10           ... with ten examples of each
python -m benchmarks.defects --reason loop --examples 30 --sample-seed 1
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

from instructgen.filters.defaults import DEFAULT_SET
from instructgen.filters.rated import RatedFilter
from instructgen.records import Sample
from instructgen.registry import lookup

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("INSTRUCTGEN_TEST_DATA", ROOT / "../shared/data"))

Found = dict[str, list[tuple[int, Sample, dict[str, Any]]]]


def alpaca() -> list[Sample]:
    rows = json.loads(gzip.decompress((DATA / "alpaca_nc/alpaca_data.json.gz").read_bytes()))
    return [Sample.single(row["instruction"], input=row["input"], output=row["output"]) for row in rows]


def self_instruct_seeds() -> list[Sample]:
    lines = (DATA / "self_instruct/seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Sample.single(row["instruction"], **row["instances"][0]) for row in rows]


def dolly(count: int = 500) -> list[Sample]:
    rows = json.loads(gzip.decompress((DATA / "dolly_cc_by_sa/dolly_3k.json.gz").read_bytes()))[:count]
    return [Sample.single(row["instruction"], input=row["input"] or "", output=row["output"]) for row in rows]


def own_seeds() -> list[Sample]:
    path = ROOT / "seeds/general.jsonl"
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [Sample.single(row["instruction"], input=row.get("input", ""), output=row["output"]) for row in rows]


def default_filters() -> list[RatedFilter]:
    return [lookup("filters", line["kind"])(**line) for line in DEFAULT_SET]


def defects(samples: list[Sample]) -> Found:
    found: Found = defaultdict(list)
    for number, sample in enumerate(samples):
        for each in default_filters_once():
            seen = set()
            for reason, evidence in each.find_in(sample):
                if reason not in seen:
                    seen.add(reason)
                    found[reason].append((number, sample, evidence))
    return found


_FILTERS: list[RatedFilter] = []


def default_filters_once() -> list[RatedFilter]:
    if not _FILTERS:
        _FILTERS.extend(default_filters())
    return _FILTERS


def ratings() -> dict[str, str]:
    return {reason: each.rating(reason) for each in default_filters_once() for reason in each.reasons}


def show(number: int, sample: Sample, evidence: dict[str, Any], width: int) -> None:
    print(f"  [{number}] {evidence}")
    print(f"     I: {sample.instruction[:width]!r}")
    if sample.input:
        print(f"     in: {sample.input[:width]!r}")
    output = sample.output
    print(f"     out: {output[:width]!r}{' ... ' + repr(output[-80:]) if len(output) > width + 80 else ''}")


def survival(name: str, samples: list[Sample]) -> None:
    if not samples:
        print(f"{name}: absent")
        return
    dropped = [(n, s, v) for n, s in enumerate(samples) for v in [_verdict(s)] if v]
    print(f"\n{name}: {len(dropped)} of {len(samples)} dropped ({len(dropped) / len(samples):.2%})")
    for number, sample, (reason, evidence) in dropped:
        print(f" {reason}")
        show(number, sample, evidence, 200)


def _verdict(sample: Sample) -> tuple[str, dict[str, Any]] | None:
    for each in default_filters_once():
        rejection = each.check(sample)
        if rejection:
            return rejection.reason, dict(rejection.evidence)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--reason", action="append")
    parser.add_argument("--sample-seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=300)
    parser.add_argument("--survival", action="store_true")
    options = parser.parse_args()
    rating = ratings()
    if options.survival:
        for name, rows in (
            ("Self-Instruct seeds", self_instruct_seeds()),
            ("Dolly, first 500", dolly()),
            ("own seeds", own_seeds()),
        ):
            survival(name, rows)
        return
    samples = alpaca()
    found = defects(samples)
    print(f"{len(samples)} rows\n{'reason':28}{'rating':8}rows")
    for reason, rate in rating.items():
        if options.reason and reason not in options.reason:
            continue
        print(f"{reason:28}{rate:8}{len(found[reason])}")
        hits = found[reason]
        for hit in random.Random(options.sample_seed).sample(hits, min(options.examples, len(hits))):
            show(*hit, options.width)
    dropped = {n for reason, hits in found.items() if rating[reason] == "drop" for n, _, _ in hits}
    print(f"{'any reason rated drop':36}{len(dropped)} ({len(dropped) / len(samples):.2%})")


if __name__ == "__main__":
    main()
