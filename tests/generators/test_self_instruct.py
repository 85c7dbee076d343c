"""Self-Instruct, told as stories: what is asked, what is paid for, what comes out."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from instructgen.errors import RecipeError
from instructgen.files import bundled_dir
from instructgen.generators.self_instruct import SelfInstruct, ShortForm
from instructgen.records import Sample
from instructgen.teachers.tokens import request_bound
from instructgen.testing import make_sample, make_seed, make_view, play, reply

SEEDS = [make_seed(f"Seed task number {n}", id=f"s{n}", is_classification=n < 3) for n in range(12)]
VIEW = make_view(SEEDS)
ONE_CASE = "Example 1\nInput: a\nOutput: b"


def story(*replies, view=VIEW, judge_draft=None, rng=0, **options):
    return play(SelfInstruct(**options).flow(view, Random(rng)), replies, judge_draft=judge_draft)


def prompt_of(request):
    return "\n".join(turn.content for turn in request.messages) or request.text


def draft_of(item):
    if isinstance(item, Sample):
        return item.provenance.draft
    return item.draft if item.sample is None else item.sample.provenance.draft


@pytest.mark.parametrize(("machine", "seeds_shown"), [(0, 8), (1, 7), (2, 6), (9, 6)])
def test_cold_start_fills_up_with_seeds(machine, seeds_shown):
    """8+0, 7+1, then 6+2 as the pool holds 0, 1, 2 or more machine instructions; all distinct, numbered 1 to 8."""
    view = make_view(SEEDS, [make_sample(f"Machine task number {n}") for n in range(machine)])
    prompt = prompt_of(story(reply("x", truncated=True), view=view).requests[0])
    lines = [line for line in prompt.splitlines() if "task number" in line]

    assert (8, seeds_shown) == (len(set(lines)), sum("Seed" in line for line in lines))
    assert [f"{n}." for n in range(1, 9)] == [line.split()[0] for line in lines]
    assert prompt.endswith("\n9.")


def test_shots_are_folded_and_lose_their_colon():
    """A seed's line breaks and final colon do not reach the numbered list."""
    prompt = prompt_of(story("", view=make_view([make_seed("Sort\n these   words:")])).requests[0])

    assert "1. Sort these words\n2." in prompt


def test_a_slot_pays_for_new_ideas_only():
    """Ideas go out as drafts; classification and instances are asked in one list each, for those that are new."""
    played = story(
        "Name a river.\n10. Known idea.\n11. Is it spam?",
        "No",
        "Yes",
        ONE_CASE,
        "Class label: spam\nWin a phone!\nClass label: no spam\nSee you at six.",
        judge_draft=lambda draft: draft.sample().rejected("near_duplicate") if "Known" in draft.instruction else None,
    )

    assert [(draft.number, draft.instruction) for draft in played.drafts] == [
        (0, "Name a river."),
        (1, "Known idea."),
        (2, "Is it spam?"),
    ]
    assert [request.prompt.removeprefix("self_instruct.") for request in played.requests] == [
        "invent",
        "classify",
        "classify",
        "input_first",
        "output_first",
    ]
    assert [
        (s.instruction, s.input, s.output, s.provenance.draft, s.labels["is_classification"]) for s in played.samples
    ] == [
        ("Name a river.", "a", "b", 0, False),
        ("Is it spam?", "Win a phone!", "spam", 2, True),
        ("Is it spam?", "See you at six.", "no spam", 2, True),
    ]


def test_provenance_names_shots_and_requests():
    """A sample's parents are the shots that were shown, its requests the three that made it."""
    played = story("Name a river.", "No", ONE_CASE)
    known = played.samples[0].provenance

    assert len(set(known.parents)) == 8
    assert {seed.id for seed in SEEDS} > set(known.parents)
    assert tuple(request.hash for request in played.requests) == known.requests


