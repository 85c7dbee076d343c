"""How the ROUGE-L index grows: 52,000 to a million rows, each size in a process of its own.

python -m benchmarks.novelty_growth                    all sizes: about 15 minutes on an idle machine
python -m benchmarks.novelty_growth --most 208000
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from benchmarks.streams import alpaca, mutated
from benchmarks.timing import in_child, table

SIZES = (52_000, 104_000, 208_000, 416_000, 1_000_000)
TOGETHER = 10_000


def stream(kind: str, rows: int) -> list[str]:
    """Return real instructions followed by mutated copies, or by rows of as many words drawn anew."""
    texts = [row["instruction"] for row in alpaca()][:rows]
    words = [word for text in texts for word in text.split()]  # drawn as often as they are used
    distinct = sorted(set(words[:50_000]))
    rng = random.Random(rows)
    made = list(texts)
    while len(made) < rows:
        text = texts[len(made) % len(texts)]
        if kind == "mutated":
            made.append(mutated(text, distinct, rng))
        else:
            made.append(" ".join(rng.choice(words) for _ in text.split()))
    rng.shuffle(made)
    return made


def measure(kind: str, rows: int) -> None:
    """Filter a stream and print seconds of CPU and rows kept; run in a child process."""
    from instructgen.dedup.rouge_index import RougeIndex

    texts = stream(kind, rows)
    index, began, kept = RougeIndex(0.7, tokenizer_name="reference"), time.process_time(), 0
    for at in range(0, rows, TOGETHER):
        kept += sum(not near for near in index.filter(texts[at : at + TOGETHER]))
    print(time.process_time() - began, kept)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1])
    options = parser.parse_args()
    for kind in ("mutated", "distinct"):
        lines = []
        for rows in [size for size in SIZES if size <= options.most]:
            start = "import random\nfrom benchmarks.novelty_growth import measure, stream\n"
            _, reading, _ = in_child(f"{start}print(len(stream({kind!r}, {rows})))")
            _, peak, printed = in_child(f"{start}measure({kind!r}, {rows})")
            seconds, kept = printed.split()
            lines.append([f"{rows:,}", f"{int(kept):,}", f"{float(seconds):.1f}", f"{float(seconds) / rows * 1e6:.1f}",
                          f"{peak:,.0f}", f"{(peak - reading) * 2**20 / rows:,.0f}"])  # fmt: skip
            print(f"{kind} {rows:,}: {seconds} s", file=sys.stderr)
        print({"mutated": "real rows and mutated copies", "distinct": "nearly all distinct"}[kind])
        table(["rows", "kept", "CPU s", "µs per row", "peak MiB", "bytes per row beyond the texts"], lines)


if __name__ == "__main__":
    main()
