"""Existing instruction data: trees, cleaning, splitting; nothing is lost silently."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.convert.chats import Chats, prepare
from instructgen.convert.cleaning import Cleaner, Cleaning, clean_text
from instructgen.convert.splitting import PER_TURN, split
from instructgen.convert.trees import Paths, conversations, label_value
from instructgen.formats.oasst import OasstTree
from instructgen.records import Provenance, Rejection, Sample, Turn


def chat(*texts, system="", source_id=""):
    opening = (Turn(role="system", content=system),) if system else ()
    turns = tuple(Turn(role=("user", "assistant")[at % 2], content=text) for at, text in enumerate(texts))
    return Sample(turns=opening + turns, provenance=Provenance(source_id=source_id))


def length(text):
    return int(text) - PER_TURN if text.isdigit() else len(text)


def contents(sample):
    return [turn.content for turn in sample.turns]


def test_the_last_exchange_of_a_long_chat_is_kept():
    """The case that the released splitter loses: 400, 400, 400, 400, 900, 900 at 2048 tokens."""
    made = list(split(chat("400", "400", "400", "400", "900", "900", source_id="x"), 2048, length))

    assert [contents(one) for one in made] == [["400"] * 4, ["900", "900"]]
    assert [one.provenance.source_id for one in made] == ["x_0", "x_4"]


def test_an_exchange_too_long_is_a_rejection_and_the_rest_goes_on():
    """One exchange over the limit neither empties a chunk nor makes one too long."""
    made = list(split(chat("100", "100", "3000", "100", "200", "200"), 1000, length))

    assert [type(one) for one in made] == [Sample, Rejection, Sample]
    assert made[1].reason == "exchange_too_long"
    assert made[1].evidence["tokens"] == 3100
    assert made[1].text == "3000\n\n100"
    assert contents(made[2]) == ["200", "200"]


@given(
    st.lists(st.integers(10, 900), min_size=2, max_size=20).map(lambda n: n[: len(n) // 2 * 2]),
    st.integers(50, 2000),
    st.booleans(),
)
def test_turns_in_are_turns_out(lengths, limit, system):
    """For any chat and limit: every turn is in one chunk or one rejection, in order, and no chunk is over the limit."""
    made = list(split(chat(*map(str, lengths), system="20" if system else ""), limit, length))
    out = []
    for one in made:
        if isinstance(one, Rejection):
            out += one.text.split("\n\n")
            continue
        spoken = [turn.content for turn in one.turns if turn.role != "system"]
        assert len(spoken) % 2 == 0
        assert sum(map(int, spoken)) + 20 * system <= limit
        out += spoken

    assert out == list(map(str, lengths))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("<div class='x'><p>Say <b>hello</b></p></div>", "Say **hello**"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("a < b and c > d", "a < b and c > d"),
        ("Use `<b>` freely:\n```html\n<b>x</b>\n```", "Use `<b>` freely:\n```html\n<b>x</b>\n```"),
        ("Here:\npythonCopy code\nprint(1)\n", "Here:\n```python\nprint(1)\n```"),
        ("1 / 2\nFirst answer", "First answer"),
        ("Copy120 chars / 20 words\nText", "Text"),
        ("Text\nRegenerate response", "Text"),
        ("one\n\n\n\ntwo", "one\n\ntwo"),
        ("Numbers 3 / 4 within a line stay", "Numbers 3 / 4 within a line stay"),
        ("<|im_start|>system", "<i|m_start>system"),
        ("</s>", "</s|>"),
        ("Put <div> around both, then <b>bold</b>.", "Put <div> around both, then <b>bold</b>."),
        ("```\na\n\n\n\nb\n```\n\n\nEnd", "```\na\n\n\n\nb\n```\n\nEnd"),
        (
            (
                '<div class="markdown"><p>Sure:</p><pre><div><div><span>python</span><button>Copy code</button></div>'
                "<code><span>def</span> f(x):\n    return x &lt; 3</code></div></pre></div>"
            ),
            "Sure:\n```python\ndef f(x):\n    return x < 3\n```",
        ),
    ],
)
def test_clean_text(text, clean):
    """Markup becomes Markdown, interface leftovers go, a paragraph break stays one, code is left alone."""
    assert clean_text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "How do I use <div> and <p> tags in my page?",
        "I wrote List<String> x; a<b && c>d, and it says <b>no</b>",
        "What is wrong with <ul><li>a</li></ul> here?",
        'Why does <div class="x">hi</div> not show?',
    ],
)
def test_what_a_person_typed_about_tags_stays(text):
    """Only a whole page is markup there; prose and pasted HTML are what the question is about."""
    assert clean_text(text, typed=True) == text
    assert clean_text(f"<p>{text.partition('<')[0]}</p>", typed=True) == text.partition("<")[0].strip()


def cleaned(sample, **options):
    return Cleaner(Cleaning(**options)).clean(sample)


def test_turns_before_the_user_and_after_the_assistant_are_cut():
    """A chat runs from a question to an answer; what was cut is noted."""
    turns = [("assistant", "Welcome"), ("user", "How are you today?"), ("assistant", "Fine, thanks."), ("user", "Bye")]
    made = cleaned(Sample(turns=tuple(Turn(role=role, content=text) for role, text in turns)))

    assert contents(made) == ["How are you today?", "Fine, thanks."]
    assert made.provenance.notes["cut"] == ["leading", "trailing"]


def test_the_part_before_an_empty_answer_is_kept():
    """A broken answer ends the chat, it does not spoil it."""
    made = cleaned(chat("A first question?", "An answer.", "A second question?", "  \n "))

    assert contents(made) == ["A first question?", "An answer."]
    assert made.id == made.content_id()


TWICE = Sample(turns=tuple(Turn(role=role, content="some words") for role in ("user", "user", "assistant")))


@pytest.mark.parametrize(
    ("sample", "options", "reason"),
    [
        (chat("Hi", "Yo"), {}, "too_short"),
        (chat("Only a question without answer"), {}, "nothing_left"),
        (TWICE, {}, "roles_do_not_alternate"),
        (chat("Who are you, tell me?", "I am ChatGPT, a model trained by OpenAI."), {}, "says_its_name"),
        (chat("Write me a poem on tin", "I'm sorry, but I cannot help with that request."), {}, "refusal"),
        (chat("Write me a poem on tin", "Too many requests in 1 hour. Try again later."), {}, "error_reply"),
        (chat("What is in the shops?", "Used ShopBot plugin\nHere are shoes."), {}, "plugin_chat"),
        (chat("Say a number please", "It is 111111111 or so."), {"same_digits": True}, "same_digits"),
        (chat("List two things for me", "1. one\n1. two"), {"numbering": True}, "wrong_numbering"),
    ],
)  # fmt: skip
def test_what_is_refused(sample, options, reason):
    """Each refusal has its own reason and its evidence."""
    made = cleaned(sample, **options)

    assert isinstance(made, Rejection)
    assert made.reason == reason


@pytest.mark.parametrize(
    "sample",
    [
        chat("What does OpenAI sell?", "Access to models, for example."),
        chat("List two lists for me", "1. one thing\n\nAnd then:\n\n1. another"),
        chat("Say a number please", "It is 111111111 or so."),
    ],
)
def test_what_the_released_rules_lose_is_kept(sample):
    """A question about a product, two lists of one item, equal digits: no reason to drop a chat."""
    assert isinstance(cleaned(sample), Sample)


def test_repeats_are_found_by_id_and_by_first_exchange():
    """The same opening twice is one chat scraped twice."""
    cleaner = Cleaner()
    first = chat("What is a fjord, please?", "An inlet.", source_id="a")

    assert isinstance(cleaner.clean(first), Sample)
    assert (
        cleaner.clean(chat("What is a fjord, please?", "An inlet.", "More?", "No.", source_id="b")).reason
        == "repeated_opening"
    )
    assert cleaner.clean(chat("Another question, please?", "Yes.", source_id="a")).reason == "repeated_id"


GOOD, BAD = ({"quality": {"value": value, "count": 3}} for value in (0.9, 0.3))
TREE = {
    "message_tree_id": "t", "tree_state": "ready_for_export",
    "prompt": {"message_id": "p", "role": "prompter", "text": "Q", "lang": "en", "replies": [
        {"message_id": "a1", "role": "assistant", "text": "best", "rank": 0, "labels": GOOD,
         "replies": [
            {"message_id": "u1", "role": "prompter", "text": "more?", "replies": [
                {"message_id": "a3", "role": "assistant", "text": "deeper", "rank": None, "replies": []}]},
            {"message_id": "u2", "role": "prompter", "text": "unanswered", "replies": []},
            {"message_id": "u3", "role": "prompter", "text": "also unanswered", "replies": []}]},
        {"message_id": "a2", "role": "assistant", "text": "worse", "rank": 1, "labels": BAD,
         "replies": [{"message_id": "u4", "role": "prompter", "text": "why?", "replies": []}]}]},
}  # fmt: skip


def paths(**options):
    made = list(conversations(OasstTree().read(TREE), Paths(**options)))
    kept = [contents(one) for one in made if isinstance(one, Sample)]
    return kept, [one.reason for one in made if isinstance(one, Rejection)]


def test_an_unanswered_question_does_not_lose_its_path():
    """Branches that end in a user's turn give the conversation before it, once."""
    kept, rejected = paths()

    assert sorted(kept) == [["Q", "best"], ["Q", "best", "more?", "deeper"], ["Q", "worse"]]
    assert rejected == []


