"""What each reader takes, by example; what each writer refuses, by reason."""

import pytest

from instructgen.errors import ExportError
from instructgen.formats import Unreadable, Unwritable
from instructgen.formats.detect import read
from instructgen.formats.text import Text
from instructgen.records import Answer, Media, Sample, Step, Turn
from tests.formats.holding import CALL, FORMATS, TOOL

HI = Sample.single("Hi", output="Ho")
CHAT = Sample(turns=(*HI.turns, *HI.turns))


def with_(sample, **fields):
    return Sample(turns=fields.pop("turns", sample.turns), **fields)


def only(name, row):
    (sample,) = FORMATS[name].read(row)
    return sample


def test_a_prm800k_row_is_reconstructed_exactly():
    """Alternatives, the place of the chosen one, a human's step, an end without a choice."""
    row = {
        "question": {"problem": "1 + 1?", "ground_truth_answer": "2"},
        "label": {
            "steps": [
                {
                    "completions": [
                        {"text": "Guess 3.", "rating": -1, "flagged": False},
                        {"text": "Count.", "rating": 1, "flagged": False},
                    ],
                    "human_completion": None,
                    "chosen_completion": 1,
                },
                {
                    "completions": [{"text": "Hm.", "rating": 0}],
                    "human_completion": {"text": "One, two.", "rating": None, "source": "human"},
                    "chosen_completion": None,
                },
                {
                    "completions": [{"text": "So 4.", "rating": -1}, {"text": "So 2.", "rating": 0}],
                    "human_completion": None,
                    "chosen_completion": None,
                },
            ],
            "finish_reason": "solution",
        },
    }

    sample = only("process", row)

    assert sample.output == "Count.\nOne, two.\nSo 2."
    assert [step.rating for step in sample.steps] == [1, None, 0]
    written = FORMATS["process"].write(sample)
    written["label"]["steps"][1]["human_completion"].setdefault("rating", None)
    assert written == row


def test_nectar_and_nemo_ranks():
    """Both ways of numbering: 1 or 0 is the best; Human and Assistant marks are cut."""
    answers = [{"answer": "b", "model": "m2", "rank": 2.0}, {"answer": "a", "model": "m1", "rank": 1.0}]
    nectar = only("ranked", {"prompt": "\n\nHuman: Hi?\n\nAssistant: ", "answers": answers})
    nemo = only(
        "ranked",
        {
            "context": [{"role": "user", "content": "Hi?"}],
            "completions": [
                {"rank": 0, "completion": [{"role": "assistant", "content": "a"}]},
                {"rank": 1, "completion": [{"role": "assistant", "content": "b"}]},
            ],
        },
    )

    for sample in (nectar, nemo):
        assert [turn.content for turn in sample.turns] == ["Hi?", "a"]
        assert [(answer.text, answer.rank) for answer in sample.answers] == [("b", 2)]
    assert nectar.answers[0].source == "m2"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"user_input": "q", "completion_a": "a", "completion_b": "b"},
        {"real": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
         "generated": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]},
        {"prompt": "q", "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
         "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]},
    ],
)  # fmt: skip
def test_spellings_of_a_pair(row):
    """TRL's, GPT-4-LLM's, SPIN's, and full chats with the prompt repeated."""
    sample = only("preference", row)

    assert ([turn.content for turn in sample.turns], sample.answers[0].text) == (["q", "a"], "b")


TREE = {
    "message_tree_id": "t1",
    "tree_state": "ready_for_export",
    "prompt": {
        "message_id": "t1", "role": "prompter", "text": "Hi", "lang": "en",
        "replies": [
            {"message_id": "m2", "role": "assistant", "text": "Ho", "rank": 0, "replies": [
                {"message_id": "m4", "role": "prompter", "text": "And?", "replies": []}]},
            {"message_id": "m3", "role": "assistant", "text": "Hey", "rank": 1, "replies": []},
        ],
    },
}  # fmt: skip


def test_a_tree_is_read_as_its_paths_and_made_of_them_again():
    """Two leaves, two samples; the tree is the same afterwards."""
    samples = FORMATS["oasst_tree"].read(TREE)

    assert [[turn.content for turn in s.turns] for s in samples] == [["Hi", "Ho", "And?"], ["Hi", "Hey"]]
    assert FORMATS["oasst_tree"].write_all(samples) == [TREE]