def test_truncated_reply_is_rejected_whole_without_a_second_call():
    """A reply cut by length costs one request; none of its ideas is taken, as released."""
    played = story(reply("Name a river.\n10. Sort the", truncated=True))

    assert [r.reason for r in played.items] == ["truncated"]
    assert played.items[0].text == "Name a river.\n10. Sort the"


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ([reply(refused="content_filter")], ["content_filter"]),
        (
            ["A one.\n10. B two.", reply(refused="content_filter"), "No", ONE_CASE],
            ["content_filter draft=0", "sample draft=1"],
        ),
        (
            ["A one.\n10. B two.", "No", "No", ONE_CASE, reply(refused="too_long")],
            ["sample draft=0", "too_long draft=1"],
        ),
        (["A one.\n10. B two.", reply(refused="x"), reply(refused="y")], ["x draft=0", "y draft=1"]),
    ],
)
def test_a_refusal_leaves_siblings_alone(replies, outcome):
    """A refused request is a rejection of stage teacher for its own idea; the others go on."""
    played = story(*replies)
    told = []
    for item in played.items:
        draft = draft_of(item)
        told.append(
            ("sample" if isinstance(item, Sample) else item.reason) + ("" if draft is None else f" draft={draft}")
        )

    assert outcome == told
    assert all(r.stage == "teacher" for r in played.rejections)


def test_rejections_of_an_idea_name_all_its_requests():
    """A refused instance request is told with the invent and classify requests that led to it."""
    played = story("A one.", "No", reply(refused="too_long"))

    assert tuple(request.hash for request in played.requests) == played.items[0].requests


@pytest.mark.parametrize(
    ("fidelity", "said", "is_classification"),
    [
        ("as_released", " Yes\n", True),
        ("as_released", "YES", True),
        ("as_released", "Yes.", False),
        ("as_released", "yes, it", False),
        ("fixed", "Yes.", True),
        ("fixed", "**yes**", True),
        ("fixed", "Classification: Yes", True),
        ("fixed", "yesterday", False),
        ("fixed", "No", False),
        ("fixed", "", False),
        ("fixed", "Maybe yes", False),
    ],
)
def test_reading_the_classification_answer(fidelity, said, is_classification):
    """The release takes three spellings of yes; fixed takes a yes in any dress. Anything else is a no."""
    played = story("A one.", said, "x", fidelity=fidelity)

    assert ("output_first" if is_classification else "input_first") in played.requests[2].prompt


@pytest.mark.parametrize(
    ("fidelity", "invent", "classify", "make", "tokens"),
    [
        ("fixed", ("\n17.", "\n17 ."), ("\nTask:",), ("\nExample 6", "\nTask:"), [350, 300]),
        ("as_released", ("\n\n", "\n16", "16.", "16 ."), ("\n", "Task"), ("Example 6", "Task:"), [300, 300]),
        ("paper", ("\n\n", "\n16", "16.", "16 ."), ("\n", "Task"), ("Task:",), [300, 300]),
    ],
)
def test_parameters_by_fidelity(fidelity, invent, classify, make, tokens):
    """The released numbers; fixed ends only at the beginning of a line, and limits each task by its own kind."""
    asked = [r.params for r in story("A one.\n10. B two.", "No", "Yes", "", "", fidelity=fidelity).requests]

    assert (
        asked[0].temperature, asked[0].top_p, asked[0].presence_penalty, asked[0].frequency_penalty, asked[0].max_tokens
    ) == (0.7, 0.5, 2.0, 0.0, 1024)  # fmt: skip
    assert [(params.greedy, params.max_tokens) for params in asked[1:3]] == [(True, 3), (True, 3)]
    assert [(params.greedy, params.presence_penalty) for params in asked[3:]] == [(True, 1.5)] * 2
    assert (invent, classify, make) == (asked[0].stop, asked[1].stop, asked[3].stop)
    assert tokens == [params.max_tokens for params in asked[3:]]


@pytest.mark.parametrize(
    ("fidelity", "instruction"),
    [
        ("fixed", "Explain NASA's Apollo in Python."),
        ("as_released", "Explain nasa's apollo in python."),
        ("paper", "Explain NASA's Apollo in Python."),
    ],
)
def test_names_keep_their_case(fidelity, instruction):
    """The release lower-cases all but the first letter; fixed raises the first and leaves the rest."""
    played = story("explain NASA's Apollo in Python.", "No", ONE_CASE, fidelity=fidelity)

    assert instruction == played.samples[0].instruction