def test_a_cut_question_is_noted_and_counted(tmp_path):
    """What a sample lacks of its source row is said, in the sample, the summary and on the screen."""
    path = tmp_path / "chats.jsonl"
    path.write_text('{"id": "0", "data": ["q1", "a1", "q2"]}\n{"id": "1", "data": ["q3", "a3"]}\n')
    done = CliRunner().invoke(app, ["convert", str(path), "--from", "ultrachat", "--into", str(tmp_path / "out")])
    rows = [json.loads(line) for line in (tmp_path / "out/samples.jsonl").open()]

    assert "of 1 samples the last question" in done.output
    assert [row["provenance"].get("notes") for row in rows] == [{"unanswered": 1}, None]
    assert json.loads((tmp_path / "out/summary.json").read_bytes())["unanswered"] == 1


def test_every_answer_can_end_a_conversation():
    """With `all`, inner answers are samples too."""
    assert sorted(paths(ends="all")[0]) == [["Q", "best"], ["Q", "best", "more?", "deeper"], ["Q", "worse"]]


def test_rank_and_labels_filter_paths():
    """Only the best answers, only those rated well enough; what is refused is told."""
    assert paths(best=1) == ([["Q", "best", "more?", "deeper"], ["Q", "best"]], ["rank"])
    assert paths(labels={"quality": 0.5})[1] == ["label"]
    assert paths(languages=("de",))[1] == ["other_language"] * 3


