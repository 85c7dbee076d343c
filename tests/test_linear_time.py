"""Whatever reads a text of unknown origin reads it in time proportional to its length.

Each reader is given long runs: one sign repeated, a word in front, another sign behind. What takes a moment of
processor time at the full size is timed again at a quarter of it: a linear reader takes a quarter, one whose work grows
with the square a sixteenth. Only this proportion counts, in processor time, so that a slow or a busy machine fails no
test; where it is hopeless, pytest's own limit a test ends it (pytest-timeout).
"""

import time
from collections.abc import Callable

import pytest

from instructgen.convert.cleaning import Cleaner, Cleaning, clean_text
from instructgen.convert.linearise import read_spans
from instructgen.dedup.contamination import ContaminationIndex
from instructgen.dedup.tokens import tokenizer
from instructgen.filters.answers import chosen_option, final_answer
from instructgen.filters.arithmetic import mistakes
from instructgen.filters.constraint_kinds import COUNTED, KINDS
from instructgen.filters.scores import read_choice, read_order, read_score, read_scores
from instructgen.filters.tags import read_tags
from instructgen.formats.ranked import Ranked
from instructgen.generators.alpaca import read_batch, read_released
from instructgen.generators.instances import read_input_first, read_output_first, without_placeholder
from instructgen.generators.numbered import read_numbered
from instructgen.generators.structured import unfenced
from instructgen.records import Completion, Sample, Turn
from instructgen.registry import lookup
from instructgen.teachers.wire import split_thought
from instructgen.tools import tools

SIZE = 10_000
MOMENT = 0.1
"""Seconds of processor time below which nothing is worth comparing."""
STEEPEST = 9
"""Times as long that four times the text may take: 4 when linear, 16 when quadratic."""
UNITS = (
    " ", "\n", "\t", "*", "#", ".", "a", "A", "1", "_", "-", "(", "[", "{", "<", '"', "`", "\\", ":", "|", ",", "é",
    "a ", "1 ", "1.", "a.", " \n", "\n- ", "1. a\n", "```\n", "```a\n", "**a", "<a ", "![", "{{", "1 + ", "a, ", "; ",
)  # fmt: skip


