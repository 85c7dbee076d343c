"""Verifiable answers: recomputed arithmetic, known answers, options; right ones pass, wrong ones do not."""

import gzip
from fractions import Fraction
from types import NoneType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.errors import RecipeError
from instructgen.filters import Tools
from instructgen.filters.answers import Answers, chosen_option, final_answer
from instructgen.filters.arithmetic import evaluate, mistakes, number, statements
from instructgen.filters.code_tests import CodeTests, code_of
from instructgen.filters.constraints import Constraints
from instructgen.filters.rated import labels_of
from instructgen.records import Sample
from instructgen.sandbox import Limits, Ran, Sandbox, available

VALUES = [
    ("2 + 3 * 4", 14),
    ("(2 + 3) * 4", 20),
    ("2 x 3 ÷ 4", Fraction(3, 2)),
    ("2^3^2", 512),
    ("-2^2", -4),
    ("$1,250.50 - $0.50", 1250),
    ("20% * 50", 10),
    ("1/3 + 1/6", Fraction(1, 2)),
    ("7 - -2", 9),
    ("1 / 0", None),
    ("9^9999", None),
    ("(1 + 2", None),
    ("1 +", None),
    ("", None),
]


@pytest.mark.parametrize(("expression", "value"), VALUES)
def test_expressions_are_evaluated_exactly(expression, value):
    """Fractions, precedence, brackets, percent; what has no value gives none, without an exception."""
    assert evaluate(expression) == value


STATEMENTS = [
    ("12 + 7 = 19", []),
    ("12 + 7 = 20", ["19"]),
    ("So 3 * $4 = $12.00 in all.", []),
    ("10 / 3 = 3.33", []),
    ("10 / 3 = 3.5", ["3.33333"]),
    ("2 / 3 ≈ 0.7", []),
    ("3 / 4 = 75%", []),
    ("20% * 50 = 10", []),
    ("1,200 + 300 = 1,500.", []),
    ("2 + 2 equals 5", ["4"]),
    ("5 + 3 = 8 + 2 = 10", []),
    ("3x - 1 = 4", []),
    ("2x + 5 = 20", []),
    ("x = 3 + 4 = 7", []),
    ("7 / 2 = 3 R1", []),
    ("2,430 – ($1,250 + $850) = $330", []),
    ("v1.2 + 3 = 9", []),
    ("a[1] + 2 = 9", []),
    ("5 x 9 =\n2. 9 x 5 =", []),
    ("4x3+3x2 is equal to 21", ["18"]),
    ("1/2+1/3=2/6", ["0.833333"]),
    ("1/2 + 1/3 = 2/5 = 0.4", ["0.833333"]),
    ("1/2 + 1/3 = 5/6 cups", []),
    ("2/3 × 3/4 = 6/12", []),
    ("1/3 = 33/100", []),
    ("A score of 5 + 3 = 8/10", []),
    ("On 3/4 - 5/4 = 2/4/2020", []),
]


@pytest.mark.parametrize(("text", "right"), STATEMENTS)
def test_only_calculations_that_do_not_hold_are_mistakes(text, right):
    """Rounding, chains, algebra and remainders are no mistakes."""
    assert [each.right for each in mistakes(text)] == right


def test_human_rationales_hardly_ever_miscalculate(data_dir):
    """Of some 1,300 calculations in GSM8K's rationales at most 1 % are called wrong."""
    lines = gzip.decompress((data_dir / "flan_cot/gsm8k_train.tsv.gz").read_bytes()).decode().splitlines()
    texts = [line.split("\t")[-1] for line in lines]
    found = sum(1 for text in texts for _ in statements(text))
    wrong = sum(1 for text in texts for _ in mistakes(text))

    assert found > 1_000
    assert wrong <= 0.01 * found


