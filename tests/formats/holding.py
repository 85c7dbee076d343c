"""Samples that each format can hold, for round trips."""

from hypothesis import strategies as st

from instructgen import registry
from instructgen.records import Answer, Media, Provenance, Sample, Step, Turn

FORMATS = {name: registry.lookup("formats", name)() for name in registry.names("formats")}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
WORDS = st.text("ab 你é\n\"{}<>'", min_size=1, max_size=20)
LABELS = st.fixed_dictionaries({}, optional={"category": WORDS, "is_classification": st.booleans()})
PROVENANCE = st.builds(
    Provenance, source=st.just("generated"), source_id=st.sampled_from(["", "row-7"]), licence=st.just("mit")
)
ASSISTANT = st.builds(Turn, role=st.just("assistant"), content=WORDS)
OPENING = st.lists(st.builds(Turn, role=st.just("system"), content=WORDS), max_size=1)
EXCHANGE = st.tuples(st.builds(Turn, role=st.just("user"), content=WORDS, input=WORDS | st.just("")), ASSISTANT)


def _made(turns, **fields):
    return st.builds(Sample, turns=turns, labels=LABELS, provenance=PROVENANCE, **fields)


SINGLE = _made(EXCHANGE)
CHAT = _made(
    st.tuples(OPENING, st.lists(EXCHANGE, min_size=1, max_size=3)).map(
        lambda parts: (*parts[0], *(turn for pair in parts[1] for turn in pair))
    )
)
TALK = _made(
    st.lists(EXCHANGE, min_size=1, max_size=3).map(lambda pairs: tuple(turn for pair in pairs for turn in pair))
)
OPEN = CHAT.map(lambda s: Sample(turns=s.turns[:-1], labels=s.labels, provenance=s.provenance))
WEIGHED = CHAT.map(
    lambda s: Sample(
        turns=tuple(t.model_copy(update={"weight": 1.0}) if t.role == "assistant" else t for t in s.turns),
        provenance=s.provenance,
    )
)
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Łódź"}'}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
TOOLS = _made(
    st.tuples(WORDS, WORDS, WORDS).map(
        lambda said: (
            Turn(role="user", content=said[0]),
            Turn(role="assistant", tool_calls=(CALL,)),
            Turn(role="tool", content=said[1], tool_call_id="call_1"),
            Turn(role="assistant", content=said[2]),
        )
    ),
    tools=st.just((TOOL,)),
)
PAIR = _made(EXCHANGE, answers=st.tuples(st.builds(Answer, turns=st.tuples(ASSISTANT))))
CHAT_PAIR = CHAT.flatmap(
    lambda s: st.builds(
        Sample, turns=st.just(s.turns), answers=st.tuples(st.builds(Answer, turns=st.tuples(ASSISTANT))), labels=LABELS
    )
)
RANKS = st.lists(
    st.builds(
        Answer, turns=st.tuples(ASSISTANT), rank=st.integers(2, 5), score=st.none() | st.floats(0, 1), source=WORDS
    ),
    min_size=1, max_size=3,
).map(lambda answers: tuple(sorted(answers, key=lambda a: a.rank)))  # fmt: skip
RANKED = _made(EXCHANGE, answers=RANKS)
IMAGE = _made(EXCHANGE, media=st.builds(Media, path=WORDS).map(lambda one: (one,)))
THUMB = SINGLE.flatmap(
    lambda s: st.builds(Sample, turns=st.just(s.turns), labels=st.fixed_dictionaries({"desirable": st.booleans()}))
)
RATING = st.sampled_from([-1, 0, 1, None])
STEP = st.builds(
    Step,
    text=WORDS,
    rating=RATING,
    alternatives=st.lists(st.builds(Step, text=WORDS, rating=RATING), max_size=2).map(tuple),
)
SURE = st.builds(Step, text=WORDS, rating=st.sampled_from([-1, 1]))


def _solved(steps):
    answer = Turn(role="assistant", content="\n".join(step.text for step in steps))
    return Sample(turns=(Turn(role="user", content="Prove it."), answer), steps=tuple(steps))


STEPS = st.lists(STEP, min_size=1, max_size=3).map(_solved)
SURE_STEPS = st.lists(SURE, min_size=1, max_size=3).map(_solved)

NATURAL = {
    "alpaca": SINGLE, "dolly": SINGLE, "flan": SINGLE, "llava": IMAGE, "messages": CHAT, "oasst": CHAT,
    "oasst_tree": OPEN, "openai": TOOLS | WEIGHED, "openai_preference": CHAT_PAIR, "preference": CHAT_PAIR,
    "preference_implicit": CHAT_PAIR,
    "preference_text": PAIR, "process": STEPS, "prompt_completion": SINGLE, "prompt_completion_chat": CHAT,
    "ranked": RANKED, "sample": TOOLS | RANKED | STEPS, "self_instruct": SINGLE, "sharegpt": CHAT | OPEN,
    "stepwise": SURE_STEPS, "super_ni": SINGLE, "text": SINGLE, "ultrachat": TALK,
    "unnatural": SINGLE, "unpaired": THUMB,
}  # fmt: skip
"""Format -> samples that it holds."""
