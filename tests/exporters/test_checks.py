"""What the export finds in rows that trainers stumble over."""

import pytest

from instructgen.errors import ExportError
from instructgen.exporters.checks import Checks, estimated_tokens
from instructgen.exporters.folder import Options, export, read_manifest
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.light import read_light
from instructgen.formats.messages import Messages
from instructgen.formats.openai import OpenAI
from instructgen.records import Answer, Provenance, Sample, Turn
from tests.formats.holding import CALL

U, A, S = (Turn(role=role, content="x") for role in ("user", "assistant", "system"))

ANSWER = Turn(role="tool", content="x", tool_call_id="call_1")


def found(*turns, **fields):
    """Return the checks that a sample does not pass, among good ones."""
    checks = Checks()
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


def test_an_answer_equal_but_for_its_names_is_equal(tmp_path):
    """What trains is the text: a score or a speaker beside it makes no difference."""
    marked = A.model_copy(update={"extra": {"score": 0.5}, "name": "ann"})

    assert set(found(U, marked, answers=(Answer(turns=(A,)),))) == {"equal_answers"}


def test_the_longest_answer_and_the_tools_count_as_tokens():
    """A pair is cut where its rejected answer is too long, and tools are part of the prompt."""
    checks = Checks(lambda text: len(text), context=100)
    other = Answer(turns=(Turn(role="assistant", content="y" * 120),))
    checks.look(Sample(turns=(U, A)), 1)
    checks.look(Sample(turns=(U, A), answers=(other,)), 2)
    checks.look(Sample(turns=(U, A), tools=({"name": "z" * 120},)), 3)
    checks.look(Sample(turns=(U, Turn(role="assistant", tool_calls=({"name": "z" * 120},)))), 4)

    (finding,) = [finding for finding in checks.findings() if finding.check == "over_context"]
    assert finding.first == (2, 3, 4)


def test_many_rows_are_counted_and_the_first_named():
    """Five numbers, the count of all."""
    checks = Checks()
    for number in range(1, 9):
        checks.look(Sample(turns=(A,)), number)

    assert str(checks.findings()[0]) == "8 rows: the assistant speaks first (samples 1, 2, 3, 4, 5, ... of the input)"


def test_context_counts_tokens_as_told(tmp_path):
    """With a counter of ours: rows above the context are those whose tokens and marks exceed it."""
    samples = [Sample.single("w " * n, output="w") for n in (1, 10, 100)]
    options = Options(context=20, count_tokens=lambda text: len(text.split()), tokenizer="words")

    done = export(samples, [Messages()], tmp_path, options)

    assert [(finding.check, finding.rows, finding.first) for finding in done.findings] == [("over_context", 1, (3,))]
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "counted by words, with 4 a turn for the template: 138 in all; rows longer than a context of 20: 1." in card


def test_findings_stand_in_card_and_manifest(tmp_path):
    """Nothing that was found is only on the screen."""
    export([Sample(turns=(U, U, A))], [OpenAI()], tmp_path)

    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "- 1 row: two turns of one speaker in a row (sample 1 of the input)." in card
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


@pytest.mark.parametrize("rows", [10, 60], ids=["samples", "chats"])
def test_a_column_with_the_licence_is_the_licence(tmp_path, rows):
    """What `license` says in rows of other people's data counts as what the provenance says."""
    names = ["CC BY-NC 4.0", "mit", "gpl-3.0", "x" * 200]
    data = [
        {"instruction": f"q{n}", "output": "a", "license": names[n % 4]}
        if n % 5
        else {"instruction": "q", "output": "a"}
        for n in range(1, rows + 1)
    ]

    done = export(read_light(enumerate(data, 1), Alpaca()), [Messages()], tmp_path, Options(licence="mit"))

    said = [row.get("license") for row in data]
    assert {finding.check: finding.rows for finding in done.findings} == {
        "non_commercial": said.count(names[0]),
        "share_alike": said.count("gpl-3.0"),
    }
    counted = read_manifest(tmp_path)["statistics"]["licences"]
    assert counted == {(name or "not stated")[:80]: said.count(name) for name in {*said}}


def test_a_commercial_export_takes_the_licence_of_a_column(tmp_path):
    data = [{"instruction": f"q{n}", "output": "a", "license": "mit"} for n in range(40)]

    done = export(read_light(enumerate(data, 1), Alpaca()), [Messages()], tmp_path, Options(commercial=True))

    assert done.samples == 40


@pytest.mark.parametrize("licence", ["cc-by-nc-4.0", "unknown"])
def test_a_commercial_export_refuses_what_forbids_it_and_names_it(tmp_path, licence):
    """A sample without a licence has the dataset's; one that is non-commercial or unknown stops the export."""
    samples = licensed("mit", "", licence)

    with pytest.raises(ExportError, match=samples[2].id):
        export(samples, [Messages()], tmp_path / "no", Options(licence="mit", commercial=True))
    assert not (tmp_path / "no" / "manifest.json").exists()
    done = export(samples[:2], [Messages()], tmp_path / "yes", Options(licence="mit", commercial=True))
    assert done.samples == 2