LABELLED = [
    ({"answer": "19"}, "12 + 7 = 19", None),
    ({"answer": 19}, "The answer is 19.", None),
    ({"answer": "19"}, "First 5, then 19. #### 19", None),
    ({"answer": "19"}, "The answer is 20.", "wrong_answer"),
    ({"answer": "19"}, "I do not know.", "no_final_answer"),
    ({"answer": "0.5"}, "It is \\boxed{1/2}.", None),
    ({"answer": "1,250"}, "So she pays $1250", None),
    ({"answer": "Paris"}, "paris.", None),
    ({"answer": "Paris"}, "The answer is Rome.", "wrong_answer"),
    ({"options": ["Rome", "Paris"]}, "B) Paris", None),
    ({"options": ["Rome", "Paris"]}, "Berlin", "not_an_option"),
    ({"options": ["Rome", "Paris"]}, "Either Rome or Paris", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "The answer is (B).", None),
    ({"options": ["Rome", "Paris"], "label": "B"}, "Paris", None),
    ({"options": ["Rome", "Paris"], "label": 1}, "A", "wrong_option"),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "Rome", "wrong_option"),
    ({"options": ["not sure", "sure"], "label": "not sure"}, "not sure", None),
    ({"options": ["positive", "negative"], "label": "negative"}, "Negative.", None),
    ({"answer": "0.5"}, "It is \\boxed{\\frac{1}{2}}.", None),
    ({"answer": "-3/4"}, "It is \\boxed{-\\dfrac{3}{4}}.", None),
    ({"answer": "1000"}, "It is \\boxed{1{,}000}.", None),
    ({"answer": "1000"}, "The answer is 1e3.", None),
    ({"answer": "3.5"}, "The answer is 3 1/2.", None),
    ({"answer": "3 1/2"}, "The answer is 15.5.", "wrong_answer"),
    ({"answer": "2"}, "The answer is 2\\pi", "no_final_answer"),
    ({"answer": "50"}, "The answer is 50%.", None),
    ({"answer": "0.5"}, "The answer is 50%.", None),
    ({"answer": "50"}, "The answer is 0.5%.", "wrong_answer"),
    ({"answer": "1e999999999"}, "The answer is 7.", "wrong_answer"),
    ({"options": ["True", "False"], "label": True}, "True", None),
    ({"options": ["True", "False"], "label": True}, "False", "wrong_option"),
    ({"options": ["Rome", "Paris"], "label": "Rome"}, "A dog barks.", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "Rome"}, "A is right.", None),
    ({"options": ["Rome", "Paris"], "label": "Rome"}, "A or B", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "London"}, "A", "unreadable_label"),
    ({"options": ["Rome", "Paris"], "label": 7}, "A", "unreadable_label"),
    ({"options": ["thumbs down", "thumbs up"], "label": "positive", "is_classification": True}, "thumbs up", None),
    ({"options": ["thumbs down", "thumbs up"], "label": "positive", "is_classification": True}, "Yes", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "Definitely not Paris", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "It isn't Paris.", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "Neither Rome nor Paris.", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "Not Rome but Paris", None),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "I do not know Rome, but it is Paris", "not_an_option"),
    ({"options": ["Rome", "Paris"], "label": "Paris"}, "Not Paris. It is Paris that is not in Italy", None),
    ({"options": ["duplicate", "not duplicate"], "label": "not duplicate"}, "They are not duplicate.", None),
    ({"options": ["positive", "negative"], "label": "positive"}, "The review is not positive.", "not_an_option"),
    ({}, "anything", None),
]


@pytest.mark.parametrize(("labels", "output", "reason"), LABELLED)
def test_outputs_are_checked_against_the_labels(labels, output, reason):
    """Known answers and options decide; samples without labels are kept."""
    verdict = Answers().check(Sample.single("Which?", output=output, labels=labels))

    assert (verdict.reason if verdict else None) == reason


def test_other_arithmetic_and_code_are_left_alone():
    """1 + 1 = 10 is right in binary, and code is not a statement."""
    assert Answers().check(Sample.single("Add 1 and 1 in binary.", output="1 + 1 = 10")) is None
    assert Answers().check(Sample.single("Show it.", output="```\n1 + 1 = 10\n```")) is None
    assert Answers(recompute=False).check(Sample.single("Add.", output="1 + 1 = 3")) is None


ALGEBRA = [
    ("x^2 + 2x + 1", "(x+1)^2", None),
    ("\\frac{1}{2}", "0.5", None),
    ("\\sqrt{8}", "2\\sqrt{2}", None),
    ("x + 1", "x + 2", "wrong_answer"),
    ("9^{9999999}", "1", "wrong_answer"),
]


@pytest.mark.parametrize(("known", "given", "reason"), ALGEBRA)
def test_expressions_are_compared_algebraically(known, given, reason):
    """With math-verify, equal expressions are equal however they are written; towers of powers are not even tried."""
    pytest.importorskip("math_verify", reason="MATH-VERIFY ABSENT: extra `verify`")
    verdict = Answers(algebra=True).check(
        Sample.single("Simplify.", output=f"It is \\boxed{{{given}}}.", labels={"answer": known})
    )

    assert (verdict.reason if verdict else None) == reason


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_exception(text):
    """Parsers of answers survive anything."""
    assert all(wrong.right for wrong in mistakes(text))
    assert {type(evaluate(text)), type(number(text))} <= {Fraction, NoneType}
    assert isinstance(final_answer(text, numeric=True), str)
    assert chosen_option(text, ["Rome", "Paris"]) in (None, 0, 1)


