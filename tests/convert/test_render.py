"""Rendering: the label comes back from the target, letters match, a batch says what rows say."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructgen.convert.bank import Compiled, environment, find_pack, pack_of
from instructgen.convert.cot import CLOSINGS, manner, think
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.options import STYLES, Style, StyleDraw, recover
from instructgen.convert.render import Batch, Made, Renderer

JINJA = environment()
SENTIMENT = find_pack("sentiment")
MCQ = find_pack("mcq")
texts = st.text(min_size=1, max_size=80).map(str.strip).filter(bool)
words = st.text(alphabet="abcdefghij XYZ", min_size=1, max_size=12).map(str.strip).filter(bool)


def renderers(pack, labels, **options):
    made = [Renderer(Compiled(pack, template, JINJA), labels, **options) for template in pack.templates]
    return [renderer for renderer in made if not renderer.never]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, st.integers(0, 2)), min_size=1, max_size=5), st.sampled_from(STYLES))
def test_the_label_is_parsed_back_from_the_target(rows, style):
    """Rendered row -> target -> the original label, for every template, style and text."""
    labels = ("negative", "neutral", "positive")
    batch = Batch(len(rows), {"text": [text for text, _ in rows], "title": [None] * len(rows),
                              "label": [labels[i] for _, i in rows]}, [i for _, i in rows])  # fmt: skip
    for renderer in renderers(SENTIMENT, labels):
        fitting = batch.take([at for at, fits in enumerate(renderer.fits(batch)) if fits])
        for made, label in zip(renderer.render(fitting, style), fitting.columns["label"], strict=True):
            assert isinstance(made, Made)
            assert made.label == label
            if not renderer.compiled.template.inverted:
                assert labels[recover(made.target, made.choices, made.letters)] == label


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=2, max_size=6, unique=True), st.data())
def test_letters_of_a_multiple_choice_row_match(choices, data):
    """The letter in the target stands, in the input, before the words of the right choice."""
    right = data.draw(st.integers(0, len(choices) - 1))
    style = data.draw(st.sampled_from([style for style in STYLES if style.lettered]))
    columns = {"question": ["What?"], "choices": [choices], "label": [choices[right]], "context": [None]}
    batch = Batch(1, columns, [right])
    for renderer in renderers(MCQ, None):
        if not all(renderer.fits(batch)) or renderer.compiled.template.inverted:
            continue
        (made,) = renderer.render(batch, style)
        if isinstance(made, Unrenderable):
            assert made.reason == "label_lost"
        elif made.letters:
            named = style.form.format(made.letters[right], choices[right])
            assert named in made.input
            assert recover(made.target, made.choices, made.letters) == right


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(texts, st.just("a\x1eb"), st.just("{{ text }}"), st.none()), min_size=1, max_size=6),
    st.sampled_from(STYLES),
)
def test_a_batch_says_what_its_rows_say(values, style):
    """One call for many rows gives the same texts and the same reasons as a call for each, whatever the fields hold."""
    labels = ("negative", "positive")
    count = len(values)
    columns = {"text": values, "title": values[::-1], "label": [labels[i % 2] for i in range(count)]}
    batch = Batch(count, columns, [i % 2 for i in range(count)])
    whole, single = renderers(SENTIMENT, labels), renderers(SENTIMENT, labels, by_row=True)
    for one, other in zip(whole, single, strict=True):
        assert one.fits(batch) == other.fits(batch)
        told = [(str(a), type(a)) for a in one.render(batch, style)]
        assert told == [(str(a), type(a)) for a in other.render(batch, style)]


def test_most_templates_of_the_bank_render_in_one_call():
    """The fast path is not an exception: every sentiment template is provably safe for it."""
    assert all(renderer._texts.safe for renderer in renderers(SENTIMENT, ("negative", "positive")))


@pytest.mark.parametrize(
    "source",
    ["{{ [1, 2] | choice }}", "{% set x = text %}{{ x }}", "{% for a in text %}{{ a }}{% endfor %}", "{{ loop.index }}",
     "{{ range(3) | list }}", "{{ text.split() | map('upper') | join }}", "{{ other }}"],
)  # fmt: skip
def test_what_is_not_provably_safe_is_rendered_by_row(source):
    """Draws, assignments, loops, sight of the loop around and unknown names keep a template from the fast path."""
    from instructgen.convert.batch import BatchText

    assert not BatchText(JINJA, [source], ["text"], "here").safe


def test_options_are_a_block_that_leaves_no_trace_when_absent():
    """The twin without options ends as the sentence does."""
    style = Style("letters", "Options:", "({}) {}")

    assert style.block(["yes", "no"]) == "\n\nOptions:\n(A) yes\n(B) no"
    assert STYLES[-1].block(["yes", "no"]) == ""


def test_there_is_no_end_of_letters():
    """FLAN crashes above 26 options; here AA follows Z."""
    assert Style("letters").letters(28)[25:] == ["Z", "AA", "AB"]
    assert Style("letters", names="1").letters(3) == ["1", "2", "3"]


def test_style_weights_hold_within_three_sigma():
    """Shares of lettered, plain and no options follow their weights."""
    draw, rng = StyleDraw({"letters": 1, "plain": 1, "none": 2}), Random(5)
    seen = [draw.draw(rng).mode for _ in range(10_000)]

    for mode, share in (("letters", 0.25), ("plain", 0.25), ("none", 0.5)):
        assert abs(seen.count(mode) - 10_000 * share) < 3 * (10_000 * share * (1 - share)) ** 0.5


@pytest.mark.parametrize(
    ("answer", "choices", "letters", "at"),
    [
        ("B", ["yes", "no"], ["A", "B"], 1),
        ("The answer is no.", ["yes", "no"], [], 1),
        ("not good", ["good", "not good"], [], 1),
        ("It is not good, he said", ["good", "not good"], [], 1),
        ("yes or no", ["yes", "no"], [], None),
        ("unknown", ["no", "yes"], [], None),
        ("(B)", ["yes", "no"], ["A", "B"], 1),
        ("3", ["1", "2", "3"], [], 2),
    ],
)
def test_recover(answer, choices, letters, at):
    """Exact words first, then the one choice that stands alone in the sentence; several or none are not guessed."""
    assert recover(answer, choices, letters) == at


def made_up(target, **more):
    data = {"version": 1, "task": "mood", "fields": {"text": {}, "label": {"kind": "label"}},
            "templates": [{"name": "one", "input": "{{ text }}", "target": target, **more}]}  # fmt: skip
    pack = pack_of(data, "mood.yaml")
    return Renderer(Compiled(pack, pack.templates[0]), ("good", "bad"))


def test_a_target_that_hides_the_label_is_a_rejection():
    """A frame that names a choice itself cannot be told apart."""
    (made,) = made_up("good or bad: {{ answer }}").render(Batch(1, {"text": ["x"], "label": ["bad"]}, [1]))

    assert isinstance(made, Unrenderable)
    assert made.reason == "label_lost"


def test_choices_that_do_not_fit_the_labels_name_the_template():
    """A fixed list of three for two classes is the template's fault."""
    from instructgen.errors import TemplateError

    with pytest.raises(TemplateError, match=r"template 'one', choices: 3 choices for 2 labels"):
        made_up("{{ answer }}", choices=["a", "b", "c"])


def test_equal_choices_of_a_row_are_a_rejection():
    """Two options with the same words: the right one could not be told."""
    batch = Batch(1, {"question": ["Q?"], "choices": [["x", "x"]], "label": ["x"], "context": [None]}, [1])
    made = renderers(MCQ, None)[0].render(batch)

    assert made[0].reason == "choices_alike"


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="abc 123", min_size=1).map(str.strip).filter(bool), texts, st.integers())
def test_the_answer_is_found_behind_the_reasoning(answer, rationale, seed):
    """Rationale, then a closing that the answer can be read from."""
    asked, said = think("Q?", answer, rationale, manner(Random(seed)))

    assert asked.startswith("Q?\n\n")
    assert rationale.strip() in said
    assert said.rpartition("\n")[2] in {closing.format(answer) for closing in CLOSINGS}
    assert len(CLOSINGS) > 2
