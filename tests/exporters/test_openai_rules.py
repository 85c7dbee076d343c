"""Each of OpenAI's rules for fine-tuning files, by a line that breaks it, named by file and line."""

import json

import pytest

from instructgen.exporters.folder import Options, export
from instructgen.formats.openai import OpenAI
from instructgen.formats.preference import OpenAIPreference
from instructgen.records import Answer, Sample, Turn
from tests.formats.holding import CALL, TOOL


def user(content="Hi", **more):
    return Turn(role="user", content=content, **more)


def assistant(content="Ho", **more):
    return Turn(role="assistant", content=content, **more)


def pair(*turns, worse="No"):
    return Sample(turns=turns, answers=(Answer(turns=(assistant(worse),)),))


GOOD = [Sample(turns=(user(str(n)), assistant(weight=1.0))) for n in range(12)]
PAIRS = [pair(user(str(n)), assistant()) for n in range(12)]
NAMELESS = {"function": CALL["function"]}


@pytest.mark.parametrize(
    ("turns", "check"),
    [
        ((user(), user("And?")), "openai_no_assistant"),
        ((user(), assistant(), user("And?")), "openai_last"),
        ((user(), assistant(" ")), "openai_empty"),
        ((user(""), assistant()), "openai_empty"),
        ((user(), assistant("", tool_calls=(NAMELESS,))), "openai_call"),
        ((user(weight=1.0), assistant()), "openai_weight"),
        ((user(), assistant(weight=0.0)), "openai_no_weight"),
    ],
)
def test_a_chat_that_breaks_a_rule(tmp_path, turns, check):
    """The finding names the line of the written file, and only the one rule."""
    bad = Sample(turns=turns)

    done = export([*GOOD[:6], bad, *GOOD[6:]], [OpenAI()], tmp_path)

    (finding,) = [finding for finding in done.findings if finding.check.startswith("openai")]
    assert (finding.check, finding.first, finding.file) == (check, (7,), "jsonl/openai-train.jsonl")
    assert "(jsonl/openai-train.jsonl, line 7)" in (tmp_path / "README.md").read_text(encoding="utf-8")
    line = (tmp_path / finding.file).read_text(encoding="utf-8").splitlines()[6]
    assert len(json.loads(line)["messages"]) == len(turns)


@pytest.mark.parametrize(
    ("sample", "check"),
    [
        (pair(user(), assistant(), user("And?"), assistant()), "openai_single_turn"),
        (pair(user(), assistant(), worse="Ho"), "openai_equal_answers"),
        (pair(user(), assistant(), worse=" "), "openai_empty"),
    ],
)
def test_a_pair_that_breaks_a_rule(tmp_path, sample, check):
    """Preference files have rules of their own."""
    done = export([*PAIRS[:6], sample, *PAIRS[6:]], [OpenAIPreference()], tmp_path)

    (finding,) = [finding for finding in done.findings if finding.check.startswith("openai")]
    assert (finding.check, finding.first, finding.file) == (check, (7,), "jsonl/openai_preference-train.jsonl")


def test_each_file_needs_ten_examples(tmp_path):
    """A test split of two is named, the train split is not."""
    done = export(GOOD, [OpenAI()], tmp_path, Options(splits={"test": 0.2}))

    (finding,) = done.findings
    assert (finding.check, finding.file) == ("openai_too_few", "jsonl/openai-test.jsonl")
    assert finding.rows == done.rows["openai"]["test"] < 10 <= done.rows["openai"]["train"]


def test_lines_that_keep_the_rules(tmp_path):
    """Good lines give no finding; each is one JSON object with the known roles and no other keys; tokens are told."""
    tooled = Sample(
        turns=(
            Turn(role="system", content="Be brief.", extra={"role": "developer", "refusal": "x"}),
            user(name="ann", extra={"mood": "good"}),
            assistant("", tool_calls=(CALL,), weight=0.0),
            Turn(role="tool", content="sunny", tool_call_id="call_1"),
            assistant("Sunny.", weight=1.0),
        ),
        tools=(TOOL,),
        extra={"parallel_tool_calls": False, "votes": 3},
    )

    done = export([*GOOD, tooled], [OpenAI()], tmp_path)

    assert done.findings == ()
    rows = [json.loads(line) for line in (tmp_path / "jsonl/openai-train.jsonl").open(encoding="utf-8")]
    assert {key for row in rows for key in row} == {"messages", "tools", "parallel_tool_calls"}
    messages = [message for row in rows for message in row["messages"]]
    assert {key for message in messages for key in message} <= {
        "role", "content", "name", "tool_calls", "tool_call_id", "weight",
    }  # fmt: skip
    assert {message["role"] for message in messages} == {"developer", "user", "assistant", "tool"}
    assert "Tokens, counted by an estimate" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_weights_are_0_or_1(tmp_path):
    """Another weight has no place in these files: a named reason, the others stay."""
    done = export([*GOOD, Sample(turns=(user(), assistant(weight=0.5)))], [OpenAI()], tmp_path)

    assert done.left_out == {"openai": {"weight": 1}}
