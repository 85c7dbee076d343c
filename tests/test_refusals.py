"""A refusal that a flow does not look at loses none of the answers beside it."""

import json
from typing import Literal

import pytest

from instructgen.generators import Generator
from instructgen.recipe import Recipe
from instructgen.records import Completion, Params, Request, Sample, SlotBound, Turn
from instructgen.sitting import generate
from instructgen.teachers.scripted import ScriptedTeacher
from instructgen.testing import make_seed, make_view, play, reply

SAMPLED = Params(temperature=0.5, max_tokens=20)


class Careless(Generator):
    """Asks three questions at once and reads the answers without a look at refusals."""

    kind: Literal["careless"] = "careless"

    def flow(self, pool, rng):
        asked = [Request(messages=(Turn(role="user", content=f"name {n}"),), params=SAMPLED) for n in range(3)]
        replies = yield asked
        return [Sample.single(f"Name the number {said.text}.", output=said.text) for said in replies]

    def slot_bound(self):
        return SlotBound(requests=3, prompt_tokens=300, completion_tokens=60)


def answer(request):
    """Refuse the middle question in half of the slots."""
    if request.messages[0].content == "name 1" and int(request.hash, 16) % 2:
        return Completion(finish="refused", refusal="content_filter")
    return Completion(content=request.hash[:12])


def test_every_answer_of_a_slot_is_accounted_for(tmp_path):
    """Three answers a slot: three samples, or a refusal and two answers that were lost to it, with their text."""
    recipe = Recipe(target=30, window=1, teacher=ScriptedTeacher(function=answer), generator=Careless())
    generate(recipe, tmp_path / "run")
    slots, lines = [], []
    for text in (tmp_path / "run" / "decisions.jsonl").read_text().splitlines():
        line = json.loads(text)
        if "closed" in line:
            slots.append((line, lines))
            lines = []
        else:
            lines.append(line)

    kinds = {tuple(sorted(one.get("rejected", {}).get("reason", "accepted") for one in found)) for _, found in slots}
    assert kinds == {("accepted",) * 3, ("content_filter", "lost_to_refusal", "lost_to_refusal")}
    lost = [one["rejected"] for _, found in slots for one in found if "rejected" in one]
    assert all(one["text"] for one in lost if one["reason"] == "lost_to_refusal")
    assert all(len(one["requests"]) == 1 for one in lost)


@pytest.mark.parametrize(("position", "reasons"), [
    (0, ["content_filter", "lost_to_refusal", "lost_to_refusal"]),
    (2, ["lost_to_refusal", "lost_to_refusal", "content_filter"]),
])  # fmt: skip
def test_the_test_bench_shows_what_a_run_would_record(position, reasons):
    """`play` gives the rejections, so that an author sees what carelessness costs."""
    replies = [reply(refused="content_filter") if n == position else reply(f"answer {n}") for n in range(3)]
    played = play(Careless().flow(make_view([make_seed()]), None), replies)

    assert [one.reason for one in played.items] == reasons
    assert played.samples == []
