"""Long chats, split into chunks of at most N tokens on the borders of exchanges, with nothing lost.

    turns of [400, 400, 400, 400, 900, 900] tokens, limit 2048 -> turns 0-3, turns 4-5

FastChat's splitter drops the last exchange whenever a chat overflows; here each is in a chunk, or in a rejection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from instructgen.convert.tokens import Counter, estimate
from instructgen.records import Rejection, Sample, Turn

PER_TURN = 6
"""Tokens that a chat template adds to each turn (FastChat: 6)."""


def split(sample: Sample, limit: int, count: Counter = estimate) -> Iterator[Sample | Rejection]:
    """Yield a chat's chunks in order. One that fits comes back as it is.

    Each chunk keeps the system turn, starts with a user's turn, and is a run of whole exchanges. An exchange that is
    longer than `limit` alone becomes a rejection (`exchange_too_long`) and ends its chunk: what follows starts anew.
    """
    system = [turn for turn in sample.turns if turn.role == "system"]
    exchanges = list(_exchanges([turn for turn in sample.turns if turn.role != "system"]))
    room = limit - sum(_tokens(turn, count) for turn in system)
    lengths = [sum(_tokens(turn, count) for turn in exchange) for exchange in exchanges]
    if sum(lengths) <= room:
        yield sample
        return
    start = 0
    for begin, end in _chunks(lengths, room):
        turns = [turn for exchange in exchanges[begin:end] for turn in exchange]
        if end - begin == 1 and lengths[begin] > room:
            yield _too_long(sample, turns, start, lengths[begin], limit)
        else:
            yield _chunk(sample, [*system, *turns], start)
        start += len(turns)


def _tokens(turn: Turn, count: Counter) -> int:
    return count(turn.text) + PER_TURN


def _exchanges(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """Yield runs of turns that start with a user's: question, answer, and any tool turns between."""
    run: list[Turn] = []
    for turn in turns:
        if turn.role == "user" and any(one.role != "user" for one in run):
            yield run
            run = []
        run.append(turn)
    if run:
        yield run


def _chunks(lengths: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    """Yield (first, behind the last) of runs whose lengths add up to at most `room`; one too long stands alone."""
    begin, used = 0, 0
    for at, length in enumerate(lengths):
        if at > begin and used + length > room:
            yield begin, at
            begin, used = at, 0
        used += length
        if used > room:
            yield begin, at + 1
            begin, used = at + 1, 0
    if begin < len(lengths):
        yield begin, len(lengths)


def _chunk(sample: Sample, turns: Sequence[Turn], start: int) -> Sample:
    data = sample.model_dump(exclude={"id", "answers"})
    made = Sample.model_validate({**data, "turns": [turn.model_dump() for turn in turns]})
    number = f"{sample.provenance.source_id}_{start}".lstrip("_")
    return made.with_provenance(source_id=number, parents=(*sample.provenance.parents, sample.id))


def _too_long(sample: Sample, turns: Sequence[Turn], start: int, length: int, limit: int) -> Rejection:
    text = "\n\n".join(turn.text for turn in turns)
    return Rejection(stage="parse", reason="exchange_too_long", text=text,
                     evidence={"parent": sample.id, "turn": start, "tokens": length, "limit": limit})  # fmt: skip
