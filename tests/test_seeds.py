"""The bundled seeds: enough of them, of many kinds, correct, and fit for the rules that machine tasks must pass."""

import ast
import json
import re
from collections import Counter
from fractions import Fraction
from itertools import combinations

import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from instructgen.convert.seeds import load_seeds
from instructgen.files import bundled_dir, find, iter_rows
from instructgen.filters import Tools
from instructgen.filters.instance_rules import InstanceRules
from instructgen.filters.instruction_rules import InstructionRules
from instructgen.filters.rouge import Rouge
from instructgen.filters.shape import Shape
from instructgen.records import Sample

ROWS = [json.loads(line) for line in find("seeds", "general.jsonl").read_text(encoding="utf-8").splitlines()]
CLASSIFICATION = [row for row in ROWS if row["is_classification"]]
FORBIDDEN = re.compile(
    r"\b(images?|graphs?|pictures?|files?|maps?|draw|plot|go to|videos?|audio|music|flowcharts?|diagrams?)\b",
    re.IGNORECASE,
)
"""Both released blacklists together, with the plurals that they leave out."""


def seed(part):
    """Return the one seed whose instruction holds `part`."""
    (row,) = [row for row in ROWS if part in row["instruction"]]
    return row


def words(text):
    return len(text.split())


def ident(row):
    return row["id"]


def test_there_are_enough_seeds_of_enough_kinds():
    """At least 210 tasks, 14 categories of 8 or more, 45 classification tasks, two thirds with an input."""
    categories = Counter(row["category"] for row in ROWS)

    assert len(ROWS) >= 210
    assert len(categories) >= 14
    assert min(categories.values()) >= 8
    assert len(CLASSIFICATION) >= 45
    assert 0.60 <= sum(bool(row["input"]) for row in ROWS) / len(ROWS) <= 0.75


def test_ids_are_unique_and_rows_have_the_same_keys():
    """Every row has exactly the six documented keys, and an id of its own."""
    keys = {tuple(row) for row in ROWS}

    assert keys == {("id", "category", "is_classification", "instruction", "input", "output")}
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert all(re.fullmatch(r"general-\d{3}", row["id"]) for row in ROWS)


def test_instructions_vary_in_length_and_beginning():
    """Instructions run from 4 to more than 70 words, and no first word begins more than a tenth of them."""
    lengths = sorted(words(row["instruction"]) for row in ROWS)
    (_, most), *_ = Counter(row["instruction"].split()[0].lower() for row in ROWS).most_common(1)

    assert lengths[0] == 4
    assert lengths[-1] > 70
    assert most <= len(ROWS) / 10


def test_the_reader_returns_what_the_file_holds():
    """`load_seeds` loses nothing of the bundled file."""
    seeds = load_seeds(find("seeds", "general.jsonl"))

    assert [
        (s.id, s.category, s.is_classification, s.instruction, s.instances[0].input, s.instances[0].output)
        for s in seeds
    ] == [tuple(row.values()) for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=ident)
def test_seed_keeps_the_rules_of_both_systems(row):
    """Length, blacklist, beginning, endings: what is asked of machine-written tasks holds for the seeds."""
    instruction = row["instruction"]

    assert 3 < words(instruction) <= 150
    assert not FORBIDDEN.search(instruction)
    assert not instruction.startswith("Write a program")
    assert instruction[0].isascii()
    assert instruction[0].isalnum()
    assert row["output"].strip()
    assert row["input"] != row["output"]
    assert not any(row[key].endswith(":") for key in ("instruction", "input", "output"))
    assert all(row[key] == row[key].strip() for key in ("instruction", "input", "output"))


@pytest.mark.parametrize("fidelity", ["fixed", "paper", "as_released"])
def test_seeds_pass_our_own_filters(fidelity):
    """No filter that is asked about machine-written tasks rejects a seed, under either blacklist."""
    filters = [InstructionRules(fidelity=fidelity, blacklist=name) for name in ("self_instruct", "alpaca")]
    samples = [seed.sample() for seed in load_seeds(find("seeds", "general.jsonl"))]
    rejected = [f.check(s) for s in samples for f in (*filters, InstanceRules(), Shape())]

    assert [r.reason for r in rejected if r] == []


@pytest.mark.parametrize("row", CLASSIFICATION, ids=ident)
def test_label_is_one_of_those_that_the_instruction_states(row):
    """A classification answer stands in the instruction, letter for letter, as whole words."""
    label = re.escape(row["output"])

    assert re.search(rf"(?<!\w){label}(?!\w)", row["instruction"])


def test_no_seed_is_a_near_copy_of_another():
    """ROUGE-L F of the reference package stays below 0.6 between any two instructions (the gate is at 0.7)."""

    class Split:
        """Tokens made once per instruction, not once per pair."""

        def __init__(self):
            self.known = {row["instruction"]: tokenize(row["instruction"], None) for row in ROWS}

        def tokenize(self, text):
            return self.known[text]

    scorer = RougeScorer(["rougeL"], tokenizer=Split())
    pairs = combinations([row["instruction"] for row in ROWS], 2)
    worst = max((scorer.score(one, other)["rougeL"].fmeasure, one, other) for one, other in pairs)

    assert worst[0] < 0.6, worst


def test_seeds_pass_our_own_novelty_filter():
    """Each seed is new to the exact ROUGE-L filter that has seen all seeds before it."""
    samples = [seed.sample() for seed in load_seeds(find("seeds", "general.jsonl"))]
    verdicts = Rouge().check_batch(samples)

    assert len(verdicts) == len(ROWS)
    assert [verdict.sample.instruction for verdict in verdicts if verdict] == []


