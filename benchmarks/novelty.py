"""The exact ROUGE-L index against RapidFuzz on all pairs and against `rouge_score`, on 52,002 real instructions.

python -m benchmarks.novelty                  the whole file, three rounds: 5 minutes on an idle machine
python -m benchmarks.novelty --rows 10000 --rounds 1
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from benchmarks.streams import alpaca
from benchmarks.timing import Times, in_child, interleaved, table
from instructgen.dedup.rouge_index import RougeIndex
from instructgen.dedup.rows import Vocabulary
from instructgen.dedup.tokens import reference

THRESHOLD = 0.7


def by_index(texts: list[str], size: int) -> int:
    index = RougeIndex(THRESHOLD, tokenizer_name="reference")
    return sum(not near for at in range(0, len(texts), size) for near in index.filter(texts[at : at + size]))


def by_cdist(texts: list[str], workers: int) -> int:
    """Keep greedily in blocks of 256: each against the rows kept before, then among themselves."""
    numbers: dict[str, int] = {}
    rows = ["".join(chr(numbers.setdefault(t, len(numbers)) + 0xE000) for t in reference(text)) for text in texts]
    kept: list[str] = []
    lengths = np.empty(0, np.int32)
    for start in range(0, len(rows), 256):
        block = rows[start : start + 256]
        own = np.array([len(row) for row in block], np.int32)
        among = _close(process.cdist(block, block, scorer=LCSseq.similarity, dtype=np.int32, workers=workers), own, own)
        stays = np.ones(len(block), bool)
        if kept:
            lcs = process.cdist(block, kept, scorer=LCSseq.similarity, dtype=np.int32, workers=workers)
            stays = ~_close(lcs, own, lengths).any(axis=1)
        for row in range(len(block)):
            stays[row] &= not (among[row, :row] & stays[:row]).any()
        kept += [row for row, stay in zip(block, stays, strict=True) if stay]
        lengths = np.concatenate([lengths, own[stays]])
    return len(kept)


def _close(lcs: np.ndarray, m: np.ndarray, n: np.ndarray) -> np.ndarray:
    return (20 * lcs >= 7 * (m[:, None] + n[None, :])) & (lcs > 0)


def tokens_and_numbers(texts: list[str]) -> list[int]:
    """What any index on tokens has to do first, in plain Python."""
    numbers: dict[str, int] = {}
    flat: list[int] = []
    for text in texts:
        for token in reference(text):
            number = numbers.get(token)
            if number is None:
                number = numbers[token] = len(numbers)
            flat.append(number)
    return flat


def by_reference(texts: list[str]) -> tuple[int, float]:
    """Return the pairs that the released loop scores on these rows, and the seconds it takes."""
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    kept: list[str] = []
    pairs, began = 0, time.process_time()
    for text in texts:
        scores = [scorer.score(text, other)["rougeL"].fmeasure for other in kept]
        pairs += len(kept)
        if not scores or max(scores) < THRESHOLD:
            kept.append(text)
    return pairs, time.process_time() - began


def streams(texts: list[str], rounds: int) -> None:
    """The table of whole streams."""
    contenders = {
        "index, one call": lambda: by_index(texts, len(texts)),
        "index, calls of 1,000": lambda: by_index(texts, 1000),
        "index, calls of 256": lambda: by_index(texts, 256),
        "tokens and numbers alone": lambda: tokens_and_numbers(texts),
        "cdist, 1 worker": lambda: by_cdist(texts, 1),
        "cdist, 2 workers": lambda: by_cdist(texts, 2),
    }
    times = interleaved(contenders, rounds)
    pairs, seconds = by_reference(texts[:1500])
    kept = by_index(texts, len(texts))
    whole = seconds / pairs * kept * (kept - 1) / 2
    times["rouge_score, extrapolated from 1,500 rows"] = Times(whole, whole)
    base = times["index, one call"]
    rows = [[name, f"{t.wall:,.2f}", f"{t.cpu:,.2f}", f"{t.wall / base.wall:,.1f}", f"{t.cpu / base.cpu:,.1f}"]
            for name, t in times.items()]  # fmt: skip
    print(f"{len(texts):,} instructions, threshold {THRESHOLD}, {kept:,} kept; medians of {rounds}")
    table(["", "wall s", "CPU s", "wall / one call", "CPU / one call"], rows)


def single(texts: list[str]) -> None:
    """The table of single questions to a pool of all rows."""
    index = RougeIndex(THRESHOLD, tokenizer_name="reference")
    index.add_all(texts)
    asked = [f"{text} please" for text in texts[:2000]]
    numbers = Vocabulary()
    pool = numbers.learn([reference(text) for text in texts]).texts
    few = [numbers.glance(reference(text)).text for text in asked[:20]]

    def insert() -> None:
        for text in asked:
            index.nearest(text, 10)
            index.add(text)

    def extract() -> None:
        for text in few:
            process.extractOne(text, pool, scorer=LCSseq.similarity)

    times = interleaved({"ask": lambda: [index.nearest(text, 10) for text in asked], "extractOne": extract})
    adding = interleaved({"ask and insert": insert}, 1)
    rows = [
        ["index: ask", f"{times['ask'].cpu / len(asked) * 1e3:.3f}"],
        ["index: ask and insert, sorting in included", f"{adding['ask and insert'].cpu / len(asked) * 1e3:.3f}"],
        ["RapidFuzz extractOne", f"{times['extractOne'].cpu / len(few) * 1e3:.3f}"],
    ]
    print(f"one question to a pool of {len(texts):,}")
    table(["", "CPU ms"], rows)


def repetitive(rounds: int) -> None:
    """The table of streams that a careless index drowns in."""
    made = {
        "20,000 identical rows": ["tell me a joke about the sea"] * 20_000,
        "20,000 rows of one template": [
            f"write a short story about the number {n} and its friends" for n in range(20_000)
        ],
        "20,000 rows of a looser template": [f"compare {n} with {n + 1} and {n * 7} for me" for n in range(20_000)],
    }
    rows = []
    for name, texts in made.items():
        times = interleaved(
            {"index": lambda t=texts: by_index(t, len(t)), "cdist": lambda t=texts: by_cdist(t, 1)}, rounds
        )
        rows.append([name, f"{times['index'].cpu:.2f}", f"{times['cdist'].cpu:.2f}"])
    table(["repetitive streams", "index, CPU s", "cdist, CPU s"], rows)


def memory(texts: list[str]) -> None:
    """Peak memory of a process that filters the rows and does nothing else."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.writelines(" ".join(text.split()) + "\n" for text in texts)
        file.flush()
        read = f"texts = open({file.name!r}, encoding='utf-8').read().splitlines()\n"
        _, before, _ = in_child(f"{read}print(len(texts))")
        work = "from instructgen.dedup.rouge_index import RougeIndex\n"
        work += "print(sum(map(bool, RougeIndex(0.7, tokenizer_name='reference').filter(texts))))"
        _, after, _ = in_child(read + work)
    table(["peak memory", "MiB"], [["the texts alone", f"{before:.0f}"], ["with the index", f"{after:.0f}"]])


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=52_002)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts = [row["instruction"] for row in alpaca()[: options.rows]]
    streams(texts, options.rounds)
    single(texts)
    repetitive(1)
    memory(texts)


if __name__ == "__main__":
    main()
