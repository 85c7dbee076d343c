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

NAMES = st.sampled_from(
    ["role", "from", "text", "id", "extra", "message_id", "lang", "score", "task", "question", "name"]
)
VALUES = WORDS | st.integers(-3, 3) | st.booleans() | st.lists(WORDS, max_size=1) | st.fixed_dictionaries({"a": WORDS})
STRANGE = st.dictionaries(NAMES | WORDS, VALUES, max_size=2)


def _turn(*roles):
    """A turn with anything beside its text."""
    return st.builds(
        Turn, role=st.sampled_from(roles), content=WORDS, input=WORDS | st.just(""), name=st.just("") | WORDS,
        weight=st.none() | st.sampled_from([0.0, 1.0, 0.5]), extra=st.just({}) | STRANGE,
        tool_calls=st.just(()) | st.sampled_from([(CALL,), ({"function": CALL["function"]},), ({"name": "x"},)]),
        tool_call_id=st.sampled_from(["", "", "call_1"]),
    )  # fmt: skip


def _plain(turns):
    """Some without tools and weights, so that more shapes hold them."""
    bare = {"weight": None, "tool_calls": (), "tool_call_id": ""}
    stripped = tuple(turn.model_copy(update=bare) for turn in turns)
    return st.sampled_from([stripped, stripped, stripped, turns])


TURNS = st.tuples(_turn("user"), _turn("assistant")).flatmap(_plain) | st.lists(
    _turn("system", "user", "assistant", "tool"), max_size=4
).map(tuple).flatmap(_plain)
ANYTHING = st.builds(
    Sample,
    turns=TURNS,
    tools=st.sampled_from([(), (), (), (TOOL,)]),
    answers=st.just(())
    | st.lists(
        st.builds(
            Answer,
            turns=st.tuples(_turn("assistant")).flatmap(_plain) | st.just(()),
            rank=st.none() | st.integers(-1, 3),
            score=st.none() | st.floats(0, 1),
            source=st.just("") | WORDS,
        ),
        max_size=2,
    ).map(tuple),
    labels=st.dictionaries(
        st.sampled_from(["category", "is_classification", "desirable", "outputs", "x"]), VALUES, max_size=2
    ),
    steps=st.just(())
    | st.just(())
    | st.lists(
        st.builds(
            Step,
            text=WORDS,
            rating=RATING,
            extra=st.just({})
            | st.dictionaries(st.sampled_from(["flagged", "place", "human", "chosen", "x"]), VALUES, max_size=1),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    media=st.just(())
    | st.lists(
        st.builds(Media, path=WORDS, sha256=st.just("") | WORDS, kind=st.sampled_from(["image", "audio"])), max_size=2
    ).map(tuple),
    extra=st.just({}) | STRANGE,
    provenance=PROVENANCE,
)
"""Samples with all that the record allows, in any combination."""

NATURAL = {
    "alpaca": SINGLE, "dolly": SINGLE, "flan": SINGLE, "llava": IMAGE, "messages": CHAT, "oasst": CHAT,
    "oasst_tree": OPEN, "openai": TOOLS | WEIGHED, "openai_preference": CHAT_PAIR, "preference": CHAT_PAIR,
    "preference_implicit": CHAT_PAIR,
    "preference_text": PAIR, "process": STEPS, "prompt_completion": SINGLE, "prompt_completion_chat": CHAT,
    "ranked": RANKED, "sample": TOOLS | RANKED | STEPS, "self_instruct": SINGLE, "sharegpt": CHAT | OPEN,
    "sharegpt_tools": CHAT | TOOLS,
    "stepwise": SURE_STEPS, "super_ni": SINGLE, "text": SINGLE, "ultrachat": TALK,
    "unnatural": SINGLE, "unpaired": THUMB,
}  # fmt: skip
"""Format -> samples that it holds."""
