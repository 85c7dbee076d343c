r"""Token losses of answers under a local language model (extra `score`: torch, transformers).

    load("path/to/model")([("Name a lake.\n\n", "Baikal")])   ->   [{"loss": 3.2, "tokens": 3}]

Token-exact: prompt and answer are tokenised apart and their ids joined, so an answer has the same tokens with and
without its prompt, and no token straddles the two. (Released code searches for the answer's text in the decoded
whole, and may be off by a token at the seam.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from instructgen.errors import RecipeError

Score = Callable[[Sequence[tuple[str, str]]], list[dict[str, float]]]
BATCH_TOKENS = 8_192
"""Padded tokens of one forward pass."""


@cache
def load(path: str, max_tokens: int = 1024) -> Score:
    """Return a function from (prompt, answer) pairs to {"loss": nats per answer token, "tokens": their number}.

    `path`: a folder that transformers loads, or a GGUF file. A pair longer than `max_tokens` or without answer tokens
    gives an empty dict. Nothing is downloaded.
    Raises: RecipeError when torch or transformers is missing, or the model cannot be loaded.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise RecipeError("a scoring model needs torch and transformers: pip install 'instructgen[score]'") from error
    place = Path(path)
    if not place.exists():
        raise RecipeError(f"scoring model {path}: no such file or folder; give a local model, nothing is downloaded")
    where: dict[str, Any] = {"local_files_only": True}
    folder = place
    if place.suffix == ".gguf":
        folder, where = place.parent, {**where, "gguf_file": place.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **where)
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, **where).eval()
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise RecipeError(f"scoring model {path} cannot be loaded: {str(error).splitlines()[0]}") from error
    start = next((each for each in (tokenizer.bos_token_id, tokenizer.eos_token_id) if each is not None), None)
    if start is None:
        raise RecipeError(f"scoring model {path} has no token to begin a text with (bos or eos)")
    limit = min(max_tokens, getattr(model.config, "max_position_embeddings", max_tokens) or max_tokens)

    def score(pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
        def ids(text: str) -> list[int]:
            found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
            return found

        joined = [([start, *ids(prompt)], ids(answer)) for prompt, answer in pairs]
        losses: list[dict[str, float]] = [{} for _ in pairs]
        fitting = [at for at, (before, after) in enumerate(joined) if after and len(before) + len(after) <= limit]
        for some in _batches(fitting, [len(before) + len(after) for before, after in joined]):
            for at, loss in zip(some, _losses(model, [joined[at] for at in some]), strict=True):
                losses[at] = {"loss": loss, "tokens": float(len(joined[at][1]))}
        return losses

    return score


def _batches(rows: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield row numbers of like length together, so that little is padded."""
    some: list[int] = []
    for at in sorted(rows, key=lambda row: (lengths[row], row)):
        if some and (len(some) + 1) * lengths[at] > BATCH_TOKENS:
            yield some
            some = []
        some.append(at)
    if some:
        yield some


def _losses(model: Any, rows: Sequence[tuple[list[int], list[int]]]) -> list[float]:
    """Return the mean loss of each row's answer tokens, in one forward pass."""
    import torch

    longest = max(len(before) + len(after) for before, after in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, (before, after) in enumerate(rows):
        ids[at, : len(before) + len(after)] = torch.tensor(before + after)
        mask[at, : len(before) + len(after)] = 1
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
    found = []
    for at, (before, after) in enumerate(rows):
        first, end = len(before), len(before) + len(after)
        logprobs = torch.log_softmax(logits[at, first - 1 : end - 1], dim=-1)
        picked = logprobs.gather(1, ids[at, first:end, None])
        found.append(float(-picked.mean()))
    return found
