"""play() drives any flow with what a test wrote down, and says what went wrong when that does not fit."""

from random import Random

import pytest

from instructgen.errors import PromptError
from instructgen.records import Draft, Rejection, Request, Sample, Turn
from instructgen.testing import OutOfReplies, make_sample, make_seed, make_view, play, reply

ASK = {"mine.ask": "=== system ===\nBe brief.\n=== user ===\nName a {{ thing }}."}


def one_request():
    answer = yield Request.from_prompt("mine.ask", thing="river")
    return [answer]


def two_at_once():
    answers = yield [Request(messages=(Turn(role="user", content=text),)) for text in ("a", "b")]
    return answers


def ideas():
    verdicts = []
    for number, text in enumerate(["old idea", "new idea"]):
        verdict = yield Draft(number=number, instruction=text)
        verdicts.append(verdict)
    return verdicts


def test_requests_are_rendered_and_answered_in_order():
    """A request is rendered with the test's prompts, and its completion carries the request's hash."""
    played = play(one_request(), ["The Po"], prompts=ASK)

    assert [turn.content for turn in played.requests[0].messages] == ["Be brief.", "Name a river."]
    assert ("The Po", played.requests[0].hash) == (played.items[0].text, played.items[0].request)


def test_a_list_of_requests_takes_as_many_replies():
    """Concurrent requests are answered as a list, in the order asked."""
    played = play(two_at_once(), ["1", reply("2", truncated=True)])

    assert [(answer.text, answer.truncated) for answer in played.items] == [("1", False), ("2", True)]


def test_drafts_are_new_unless_judged():
    """Without a judge every idea is new; a judge's rejection is what the flow is sent."""
    known = Rejection(stage="filter", reason="near_duplicate")

    assert play(ideas(), []).items == [None, None]
    assert [known, None] == play(
        ideas(), [], judge_draft=lambda draft: known if "old" in draft.instruction else None
    ).items
    assert [draft.instruction for draft in play(ideas(), []).drafts] == ["old idea", "new idea"]


def test_running_out_of_replies_shows_the_request():
    """A flow that asks for more than the test wrote is an error that quotes what it asked."""
    with pytest.raises(OutOfReplies, match=r"no reply left for request 1 \(prompt 'mine.ask'\).*Name a river"):
        play(one_request(), [], prompts=ASK)


def test_replies_left_over_are_an_error():
    """A reply that nobody asked for means that the flow did not go where the test thinks it did."""
    with pytest.raises(AssertionError, match="2 replies were never asked for"):
        play(one_request(), ["a", "b", "c"], prompts=ASK)


def test_wrong_variables_are_found_without_a_teacher():
    """A template that wants something else than the flow gives fails in the flow's own test."""
    with pytest.raises(PromptError, match="misses"):
        play(one_request(), ["x"], prompts={"mine.ask": "Name a {{ thing }} of {{ place }}."})


def test_a_refusal_has_a_reason_and_no_text():
    """reply(refused=...) plays an endpoint that would not answer."""
    refused = reply(refused="content_filter")

    assert (refused.finish, refused.refusal) == ("refused", "content_filter")
    assert (refused.rejected().stage, refused.rejected().reason) == ("teacher", "content_filter")


def test_made_samples_and_seeds_fill_a_pool():
    """make_view holds the seeds and samples given, ready to draw from."""
    view = make_view([make_seed("Sing.", input="a song")], [make_sample("Hum a tune.")])

    assert (view.seed_count, view.machine_count) == (1, 1)
    assert [shot.instruction for shot in view.draw_seeds(5, Random(0))] == ["Sing."]
    assert [shot.instruction for shot in view.draw_machine(5, Random(0))] == ["Hum a tune."]
    assert Sample.single("A", output="B", labels={"x": 1}).id == make_sample("A", output="B", labels={"x": 1}).id
