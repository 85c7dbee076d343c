"""Values: what their hashes and copies promise."""

import pickle

from instructgen.records import Params, Request, Sample, Turn


def test_a_copied_request_has_a_hash_of_its_own():
    """The hash is kept once computed; a copy with other values must not inherit it, an equal one must agree."""
    request = Request(text="2 + 2 =", mode="text", model="m")
    before = request.hash
    other = request.model_copy(update={"text": "2 + 3 ="})

    assert other.hash == Request(text="2 + 3 =", mode="text", model="m").hash != before
    assert request.hash == before == request.model_copy().hash == pickle.loads(pickle.dumps(request)).hash
    assert request == Request(text="2 + 2 =", mode="text", model="m")
    assert "hash" not in request.as_json()


def test_the_hash_is_of_what_decides_the_answer_and_of_nothing_else():
    """Not of the prompt's name and variables, from which the messages were rendered."""
    turns = (Turn(role="user", content="hello"),)
    plain = Request(messages=turns, model="m", params=Params(seed=1))

    assert Request(prompt="p", variables={"x": 1}, messages=turns, model="m", params=Params(seed=1)).hash == plain.hash
    for other in ({"model": "n"}, {"params": Params(seed=2)}, {"mode": "text"}, {"answer_schema": {"type": "string"}}):
        assert plain.model_copy(update=other).hash != plain.hash


def test_the_first_user_turn_is_the_instruction():
    """A system message before it changes nothing; without a user turn there is none."""
    sample = Sample.single("Sort.", input="2, 1", output="1, 2", system="Be brief.")

    assert (sample.system, sample.instruction, sample.input, sample.output) == ("Be brief.", "Sort.", "2, 1", "1, 2")
    assert Sample(turns=(Turn(role="assistant", content="x"),)).instruction == ""
