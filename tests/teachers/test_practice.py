"""The practice teacher: right answers, a pure function, replies that our generators read."""

import re
from random import Random

import pytest

from instructgen.files import bundled_dir
from instructgen.generators.alpaca import Alpaca
from instructgen.generators.self_instruct import SelfInstruct
from instructgen.pool import Pool
from instructgen.prompts import Prompts
from instructgen.records import Draft, Params, Request, Sample, Seed, Turn
from instructgen.teachers.practice import answer
from instructgen.teachers.practice_tasks import FAMILIES, REMARKS, SCENES, family_of, invent

SEEDS = [Seed(id=f"s{n}", instruction=f"Seed task number {n} of ten.") for n in range(10)]


def chat(text, seed=0):
    return Request(messages=(Turn(role="user", content=text),), params=Params(seed=seed))


def test_what_it_says_is_a_function_of_the_prompt_and_the_seed():
    """Equal requests get equal answers, another seed another one."""
    prompt = "Continue the list with 4 more tasks.\n\n1. Name a river.\n2."

    assert answer(chat(prompt, 1)) == answer(chat(prompt, 1))
    assert len({answer(chat(prompt, seed)).content for seed in range(20)}) > 10


@pytest.mark.parametrize("generator", [SelfInstruct(), SelfInstruct(form="short"), Alpaca(), Alpaca(structured=True)])
def test_our_generators_make_samples_of_its_replies(generator):
    """Over some slots there are samples of every generator, with non-empty answers."""
    samples = [item for slot in range(8) for item in played(generator, slot) if isinstance(item, Sample)]

    assert len(samples) >= 6
    assert all(sample.output for sample in samples)


def played(generator, slot):
    """Drive a slot's flow with the practice teacher."""
    prompts = Prompts({path.stem: path.read_text(encoding="utf-8") for path in bundled_dir("prompts").glob("*.txt")})

    def said(request):
        seeded = request.params.model_copy(update={"seed": slot})
        return answer(prompts.render(request).model_copy(update={"params": seeded}))

    flow, reply = generator.flow(Pool(SEEDS).view(), Random(slot)), None
    while True:
        try:
            asked = flow.send(reply)
        except StopIteration as end:
            return end.value
        if isinstance(asked, Draft):
            reply = None
        else:
            reply = [said(request) for request in asked] if isinstance(asked, list) else said(asked)


def test_every_way_to_ask_belongs_to_one_family():
    """An instruction leads back to its family, so that instances fit it."""
    for family in FAMILIES:
        for words in family.words:
            assert [other for other in FAMILIES if any(w.casefold() in words.casefold() for w in other.words)] == [
                family
            ]
    for n in range(200):
        assert family_of(invent(Random(n))) is not None


def test_the_cases_are_right():
    """Checked here by other means than those that made them."""
    rng = Random(3)
    family = {words: family for family in FAMILIES for words in family.words}
    for _ in range(50):
        given, total = family["Add up the given numbers"].case(rng)
        assert sum(int(n) for n in re.findall(r"\d+", given)) == int(total)
        minutes, split = family["Split the minutes into hours and minutes"].case(rng)
        hours, rest = map(int, re.findall(r"\d+", split))
        assert hours * 60 + rest == int(minutes.split()[0])
        celsius, fahrenheit = family["Convert the temperature to Fahrenheit"].case(rng)
        assert round((int(fahrenheit.split()[0]) - 32) / 1.8) == int(celsius.split()[0])
        word, turned = family["Spell the word backwards"].case(rng)
        assert list(word) == list(turned)[::-1]
        words, longest = family["Pick out the largest figure"].case(rng)
        assert int(longest) == max(int(n) for n in words.split(", "))
    assert family["Write the year as a Roman numeral"].case(Fixed(0.9999))[1] == "MMC"


def test_it_cuts_at_the_stop_strings():
    """As an endpoint does."""
    request = chat("Task: Add up the given numbers.").model_copy(update={"params": Params(stop=("Output",), seed=4)})

    assert answer(request).content.startswith("Example 1\nInput: ")
    assert "Output" not in answer(request).content


def test_scenes_and_remarks_are_all_different():
    """A repeated one would only make near duplicates."""
    assert len({*SCENES, *REMARKS}) == len(SCENES) + len(REMARKS)


class Fixed(Random):
    """Draws one number for ever."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def random(self):
        return self.value