def test_a_long_line_of_operators_costs_no_time():
    """The window before an equals sign bounds the work."""
    assert list(mistakes("1 + " * 50_000 + "1 = 2")) == []
    assert list(mistakes("(" * 50_000 + "1 = 2")) == []


class FakeSandbox:
    """Answers with a fixed outcome and remembers the program."""

    def __init__(self, **ran):
        self.ran, self.programs = ran, []

    def __call__(self, code):
        self.programs.append(code)
        return Ran(**self.ran)


CODE = Sample.single(
    "Write add.", output="```python\ndef add(a, b): return a + b\n```", labels={"tests": ["assert add(1, 2) == 3"]}
)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("error", "tests_failed"), ("time", "code_time"), ("memory", "code_memory"), ("processes", "code_processes"),
     ("output", "code_output"), ("network", "code_network"), ("files", "code_files"), ("ok", "tests_skipped")],
)  # fmt: skip
def test_each_outcome_of_the_sandbox_is_a_reason(outcome, reason):
    """Every way to end has its countable reason; ok without the closing line is not a pass."""
    tests = CodeTests().prepare(Tools(run_code=FakeSandbox(outcome=outcome, code=0)))

    assert tests.check(CODE).reason == reason
    assert reason in CodeTests.reasons


def test_code_tests_without_a_sandbox_is_a_setup_error():
    """Code is never run by accident."""
    with pytest.raises(RecipeError, match="sandbox"):
        CodeTests().prepare(Tools())


def test_code_is_found_in_fences_or_bare():
    """Python fences win over others, prose is no code."""
    assert code_of("Sure:\n```python\nx = 1\n```\n```sh\nls\n```") == "x = 1\n"
    assert code_of("def f(): pass") == "def f(): pass"
    assert code_of("It adds two numbers.") == ""
    assert code_of("1. So:\n   ```python\n   def f():\n       pass\n   ```") == "def f():\n    pass\n"
    assert code_of("```python\nx = 1\n```\nUse it:\n```python\n>>> x\n1\n```") == "x = 1\n"


@pytest.mark.parametrize("tests", [{"a": 1}, 5, ["assert True", 5]])
def test_labels_that_are_no_tests_are_told(tests):
    """An object or a number asserts nothing: passing it would prove nothing."""
    verdict = (
        CodeTests()
        .prepare(Tools(run_code=FakeSandbox(outcome="ok")))
        .check(CODE.model_copy(update={"labels": {"tests": tests}}))
    )

    assert verdict.reason == "unreadable_tests"


REAL = [
    ("def add(a, b): return a + b", None),
    ("def add(a, b): return a - b", "tests_failed"),
    ("import sys\ndef add(a, b): return 3\nsys.exit(0)", "tests_skipped"),
    ("def add(a, b):\n    while True: pass", "code_time"),
    ("It adds them.", "no_code"),
    ("def add(a, b): return a + b\nprint('x' * 9000)\nimport atexit\natexit.register(print, 'bye')", None),
]


@pytest.mark.skipif(not available(), reason="BUBBLEWRAP ABSENT: apt-get install bubblewrap")
@pytest.mark.parametrize(("output", "reason"), REAL)
def test_code_is_really_run_against_its_tests(output, reason):
    """Right code passes; wrong, endless or early-leaving code does not."""
    tests = CodeTests().prepare(Tools(run_code=Sandbox(limits=Limits(seconds=2))))
    verdict = tests.check(Sample.single("Write add.", output=output, labels={"tests": "assert add(1, 2) == 3"}))

    assert (verdict.reason if verdict else None) == reason


def test_labels_may_stand_in_a_column_of_an_ordinary_row():
    """A row of `clean` has no labels of its own: its column `labels` is read as such."""
    row = {"labels": {"constraints": [{"kind": "words", "max": 2}]}}
    sample = Sample.single("Speak.", output="one two three").model_copy(update={"extra": row})

    assert labels_of(sample) == row["labels"]
    assert Constraints().check(sample).reason == "unmet_words"
    assert labels_of(sample.model_copy(update={"extra": {"labels": "none"}})) == {}
