"""What is bought ahead of the next commit: what the target likely needs, and never another dataset for it."""

import asyncio
import random
from typing import Literal

import pytest

from instructgen import ahead
from instructgen.ahead import Ahead
from instructgen.generators import Generator
from instructgen.purchases import Gate
from instructgen.recipe import Recipe
from instructgen.records import Sample, SlotBound
from instructgen.sitting import generate
from instructgen.teachers.scripted import ScriptedTeacher
from tests.toys.loop import GREEDY, SAMPLED, ask


class Paired(Generator):
    """Two requests a slot, the second a greedy one that some slots share; a sample with a fixed chance."""

    kind: Literal["paired"] = "paired"
    chance: float = 1.0
    answers: int = 10**9

    def flow(self, pool, rng):
        idea = yield ask(f"idea {rng.random()}", SAMPLED)
        said = yield ask(f"answer {int(rng.random() * self.answers)}", GREEDY)
        if rng.random() >= self.chance:
            return [said.rejected("unlucky")]
        return [Sample.single(f"Do {rng.random()}", output=said.text, requests=(idea.request, said.request))]

    def slot_bound(self):
        return SlotBound(requests=2, prompt_tokens=1_000, completion_tokens=400)

    def most_samples(self):
        return 1

    def feeds_back(self):
        return False


async def late(request):
    await asyncio.sleep(0.002 * random.random())
    return f"said {request.hash}"


def small_run(into, target, *, concurrency, window=128, **generator):
    teacher = ScriptedTeacher(function=late, concurrency=concurrency)
    recipe = Recipe(seed=2, target=target, window=window, seeds="seeds/general.jsonl", teacher=teacher,
                    generator=Paired(**generator), exhausted={"below": 0})  # fmt: skip
    return generate(recipe, into)


@pytest.mark.parametrize("concurrency", [1, 16, 64])
@pytest.mark.parametrize("target", [1, 8, 20])
def test_nothing_is_bought_in_vain_where_every_slot_gives_its_sample(tmp_path, target, concurrency):
    """A window of 128 is room to start in, not an order."""
    assert small_run(tmp_path / "run", target, concurrency=concurrency).bought == 2 * target


@pytest.mark.parametrize("chance", [0.5, 0.1])
def test_little_is_bought_in_vain_where_slots_fail(tmp_path, chance):
    """What a slot gives is learnt while the run goes on; the whole window would be 256 answers at once."""
    outcome = small_run(tmp_path / "run", 8, concurrency=16, chance=chance)
    needed = sum(usage.requests for usage in outcome.progress.usage.values())

    assert outcome.bought <= needed + 3 * 16


def test_questions_that_slots_share_never_wait_for_a_slot_that_is_held_back(tmp_path, monkeypatch):
    """A later slot asked first and is not wanted any more: the earlier one gets its answer all the same."""
    horizons = iter([16] * 3)
    monkeypatch.setattr(Ahead, "horizon", lambda *args: next(horizons, 1))
    outcome = small_run(tmp_path / "run", 40, concurrency=3, window=16, answers=4)

    assert outcome.ending == "target"


def test_a_place_goes_to_the_lowest_slot_that_wants_the_answer():
    """Slot 7 asked for it and has to wait; slot 2, which may ask, wants it as well."""

    async def story():
        gate = Gate(lambda: 1)
        gate.open_until(5)
        waits = asyncio.create_task(gate.enter(7, "shared"))
        await asyncio.sleep(0)
        held = not waits.done()
        gate.asked(2, "shared")
        await asyncio.wait_for(waits, 5)
        gate.leave()
        other = asyncio.create_task(gate.enter(9, "other"))
        await asyncio.sleep(0)
        gate.open_until(10)
        await asyncio.wait_for(other, 5)
        return held

    assert asyncio.run(story())


@pytest.mark.parametrize(
    ("most", "missing", "kept", "seen", "slots"),
    [
        (1, 8, {}, [], 8),
        (1, 1, {}, [], 1),
        (40, 8, {}, [], 1),
        (40, 100, {}, [], 5),
        (1, 8, {}, [1] * 50, 8),
        (1, 8, {0: 1, 1: 1, 2: 1}, [1] * 50, 8),  # those three are eight with the five after them
        (1, 2, {1: 1, 2: 1}, [1] * 50, 2),  # slot 0 is open, and slot 1 waits for it: together they are two
        (1, 500, {}, [1] * 50, 128),
        (1, 8, {}, [0] * 200, 128),
        (1, 1, {}, [0, 0, 0], 9),
    ],
)
def test_as_many_slots_as_the_missing_samples_likely_take(most, missing, kept, seen, slots):
    """The window's slots, counted from the next commit, of which something is expected that the target needs."""
    assert Ahead(most).horizon(missing, kept, 0, 128, seen) == slots


def test_half_as_much_again_and_more_while_luck_is_uncertain():
    """At a yield of a half, somewhat more than twice the missing samples; with no chance in it, exactly enough."""
    uncertain = Ahead(1).horizon(20, {}, 0, 128, [0, 1] * 50)

    assert 40 < uncertain <= 40 * (1 + ahead.MARGIN / 4)


def test_a_wave_of_batches_is_larger_than_needed():
    """Each further wave may take a day."""
    assert Ahead(1, by_batch=True).horizon(20, {}, 0, 128, [1] * 100) == 25
    assert Ahead(1, by_batch=True).horizon(8, {}, 0, 128, []) == 22