def test_flat_messages_are_gathered_into_trees():
    """Rows of a tree that stand side by side are one; an orphan is a counted rejection."""
    shape = FORMATS["oasst"]
    rows = shape.write_all(FORMATS["oasst_tree"].read(TREE))
    orphan = {"message_id": "x", "parent_id": "gone", "role": "assistant", "text": "?", "message_tree_id": "t2"}

    *samples, bad = read(enumerate([*rows, orphan], 1), shape)

    assert [row["message_id"] for row in rows] == ["t1", "m2", "m4", "m3"]
    assert FORMATS["oasst_tree"].write_all(samples) == [TREE]
    assert (bad.reason, bad.evidence["row"]) == ("no_parent", 5)


def test_a_super_ni_task_keeps_everything():
    """Definition, examples, several outputs and unknown keys survive."""
    row = {
        "Contributors": ["A"],
        "Definition": ["Say whether", "it is so."],
        "Positive Examples": [{"input": "x", "output": "yes", "explanation": "it is"}],
        "Negative Examples": [],
        "Instances": [
            {"id": "i1", "input": "a", "output": ["yes", "yep"]},
            {"id": "i2", "input": "b", "output": ["no"]},
        ],
        "Instance License": ["MIT"],
    }
    samples = FORMATS["super_ni"].read(row)

    assert [(s.instruction, s.input, s.output) for s in samples] == [
        ("Say whether\nit is so.", "a", "yes"),
        ("Say whether\nit is so.", "b", "no"),
    ]
    assert FORMATS["super_ni"].write_all(samples) == [row]