def test_the_random_choice_keeps_at_most_five():
    """Of six good instances five are kept, the same five for the same slot; the sixth is a rejection."""
    text = "\n".join(f"Example {n}\nInput: {n}\nOutput: out {n}" for n in range(1, 7))
    played = story("A one.", "No", text)

    assert (len(played.samples), [r.reason for r in played.rejections]) == (5, ["surplus_instance"])
    assert played.items == story("A one.", "No", text).items


@pytest.mark.parametrize(
    ("said", "truncated", "outcome"),
    [
        (ONE_CASE + "\nExample 2\nInput: c\nOutput: d", True, ["truncated", "b"]),
        ("Input: a\nOutput: a", False, ["output_repeats_input"]),
        ("Input: a\nOutput:", False, ["empty_output"]),
        ("Input: a\nOutput: These are:", False, ["trailing_colon"]),
        ("Input: a\nOutput: b\nInput: a\nOutput: c", False, ["conflicting_outputs"] * 2),
        ("Input: a\nOutput: b\nInput: a\nOutput: b", False, ["b", "duplicate_instance"]),
        ("Output: b\nExample 2\nOutput: c", False, ["b", "c"]),
        ("Input: a\nOutput: b\nInput: a\nOutput: c:", False, ["b", "trailing_colon"]),
        ("I cannot do that.", False, ["no_instance"]),
        ("", False, ["no_instance"]),
        ("Input: none\nOutput: b", False, ["b"]),
    ],
)
def test_instances_pass_the_released_rules(said, truncated, outcome):
    """Broken cases are rejected one by one, conflicting ones with their whole task, and a cut one is not trusted."""
    played = story("A one.", "No", reply(said, truncated=truncated))
    told = [item.output if isinstance(item, Sample) else item.reason for item in played.items]

    assert outcome == told
    assert all(item.draft == 0 for item in played.rejections if item.sample is None)
    assert all(item.input != "none" for item in played.samples)


def test_more_ideas_than_asked_are_surplus():
    """Beyond `ideas` nothing is paid for, and each further idea is a rejection with its text."""
    played = story("A one.\n10. B two.\n11. C three.", "No", ONE_CASE, ideas=1)

    assert (
        [draft.instruction for draft in played.drafts],
        [r.text for r in played.rejections if r.reason == "surplus_idea"],
    ) == (["A one."], ["B two.", "C three."])


def test_a_reply_without_ideas_is_a_rejection():
    """An empty list costs one request and is counted."""
    assert [r.reason for r in story("  \n ").items] == ["no_idea"]


def test_classification_seeds_only():
    """Only classification tasks are shown, and the prompt asks for such."""
    prompt = prompt_of(story("", classification_seeds_only=True).requests[0])

    assert prompt.count("Seed task number") == 3
    assert "classification tasks" in prompt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classification_seeds_only": True}, "none of the 1 seeds.*is_classification: true"),
        ({"form": "short"}, "none of the 1 seeds.*at most 120 characters.*form: full"),
    ],
)
def test_no_fitting_seed_is_an_error_of_the_recipe(options, message):
    """A prompt without examples would waste the run; the error says what to change."""
    with pytest.raises(RecipeError, match=message):
        story("", view=make_view([make_seed("Sing it.", input="a song")]), **options)


def test_a_prompt_needs_an_example():
    """Both shot counts at zero are refused when the recipe is read."""
    with pytest.raises(ValidationError, match="at least one example in a prompt"):
        SelfInstruct(seed_shots=0, machine_shots=0)


def test_text_endpoint_sends_raw_completions():
    """With endpoint: text nothing goes through a chat template."""
    played = story("A one.", "No", ONE_CASE, endpoint="text")

    assert {"text"} == {request.mode for request in played.requests}
    assert played.requests[0].text.endswith("\n9.")