def runs(*openings):
    """Yield what makes a text of about `size` characters: each unit repeated, behind each opening, and the openings."""
    for opening in ("", *openings):
        for unit in UNITS:
            yield lambda size, opening=opening, unit=unit: f"{opening}{unit * (size // len(unit))}!"
    for opening in openings:
        yield lambda size, opening=opening: f"{opening}\n" * (size // (len(opening) + 1))
        yield lambda size, opening=opening: f"{opening} " * (size // (len(opening) + 1)) + "x"


def seconds(work: Callable[[str], None], text: str) -> float:
    begun = time.process_time()
    work(text)
    return time.process_time() - begun


def check_linear(work: Callable[[str], None], *openings: str) -> None:
    """Do the work on every long run; where it takes more than a moment, compare it with a quarter of the text."""
    for text_of in runs(*openings):
        text = text_of(SIZE)
        if seconds(work, text) > MOMENT:
            whole = min(seconds(work, text) for _ in range(3))
            quarter = min(seconds(work, text_of(SIZE // 4)) for _ in range(3))
            assert whole <= max(MOMENT, STEEPEST * quarter), f"{text[:40]!r}: {whole:.2f} s, a quarter {quarter:.2f} s"


def reply(text):
    return Completion(request="r", content=text)


READERS = {
    "examples": (read_input_first, ("Example", "Example 1", "Input", "Output 1", "Input: a\nOutput")),
    "examples_as_released": (lambda text: read_input_first(text, "as_released"), ("Example", "Input", "a Output")),
    "labels": (read_output_first, ("Class label", "Class label: a\ninput")),
    "placeholder": (without_placeholder, ("no", "no input", "none")),
    "numbered": (lambda text: read_numbered(text, 9), ("9", "9.", "Task", "a\n10. **")),
    "alpaca": (
        lambda text: read_batch(reply(text), []),
        ("4. Instruction:", "Name.\nOutput: hi\n##", "Input", "Instruction: a\n4. Output:\n### 5", "Input:"),
    ),
    "alpaca_as_released": (lambda text: read_released(reply(text), []), ("1. Instruction", "a###b", "###")),
    "fence": (unfenced, ("```", "```json", "```\n", "```\na\n```")),
    "thought": (split_thought, ("<think>", "<think", "</think>")),
    "score": (read_score, ("Score", "4", "Score: 4", "Score: 4/5", "```", "```\n{", '{"score": ')),
    "scores": (lambda text: read_scores(text, ["depth"]), ("depth", "- depth: 4", "1.", "depth: 4/")),
    "choice": (lambda text: read_choice(text, "AB"), ("Better", "Better:", "A", "answer")),
    "order": (lambda text: read_order(text, "AB"), ("Order", "A >", "A B")),
    "tags": (read_tags, ("[", "```", '["a", ', "[[")),
    "final_answer": (lambda text: final_answer(text, numeric=True), ("####", "\\boxed{", "therefore", "answer is: **")),
    "option": (lambda text: chosen_option(text, ["Rome", "Paris"]), ("answer", "(A", "answer is")),
    "arithmetic": (lambda text: list(mistakes(text)), ("1 + 1 =", "(1", "1=", "(9^9)^9 =", "=", "2 x 3 is equal to")),
    "clean_text": (
        clean_text,
        ("Copy code", "aCopy code", "<a", "<p>", "1 / 2", "Copy1 chars / 1 words", "Share Prompt", "`", "<|s"),
    ),
    "spans": (read_spans, ("a (b", "a (b); ")),
    "characters": (tokenizer("characters"), ("é", "你")),
    "words": (tokenizer("words"), ("é", "你")),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_not_slowed_down_by_long_runs(name):
    """A reply, however drawn out, is read to its end; where nothing can be read the answer says so, twice the same."""
    read, openings = READERS[name]

    def work(text):
        result = read(text)
        assert result is None or isinstance(result, str | float | int | tuple | list | dict), text[:40]

    check_linear(work, *openings)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"language"}))
def test_a_constraint_is_checked_without_hanging(kind):
    """Each check of an answer's form gives its finding on long runs."""
    arguments = {
        "json_keys": {"keys": ["a"]}, "contains": {"words": ["rain"]}, "excludes": {"words": ["rain"]},
        "frequency": {"word": "rain", "min": 1}, "excludes_letter": {"letter": "e"}, "starts_with": {"text": "Dear"},
        "ends_with": {"text": "Yours"}, "initial": {"letter": "a"}, "one_of": {"options": ["yes"]},
        "opens_with_one_of": {"options": ["yes"]}, "mentions_one_of": {"options": ["yes"]},
    }.get(kind, {"max": 10} if kind in COUNTED else {})  # fmt: skip

    def work(text):
        assert isinstance(KINDS[kind](text, **arguments), str), text[:40]

    check_linear(work, "| a |", "```", "<<a", "#", "1")


FILTERS = {
    "ambiguity": ("write", "explain it and then", "as", "the"),
    "answers": ("1 + 1 = 2", "\\boxed{1", "```"),
    "capability": ("![a](", "photo.", "[photo", "look at the", "what is the weather"),
    "characters": (),
    "constraints": (),
    "copying": (),
    "emptiness": ("no", "n/a"),
    "ending": ("return", "a of"),
    "exact": (),
    "instance_rules": (),
    "harm": ("how to", "how to kill", "help me ", "kill the", "ways to make a"),
    "instruction_rules": ("write a program", "image"),
    "leakage": ("a\n##", "a\n5.", "Instruction", "Instruction:", "a\nInstruction:", "###", "{{", "<s>", "[your"),
    "markup": ("```", "```json\n{", "for a in", "class a", "Output", "Abc a b c d", "def f("),
    "pii": ("a@", "+1", "+49 30 901820", "8.8.4.5", "4111 1111 1111 1111", "DE89", "::"),
    "references": ("http://a", "the following", "summarise this", "url: http://a)"),
    "refusal": ("I cannot", "as an ai", "sorry", "as an ai language model", "my training"),
    "repetition": ("very", "- -"),
    "shape": (),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_not_slowed_down_by_long_runs(name):
    """A filter decides on long runs in an instruction, an input and an answer."""
    ready = lookup("filters", name)().prepare(tools())

    def work(text):
        samples = (
            Sample.single("Write Python or JSON: 1 + 1.", input=text, output=text),
            Sample.single(f"a {text}", output="Yes."),
        )
        for sample in samples:
            verdict = ready.check(sample, 0, 0)
            assert verdict is None or verdict.reason, text[:40]
            assert isinstance(ready.flags(sample), dict)

    check_linear(work, *FILTERS[name])


def test_a_benchmark_with_one_prompt_around_each_question_is_looked_for_without_hanging():
    """A text that says the prompt's first words again and again, held against thousands that begin with them."""
    prompt = "Answer the following question with care:"
    index = ContaminationIndex(rouge=None)
    for number in range(2000):
        index.add("bench", str(number), f"{prompt} " + " ".join(f"n{number}w{at}" for at in range(number % 50 + 1)))

    def work(text):
        assert index.find(text) is None

    check_linear(work, prompt, f"{prompt} n7w0")
    assert index.find(f"{prompt} {prompt} n7w0 n7w1 n7w2 n7w3 n7w4 n7w5 n7w6 n7w7").item == "7"


def test_a_chat_is_cleaned_without_hanging():
    """Every rule for chats, those that are off by default too, decides on long runs in both turns."""
    cleaner = Cleaner(Cleaning(same_digits=True, numbering=True))

    def work(text):
        chat = Sample(turns=(Turn(role="user", content=text), Turn(role="assistant", content=f"Sure, {text}")))
        assert cleaner.clean(chat) is not None

    check_linear(work, "Used", "as an ai", "sorry, as an ai", "1. a", "Used a")


def test_marks_of_a_conversation_are_found_without_hanging():
    """A prompt with Human and Assistant marks is cut at them and nowhere else, blank runs or not."""

    def work(text):
        row = {"prompt": f"Human: {text}", "answers": [{"content": "Yes.", "rank": 1}]}
        assert Ranked().read(row)[0].turns[0].role == "user"

    check_linear(work, "Human", "Assistant: a")


def test_the_comparison_sees_what_grows_with_the_square():
    """A reader that looks at each sign from each sign fails; one that looks at each once does not."""
    check_linear(lambda text: sum(1 for _ in text))
    with pytest.raises(AssertionError, match="a quarter"):
        check_linear(lambda text: sum(1 for _ in range(0, len(text), 4) for _ in text))


def test_long_sums_and_towers_of_powers_are_given_up_in_time():
    """A sum that ends in a letter is passed over, however many ways there are to share out its spaces."""
    assert not list(mistakes(f"{'12 +  ' * 60}1 = x"))
    assert not list(mistakes("((((9^64)^64)^64)^64)^64 = 5"))
    assert [found.right for found in mistakes(f"{'1 + ' * 20}1 = 22")] == ["21"]