def test_labels_are_read_in_both_published_forms():
    """Trees carry {name: {value}}, the flat files {name: [...], value: [...]}."""
    assert label_value({"quality": {"value": 0.75, "count": 3}}, "quality") == 0.75
    assert label_value({"name": ["spam", "quality"], "value": [0.0, 0.5]}, "quality") == 0.5
    assert label_value(None, "quality") is None


def test_the_order_is_paths_then_cleaning_then_splitting():
    """Rejections from earlier pass through untouched."""
    before = Rejection(stage="parse", reason="unreadable_row")
    long = chat("A question of some length?", "<p>An answer</p>", "And another question?", "Second answer.")
    made = list(prepare([before, long], Chats(clean=Cleaning(), limit=40)))

    assert made[0] is before
    assert [contents(one) for one in made[1:]] == [
        ["A question of some length?", "An answer"],
        ["And another question?", "Second answer."],
    ]


def test_fastchats_conversations_are_converted(data_dir, tmp_path):
    """The 500 conversations: each is kept or told why not."""
    path = data_dir / "fastchat" / "dummy_conversation.json"
    done = CliRunner().invoke(app, ["convert", str(path), "--from", "sharegpt", "--clean", "--max-tokens", "64",
                                    "--into", str(tmp_path / "out"), "--json"])  # fmt: skip
    assert done.exit_code == 0, done.output
    counts = json.loads(next(line for line in done.output.splitlines() if line.startswith("{")))

    assert counts["parsed"] == counts["accepted"] + sum(counts["rejected"].values())
    assert counts["parsed"] >= 500
    assert set(counts["rejected"]) == {"repeated_opening", "says_its_name"}


def test_a_tokenizer_of_the_users_own_counts(tmp_path):
    """`--tokenizer tokenizer.json` decides where chats are split; a file that is none is told."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    path = tmp_path / "chat.json"
    turns = [{"from": who, "value": "word " * 10} for _ in range(4) for who in ("human", "gpt")]
    path.write_text(json.dumps([{"id": "x", "conversations": turns}]))
    arguments = ["convert", str(path), "--from", "sharegpt", "--max-tokens", "64", "--into"]
    exact = [*arguments, str(tmp_path / "exact"), "--tokenizer"]
    done = CliRunner().invoke(app, [*exact, str(tmp_path / "tokenizer.json")])
    assert done.exit_code == 0, done.output

    made = [json.loads(line) for line in (tmp_path / "exact" / "samples.jsonl").read_text().splitlines()]
    assert [len(one["turns"]) for one in made] == [4, 4]  # 2 * (10 + 6) tokens an exchange
    assert CliRunner().invoke(app, [*arguments, str(tmp_path / "estimated")]).exit_code == 0
    made = (tmp_path / "estimated" / "samples.jsonl").read_text().splitlines()
    assert len(made) == 4  # 50 bytes count as 13

    wrong = CliRunner().invoke(app, [*exact, str(path), "--overwrite"])
    assert wrong.exit_code == 1
    assert "not a readable tokenizer.json" in wrong.output