def test_seeds_are_in_our_own_words(data_dir):
    """No instruction comes as close as the novelty gate (0.7) to one of Self-Instruct, Dolly or Alpaca."""
    names = ("self_instruct/seed_tasks.jsonl", "self_instruct/user_oriented_instructions.jsonl",
             "dolly_cc_by_sa/dolly_3k.json.gz", "alpaca_nc/alpaca_data.json.gz")  # fmt: skip
    released = {row["instruction"] for name in names for _, row in iter_rows(data_dir / name)}
    gate = Rouge().prepare(Tools())
    for instruction in sorted(released):
        gate.remember(Sample.single(instruction, output="-"))
    close = [gate.check(Sample.single(row["instruction"], output="-")) for row in ROWS]

    assert len(released) > 50_000
    assert [verdict for verdict in close if verdict] == []


def test_readme_counts_are_current():
    """The table in seeds/README.md says what the file holds."""
    readme = (bundled_dir("seeds") / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([a-z ]+|\*\*all\*\*) \| (\d+ \| \d+ \| \d+) \|$", readme, re.MULTILINE))
    counted = {}
    for name in (*{row["category"] for row in ROWS}, "**all**"):
        rows = [row for row in ROWS if name in (row["category"], "**all**")]
        sums = (len(rows), sum(bool(row["input"]) for row in rows), sum(row["is_classification"] for row in rows))
        counted[name] = " | ".join(map(str, sums))

    assert told == counted
    assert f"holds {len(ROWS)} seed tasks" in readme


# Answers are checked where a program can check them.


@pytest.mark.parametrize(
    ("part", "fewest", "most"),
    [
        ("at most fifteen words", 1, 15),
        ("no more than eight words", 1, 8),
        ("exactly six words", 6, 6),
        ("why the owl hunts", 1, 79),
        ("ten words or fewer", 1, 10),
        ("Riding Hood as a police report", 1, 90),
        ("standing in front of a sundial", 1, 70),
        ("coordinate the volunteers", 70, 90),
    ],
)
def test_answer_keeps_the_length_that_the_instruction_asks_for(part, fewest, most):
    """Limits on words hold in the answer."""
    assert fewest <= words(seed(part)["output"]) <= most


@pytest.mark.parametrize("row", [row for row in ROWS if "JSON" in row["instruction"]], ids=ident)
def test_json_answers_parse(row):
    """An answer that is to be JSON is JSON."""
    assert json.loads(row["output"])


def defined(part, *, with_input=False):
    """Run a coding answer and return the names that it defines."""
    row, names = seed(part), {}
    exec(f"{row['input']}\n{row['output']}" if with_input else row["output"], names)
    return names


def test_coding_answers_do_what_they_are_asked_for():
    """The Python answers are run on cases of their own."""
    palindrome = defined("is_palindrome")["is_palindrome"]
    assert palindrome("A man, a plan, a canal: Panama")
    assert not palindrome("ab")
    assert [defined("returns the average")["mean"](values) for values in ([1, 2, 6], [])] == [3, 0.0]
    assert defined("named merge")["merge"]([(5, 6), (1, 3), (3, 4), (2, 2)]) == [(1, 4), (5, 6)]
    assert defined("most frequent words")["top_words"]("The cat, the dog! A CAT", 2) == [("cat", 2), ("the", 2)]
    assert defined("type hints and a one-line")["repeat"]("a", 3) == "a a a"
    defined("unit tests with plain asserts", with_input=True)["test_clamp"]()
    renamed = defined("Rename the variables", with_input=True)
    assert renamed["f"](80, 25) == renamed["discounted_price"](80, 25) == 60
    loop, names = seed("single list comprehension"), {}
    exec(loop["input"], names)
    assert defined("single list comprehension")["squares"] == names["squares"]
    time = re.compile(seed("24-hour time")["output"])
    assert all(time.match(f"{hour:02}:{minute:02}") for hour in range(24) for minute in range(60))
    assert not any(time.match(text) for text in ("24:00", "7:45", "12:60", "12:345"))
    assert ast.literal_eval(seed("Python tuple")["output"]) == (216.0, "EUR")


def test_reasoning_and_formatting_answers_are_right():
    """Fractions, bases, reversed words and sorted lists are computed again."""
    ascending = [Fraction(part) for part in seed("Which fraction is smallest")["output"].split(", ")]
    assert ascending == sorted(Fraction(part) for part in seed("Which fraction is smallest")["input"].split(", "))
    assert seed("binary and in hexadecimal")["output"] == f"Binary: {173:b}\nHexadecimal: {173:X}"
    backwards = seed("written backwards")
    assert [word[::-1] for word in backwards["input"].split()] == backwards["output"].split()
    hashtags = seed("Collect the hashtags")
    assert hashtags["output"].split() == sorted(re.findall(r"#\w+", hashtags["input"]))
    repeated = seed("Remove duplicate lines")
    assert repeated["output"].split() == list(dict.fromkeys(repeated["input"].split()))
    rows = [line.split(",") for line in seed("Transpose this table")["input"].splitlines()]
    assert [tuple(line.split(",")) for line in seed("Transpose this table")["output"].splitlines()] == list(
        zip(*rows, strict=True)
    )
    logs = Counter(re.findall(r"E\d+", seed("error codes")["input"]))
    assert dict(re.findall(r"(E\d+): (\d)", seed("error codes")["output"])) == {k: str(v) for k, v in logs.items()}
