"""What the export finds in rows that trainers stumble over."""

import pytest

from instructgen.errors import ExportError
from instructgen.exporters.checks import Checks, estimated_tokens
from instructgen.exporters.folder import Options, export
from instructgen.formats.messages import Messages
from instructgen.formats.openai import OpenAI
from instructgen.records import Answer, Provenance, Sample, Turn
from tests.formats.holding import CALL

U, A, S = (Turn(role=role, content="x") for role in ("user", "assistant", "system"))

ANSWER = Turn(role="tool", content="x", tool_call_id="call_1")


def found(*turns, openai=False, **fields):
    """Return the checks that a sample does not pass, among enough good ones."""
    checks = Checks(openai=openai)
    for number in range(1, 11):
        checks.look(Sample(turns=(U, A)), number)
    checks.look(Sample(turns=turns, **fields), 11)
    return {finding.check: finding.first for finding in checks.findings()}


@pytest.mark.parametrize(
    ("turns", "checks"),
    [
        ((S, U, A), set()),
        ((U, A, U, A), set()),
        ((U, S, A), {"system_not_first"}),
        ((A,), {"starts_with_answer"}),
        ((U, U, A), {"not_alternating"}),
        ((U, A, U), {"last_not_assistant"}),
        ((U, Turn(role="assistant", content="  \n")), {"empty_turn"}),
        ((U, Turn(role="assistant", content="a<|im_end|>b")), {"special_token"}),
        ((U, Turn(role="assistant", tool_calls=(CALL,)), A), {"unanswered_call", "not_alternating"}),
        ((U, Turn(role="assistant", tool_calls=(CALL,)), ANSWER, A), set()),
    ],
)  # fmt: skip
def test_conversations(turns, checks):
    """Each rule by an example; the row's number is named."""
    assert found(*turns) == dict.fromkeys(checks, (11,))


def test_equal_answers():
    """A pair that prefers a text over itself teaches nothing."""
    assert set(found(U, A, answers=(Answer(turns=(A,)),))) == {"equal_answers"}


@pytest.mark.parametrize(
    ("turns", "check"),
    [
        ((U,), "openai_no_assistant"),
        ((U, A.model_copy(update={"weight": 0.0})), "openai_no_weight"),
        ((U.model_copy(update={"weight": 1.0}), A), "openai_weight"),
    ],
)
def test_openai_rules(turns, check):
    """Only where the format is OpenAI's."""
    assert check in found(*turns, openai=True)
    assert check not in found(*turns)


def test_openai_wants_ten_examples():
    """A shorter file is refused there; here it is said."""
    checks = Checks(openai=True)
    checks.look(Sample(turns=(U, A)), 1)

    assert [finding.check for finding in checks.findings()] == ["openai_too_few"]


def test_many_rows_are_counted_and_the_first_named():
    """Five numbers, the count of all."""
    checks = Checks()
    for number in range(1, 9):
        checks.look(Sample(turns=(A,)), number)

    assert str(checks.findings()[0]) == "8 rows: the assistant speaks first (rows 1, 2, 3, 4, 5, ...)"


def test_context_counts_tokens_as_told(tmp_path):
    """With a counter of ours: rows above the context are those whose tokens and marks exceed it."""
    samples = [Sample.single("w " * n, output="w") for n in (1, 10, 100)]
    options = Options(context=20, count_tokens=lambda text: len(text.split()), tokenizer="words")

    done = export(samples, [Messages()], tmp_path, options)

    assert [(finding.check, finding.rows, finding.first) for finding in done.findings] == [("over_context", 1, (3,))]
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (
        "counted by words, with 4 a turn for the template: 138 in all; 1 rows are longer than a context of 20." in card
    )


def test_findings_stand_in_card_and_manifest(tmp_path):
    """Nothing that was found is only on the screen."""
    export([Sample(turns=(U, U, A))], [OpenAI()], tmp_path)

    assert "1 rows: two turns of one speaker in a row (rows 1)." in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert '"not_alternating"' in (tmp_path / "manifest.json").read_text(encoding="utf-8")


def test_estimate():
    """A quarter of the bytes, rounded up."""
    assert [estimated_tokens(text) for text in ("", "a", "abcde", "你好")] == [0, 1, 2, 2]


def licensed(*licences):
    return [Sample.single(f"q{n}", output="a", provenance=Provenance(licence=name)) for n, name in enumerate(licences)]


def test_licences_are_rolled_up(tmp_path):
    """A non-commercial or share-alike sample in a freer dataset is found; the card counts licences."""
    samples = licensed("CC-BY-NC-4.0", "MIT", "cc-by-sa-4.0", "")

    done = export(samples, [Messages()], tmp_path, Options(licence="cc-by-4.0"))

    assert {finding.check: finding.first for finding in done.findings} == {"non_commercial": (1,), "share_alike": (3,)}
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| CC-BY-NC-4.0 | 1 |" in card
    assert "| not stated | 1 |" in card


@pytest.mark.parametrize("licence", ["cc-by-nc-4.0", "unknown"])
def test_a_commercial_export_refuses_what_forbids_it_and_names_it(tmp_path, licence):
    """A sample without a licence has the dataset's; one that is non-commercial or unknown stops the export."""
    samples = licensed("mit", "", licence)

    with pytest.raises(ExportError, match=samples[2].id):
        export(samples, [Messages()], tmp_path / "no", Options(licence="mit", commercial=True))
    assert not (tmp_path / "no" / "manifest.json").exists()
    done = export(samples[:2], [Messages()], tmp_path / "yes", Options(licence="mit", commercial=True))
    assert done.samples == 2