def test_image_marks_keep_their_place():
    """The mark at the head is implied; one elsewhere stays; a text without image stays away."""
    head = {"id": "1", "image": "a.jpg", "conversations": [
        {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]}  # fmt: skip
    tail = {**head, "conversations": [{"from": "human", "value": "What?\n<image>"}, head["conversations"][1]]}

    assert only("llava", head).instruction == "What?"
    for row in (head, tail):
        assert FORMATS["llava"].write(only("llava", row)) == row


def test_llava_rows_of_text_alone():
    """Files of LLaVA hold them among the others: read, and written without an image."""
    row = {"id": "1", "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]}

    (sample,) = FORMATS["llava"].read({**row, "image": None})
    assert sample.media == ()
    assert FORMATS["llava"].write(sample) == row == FORMATS["llava"].flat(row)


@pytest.mark.parametrize(
    "value", ["<image>\nWhat?", "<image>What?", "What?\n<image>", "What of <image> is red?", "What?"]
)
@pytest.mark.parametrize(("shape", "column"), [("messages", "images"), ("sharegpt", "images"), ("sharegpt", "image")])
def test_chats_with_one_image_are_llava_rows(shape, column, value):
    """LLaMA-Factory's rows of text with marks and a column `images`, wherever the mark stands, go into LLaVA's."""
    said = {
        "messages": [{"role": "user", "content": value}, {"role": "assistant", "content": "A cat."}],
        "sharegpt": [{"from": "human", "value": value}, {"from": "gpt", "value": "A cat."}],
    }
    (sample,) = FORMATS[shape].read({"messages" if shape == "messages" else "conversations": said[shape],
                                     column: ["a.png"], "id": "1"})  # fmt: skip
    row = FORMATS["llava"].write(sample)

    assert row["image"] == "a.png"
    assert row["conversations"][0]["value"] == (value if "<image>" in value else f"<image>\n{value}")
    (back,) = FORMATS["llava"].read(row)
    assert back.id == sample.id


def test_openai_rows_keep_tools_and_weights():
    """Nothing is added to a message that it did not have."""
    row = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Weather?", "name": "ann"},
            {"role": "assistant", "tool_calls": [CALL], "weight": 0},
            {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
            {"role": "assistant", "content": "Sunny.", "weight": 1},
        ],
        "tools": [TOOL],
        "parallel_tool_calls": False,
    }

    assert FORMATS["openai"].write(only("openai", row)) == row


def test_a_chat_template_renders_like_a_tokenizer():
    """Roles, special tokens and generation marks; the wrapper's headings are not needed."""
    template = (
        "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{{ '\\n' }}{% endfor %}"
    )

    row = Text(template=template, special={"bos_token": "<s>"}).write(CHAT)

    assert row == {"text": "<s><|user|>Hi\n<|assistant|>Ho\n<|user|>Hi\n<|assistant|>Ho\n"}


def test_a_chat_template_gets_calls_as_tokenizers_do():
    """Arguments are an object for `tojson`, not a text within a text; names and ids of calls are there."""
    broken = {"id": "c2", "function": {"name": "f", "arguments": "{"}}
    asked = Turn(role="assistant", tool_calls=(CALL, broken, {"name": "odd"}))
    said = Turn(role="tool", content="sunny", tool_call_id="call_1", name="weather")
    template = (
        "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson if c.function }};"
        "{% endfor %}{{ m.tool_call_id }} {{ m.name }}|{% endfor %}"
    )

    row = Text(template=template).write(with_(HI, turns=(HI.turns[0], asked, said)))

    assert row["text"] == " |" + CALL["function"]["arguments"] + ';"{";; |call_1 weather|'


@pytest.mark.parametrize("template", ["{{ range(10 ** 9) | list }}", "{{ 1 // 0 }}", "{{ [][1:0][5].x }}"])
def test_a_template_that_fails_is_a_reason(template):
    """No traceback, whatever it computes."""
    with pytest.raises(Unwritable, match="the chat template refuses it"):
        Text(template=template).write(HI)


def test_a_template_that_refuses_is_a_reason():
    """`raise_exception` speaks to the user; a template cannot reach Python."""
    with pytest.raises(Unwritable, match="roles must alternate"):
        Text(template="{{ raise_exception('roles must alternate') }}").write(HI)
    with pytest.raises(Unwritable, match="unsafe"):
        Text(template="{{ ''.__class__.__mro__[1].__subclasses__() }}").write(HI)


def test_a_broken_template_names_its_line():
    """A syntax error is the set-up's, not the sample's."""
    with pytest.raises(ExportError, match="chat template, line 2"):
        Text(template="a\n{% for %}").write(HI)


@pytest.mark.parametrize("wrapper", ["alpaca", "dolly"])
@pytest.mark.parametrize("given", ["", "3, 1, 2"])
def test_wrapped_texts_come_apart_again(wrapper, given):
    """With and without an input, in both wrappers."""
    sample = Sample.single("Sort.", input=given, output="1, 2, 3")

    row = Text(wrapper=wrapper).write(sample)

    assert Text().read(row) == [sample]
    assert ("### End" in row["text"]) == (wrapper == "dolly")


@pytest.mark.parametrize(
    ("name", "sample", "reason"),
    [
        ("messages", with_(HI, tools=(TOOL,)), "tools"),
        ("messages", with_(HI, media=(Media(path="a.png"),)), "media"),
        ("sharegpt", with_(HI, turns=(*HI.turns, Turn(role="tool", content="x"))), "tools"),
        ("dolly", CHAT, "dialogue"),
        ("prompt_completion", CHAT, "dialogue"),
        ("prompt_completion_chat", with_(HI, turns=HI.turns[:1]), "open"),
        ("unpaired", HI, "no_label"),
        ("preference", HI, "no_other_answer"),
        ("preference", with_(HI, answers=(Answer(turns=HI.turns[1:]), Answer(turns=CHAT.turns[1:2]))), "answers"),
        ("preference_text", with_(CHAT, answers=(Answer(turns=HI.turns[1:]),)), "dialogue"),
        ("preference", with_(HI, answers=(Answer(turns=HI.turns),)), "answer_shape"),
        ("ranked", with_(HI, answers=(Answer(turns=HI.turns[1:]),)), "unranked"),
        ("process", HI, "no_steps"),
        ("process", with_(HI, steps=(Step(text="Other", rating=1),)), "other_answer"),
        ("stepwise", with_(HI, steps=(Step(text="Ho", rating=0),)), "rating"),
        ("stepwise", with_(HI, steps=(Step(text="Ho", rating=1, alternatives=(Step(text="x"),)),)), "alternatives"),
        ("process", with_(HI, steps=(Step(text="Ho", rating=1, extra={"who": "me"}),)), "step_keys"),
        ("llava", Sample.single("<image> of what?", output="Ho"), "image_marks"),
        ("llava", with_(HI, media=(Media(path="a"), Media(path="b"))), "image_marks"),
        ("llava", with_(HI, media=(Media(path="a", kind="audio"),)), "media"),
        ("text", Sample.single("Hi", output="### Response: no"), "marks"),
        ("openai", with_(HI, turns=(HI.turns[0], Turn(role="assistant", weight=0.5))), "weight"),
        ("openai", with_(HI, turns=(HI.turns[0], Turn(role="assistant", tool_calls=({"name": "f"},)))), "tool_call"),
        ("super_ni", CHAT, "dialogue"),
        ("self_instruct", CHAT, "dialogue"),
    ],
)  # fmt: skip
def test_what_a_shape_cannot_hold_has_a_reason(name, sample, reason):
    """A named refusal, with a sentence for people."""
    with pytest.raises(Unwritable) as caught:
        FORMATS[name].write(sample)

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("name", "row", "detail"),
    [
        ("sharegpt", {"conversations": [{"from": "dog", "value": "wuff"}]}, "conversations[0].from: expected one of"),
        ("sharegpt", {"conversations": "hello"}, "conversations: expected a list of objects, found a text"),
        ("sharegpt", {"conversations": [{"from": "human", "value": 7}]}, "conversations[0].value: expected a text"),
        ("unpaired", {"prompt": "a", "completion": "b", "label": "yes"}, "label: expected true or false, found 'yes'"),
        ("ranked", {"prompt": "a", "answers": [{"content": "x", "rank": "first"}]}, "answers[0].rank: expected a"),
        ("ranked", {"prompt": "a", "answers": [{"content": "x", "rank": 2}]}, "expected one of rank 1"),
        ("preference", {"chosen": [], "rejected": []}, "chosen: expected a text or a list of messages"),
        ("process", {"question": {"problem": "a"}, "label": {"steps": [{"completions": []}]}}, "chosen_completion"),
        ("stepwise", {"prompt": "a", "completions": ["b"], "labels": []}, "lists of one length"),
        ("llava", {"image": 3, "conversations": []}, "image: expected a path"),
        ("super_ni", {"Definition": ["a"], "Instances": [{"input": "b", "output": 3}]}, "Instances[0].output"),
        ("text", {"text": "free words"}, "neither the Alpaca nor the Dolly wrapper"),
        ("openai", {"messages": [{"role": "user", "content": "a", "weight": True}]}, "messages[0].weight"),
        ("openai_preference", {"input": 3}, "input: expected an object with messages"),
    ],
)  # fmt: skip
def test_a_row_without_the_shape_is_explained(name, row, detail):
    """The message names the place, the value, what was expected."""
    with pytest.raises(Unreadable) as caught:
        FORMATS[name].read(row)

    assert detail in caught.value.detail


@pytest.mark.parametrize("column", ["images", "image", "videos", "audios"])
@pytest.mark.parametrize("shape", ["messages", "openai", "sharegpt"])
def test_media_of_a_chat_are_not_lost(shape, column):
    """Columns of media, as TRL and LLaMA-Factory name them, are media: a shape for texts refuses them by name."""
    said = {
        "messages": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "A cat."}],
        "conversations": [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "A cat."}],
    }
    name = "conversations" if shape == "sharegpt" else "messages"
    (sample,) = FORMATS[shape].read({name: said[name], column: ["a.png"]})
    (bare,) = FORMATS[shape].read({name: said[name], column: []})

    assert [(one.kind, one.path) for one in sample.media] == [(column.removesuffix("s"), "a.png")]
    assert sample.extra == {}
    assert bare.media == ()
    with pytest.raises(Unwritable, match="media"):
        FORMATS[shape].write(sample)
    if column.startswith("image"):
        assert FORMATS["llava"].write(sample)["image"] == "a.png"