def test_short_form_completes_then_chats():
    """The instruction is a raw completion of a list of shots, the answer a chat whose user turn is the instruction."""
    played = story(" Name a river. ", " The Po.\n", form="short")

    assert [request.mode for request in played.requests] == ["text", "chat"]
    assert [turn.role for turn in played.requests[1].messages] == ["system", "user"]
    assert played.requests[1].messages[1].content == "Name a river."
    assert [(s.instruction, s.output, s.provenance.draft) for s in played.samples] == [("Name a river.", "The Po.", 0)]
    assert tuple(request.hash for request in played.requests) == played.samples[0].provenance.requests


def test_short_form_shows_short_tasks_without_input():
    """A task whose input the list cannot show, or a long one, would teach a small model nonsense."""
    seeds = [make_seed("Plain task."), make_seed("Task with input.", input="x"), make_seed("Long " * 30)]
    prompt = story(" A.", "B", form="short", view=make_view(seeds)).requests[0].text

    assert prompt.splitlines()[1:] == ["- Plain task.", "-"]


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ([reply(refused="x")], [("x", None)]),
        ([reply("Name a", truncated=True)], [("truncated", None)]),
        (["Name a river.", reply(refused="x")], [("x", 0)]),
        (["Name a river.", reply("The", truncated=True)], [("truncated", 0)]),
        ([" "], [("no_idea", None)]),
    ],
)
def test_short_form_rejections(replies, outcome):
    """Refused, cut and empty replies are rejections; those behind a draft carry its number."""
    assert outcome == [(r.reason, r.draft) for r in story(*replies, form="short").items]


def test_short_form_pays_no_answer_for_a_known_idea():
    """The engine's verdict on the draft saves the second request."""
    played = story("Known.", form="short", judge_draft=lambda draft: draft.sample().rejected("near_duplicate"))

    assert (played.items, len(played.requests)) == ([], 1)


@pytest.mark.parametrize("form", ["full", "short"])
@pytest.mark.parametrize("fidelity", ["fixed", "as_released", "paper"])
def test_no_slot_takes_more_than_its_bound(form, fidelity):
    """With the longest shots and the most ideas, the requests stay within what the slot declares."""
    view = make_view([make_seed("译" * 5_000, id=str(n)) for n in range(9)])
    generator = SelfInstruct(form=form, fidelity=fidelity, short=ShortForm(shot_chars=9_999))
    ideas = "\n".join(f"{n}. Idea number {n} " + "long " * 100 for n in range(9, 25))
    full = [ideas, *["Yes"] * 8, *[""] * 8]
    played = play(generator.flow(view, Random(0)), full if form == "full" else ["idea " * 60, "x"])
    taken = [request_bound(request, 0) for request in played.requests]
    bound = generator.slot_bound()

    assert bound.requests == len(taken)
    assert bound.prompt_tokens >= sum(part.prompt_tokens for part in taken)
    assert bound.completion_tokens >= sum(part.completion_tokens for part in taken)


@pytest.mark.parametrize("form", ["full", "short"])
def test_prompts_exist_and_fit_their_allowance(form):
    """Every template that a form names is bundled and no longer than the bound says."""
    for name in SelfInstruct(form=form).prompt_names():
        size = len((bundled_dir("prompts") / f"{name}.txt").read_bytes())

        assert 0 < size <= SelfInstruct().template_bytes


@given(
    st.lists(st.text(), min_size=17, max_size=17),
    st.sampled_from(["fixed", "as_released", "paper"]),
    st.sampled_from(["full", "short"]),
    st.booleans(),
)
def test_any_replies_give_samples_or_rejections(texts, fidelity, form, truncated):
    """Whatever a teacher says, the flow ends with at least one item or a draft, never an exception."""
    flow = SelfInstruct(fidelity=fidelity, form=form).flow(VIEW, Random(0))
    replies = [reply(texts[0]), *(reply(text, truncated=truncated) for text in texts[1:])]
    answer, drafts, items = None, 0, None
    while items is None:
        try:
            asked = flow.send(answer)
        except StopIteration as end:
            items = end.value
            break
        if isinstance(asked, list):
            answer = [replies.pop(0) for _ in asked]
        elif hasattr(asked, "instruction"):
            drafts, answer = drafts + 1, None
        else:
            answer = replies.pop(0)
    told = {draft_of(item) for item in items}

    assert items
    assert set(range(drafts)) <= told
