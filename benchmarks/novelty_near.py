"""Near-duplicates among whole rows (instruction, input, output): MinHash here, in rensa and in datasketch.

python -m benchmarks.novelty_near --rows 20000
Needs rensa and datasketch beside the project: pip install rensa datasketch
"""

from __future__ import annotations

import argparse
import random
from importlib.util import find_spec

from benchmarks.streams import alpaca, mutated
from benchmarks.timing import interleaved, table
from instructgen.dedup.minhash_index import MinHashIndex
from instructgen.dedup.tokens import reference

THRESHOLD = 0.8
FUNCTIONS = 128


def shingles(text: str) -> list[str]:
    tokens = reference(text)
    return [" ".join(tokens[at : at + 3]) for at in range(max(1, len(tokens) - 2))]


def ours(texts: list[str]) -> set[int]:
    return {row for row, near in enumerate(MinHashIndex(THRESHOLD).filter(texts)) if near}


def by_rensa(texts: list[str]) -> set[int]:
    """Keep greedily by MinHash estimate, as its README shows: sketch, query, insert."""
    from rensa import RMinHash, RMinHashLSH

    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=FUNCTIONS, num_bands=16)
    sketches, dropped = {}, set()
    for row, text in enumerate(texts):
        sketch = RMinHash(num_perm=FUNCTIONS, seed=1)
        sketch.update(shingles(text))
        if any(sketch.jaccard(sketches[other]) >= THRESHOLD for other in lsh.query(sketch)):
            dropped.add(row)
        else:
            lsh.insert(row, sketch)
            sketches[row] = sketch
    return dropped


def by_datasketch(texts: list[str]) -> set[int]:
    from datasketch import MinHash, MinHashLSH

    lsh, dropped = MinHashLSH(threshold=THRESHOLD, num_perm=FUNCTIONS), set()
    for row, text in enumerate(texts):
        sketch = MinHash(num_perm=FUNCTIONS)
        sketch.update_batch([shingle.encode() for shingle in shingles(text)])
        if lsh.query(sketch):
            dropped.add(row)
        else:
            lsh.insert(row, sketch)
    return dropped


def brute_force(texts: list[str]) -> set[int]:
    """Keep greedily by exact Jaccard similarity with every row kept before."""
    kept: list[frozenset[str]] = []
    dropped = set()
    for row, text in enumerate(texts):
        mine = frozenset(shingles(text))
        for other in kept:
            if min(len(mine), len(other)) < THRESHOLD * max(len(mine), len(other)):
                continue  # sets of such sizes cannot reach it
            shared = len(mine & other)
            if shared >= THRESHOLD * (len(mine) + len(other) - shared):
                dropped.add(row)
                break
        else:
            kept.append(mine)
    return dropped


def stream(rows: int) -> list[str]:
    """Return real whole rows with a lightly mutated copy of every tenth, shuffled."""
    rng = random.Random(5)
    texts = [" ".join((row["instruction"], row["input"], row["output"])) for row in alpaca()[: rows * 10 // 11]]
    words = sorted({word for text in texts[:500] for word in text.split()})
    copies = []
    for text in texts[::10]:
        first, _, rest = text.partition(" ")
        copies.append(f"{mutated(first, words, rng)} {rest}" if rng.random() < 0.7 else mutated(text, words, rng))
    made = texts + copies
    rng.shuffle(made)
    return made


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=52_002)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts = stream(options.rows)
    average = sum(map(len, texts)) / len(texts)
    found: dict[str, set[int]] = {}
    contenders = {"instructgen, verified": ours}
    for package, name, work in (("rensa", "rensa, estimated", by_rensa),
                                ("datasketch", "datasketch, unverified", by_datasketch)):  # fmt: skip
        if find_spec(package):
            contenders[name] = work
        else:
            print(f"{package} is not installed: left out (pip install {package})")
    times = interleaved(
        {name: lambda n=name, w=work: found.__setitem__(n, w(texts)) for name, work in contenders.items()},
        options.rounds,
    )
    base = times["instructgen, verified"].cpu
    print(f"{len(texts):,} rows of {average:.0f} characters on average, Jaccard {THRESHOLD} of 3-word shingles")
    rows = [[name, f"{t.cpu:.2f}", f"{t.cpu / base:.2f}", f"{len(found[name]):,}"] for name, t in times.items()]
    table(["", "CPU s", "ratio", "dropped"], rows)
    sample = stream(5000)
    right = brute_force(sample)
    rows = []
    for name, work in contenders.items():
        got = work(sample)
        rows.append([name, f"{len(got & right) / len(right):.4f}", f"{len(got & right) / max(1, len(got)):.4f}"])
    print(f"against brute force on {len(sample):,} rows ({len(right)} near-duplicates)")
    table(["", "recall", "precision"], rows)


if __name__ == "__main__":
    main()
