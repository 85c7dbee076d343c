"""Run the torchtune snippets of the exported cards: its builders, its transforms and its Llama 2 tokenizer.

python torchtune_loads.py DATA      DATA holds exported folders
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from exported import configs, corpus, folders, lost, rows, said_by_assistant, said_by_user, snippets

IGNORED = -100


def tokenizer(texts: list[str], into: Path) -> Any:
    """Return torchtune's Llama 2 tokenizer over a SentencePiece model that is trained on the spot."""
    import sentencepiece
    from torchtune.models.llama2 import Llama2Tokenizer

    into.mkdir(exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in texts for line in text.splitlines()), model_prefix=str(into / "tiny"),
        vocab_size=400, hard_vocab_limit=False, byte_fallback=True, pad_id=3, minloglevel=2,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
    )  # fmt: skip
    return Llama2Tokenizer(str(into / "tiny.model"))


def spaceless(text: str) -> str:
    """Return a text without white space: SentencePiece drops line breaks and spaces at the edges."""
    return re.sub(r"\s", "", text.replace("\u2047", ""))


def words_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its texts spaceless."""
    if isinstance(row, dict):
        return {key: words_of(value) for key, value in row.items()}
    if isinstance(row, list):
        return [words_of(value) for value in row]
    return spaceless(row) if isinstance(row, str) else row


def check(config: str, row: dict[str, Any], example: dict[str, Any], made: Any) -> None:
    """Nothing of the row is lost, and a chat trains on the assistant's words alone."""

    def decoded(tokens: list[int]) -> str:
        return spaceless(made.decode([int(token) for token in tokens if token != IGNORED]))

    row = words_of(row)
    ids = [name for name in ("tokens", "chosen_input_ids", "rejected_input_ids") if name in example]
    seen = "".join(decoded(example[name]) for name in ids)
    assert not lost(row, seen), f"{config}: lost {lost(row, seen)} of {seen!r}"
    if config in ("messages", "sharegpt"):
        learnt = decoded(example["labels"])
        assert all(text in learnt for text in said_by_assistant(row)), f"{config}: trains on {learnt!r}"
        assert not any(text in learnt for text in said_by_user(row)), f"{config}: trains on {learnt!r}"
    if config == "preference_implicit":
        for side in ("chosen", "rejected"):
            learnt, said = decoded(example[f"{side}_labels"]), row[side][-1]["content"]
            assert said in learnt, f"{config}: trains on {learnt!r}"
            assert row[side][-2]["content"] not in learnt, f"{config}: trains on {learnt!r}"


def main(data: Path) -> None:
    """Load every config that a card has a snippet for."""
    from importlib.metadata import version

    print(f"torchtune {version('torchtune')}, datasets {version('datasets')}")
    made = tokenizer(corpus(data), data / "model")
    done = set()
    for folder in folders(data):
        os.chdir(folder)  # the snippet's paths start there
        for snippet in snippets(folder, "torchtune"):
            config = re.search(r'"jsonl/(\w+)-train\.jsonl"', snippet)[1]
            known: dict[str, Any] = {"TOKENIZER": made}
            exec(snippet, known)  # the card's own code is what is tested
            given, seen = rows(folder, config), [known["data"][number] for number in range(len(known["data"]))]
            assert len(seen) == len(given) == configs(folder)[config]["train"], f"{config}: {len(seen)} rows"
            for row, example in zip(given, seen, strict=True):
                check(config, row, example, made)
            print(f"{folder.name:10} {config:20} {type(known['data']).__name__:22} {len(seen):3} rows", flush=True)
            done.add((folder.name, config))
    expected = {(folder.name, config) for folder in folders(data) for config in configs(folder)}
    assert done == expected, f"no snippet ran for {sorted(expected - done)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
