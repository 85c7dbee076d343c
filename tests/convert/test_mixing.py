"""Mixtures: shares, caps, nesting, seeds, and recipes that are told what is wrong with them."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.convert.mixing import MixtureRecipe, load_mixture
from instructgen.errors import RecipeError

BUNDLED = ("flan_style", "p3_style", "xp3_style", "super_ni")


def dataset(folder, name, rows):
    path = folder / f"{name}.jsonl"
    lines = (json.dumps({"text": f"{name} number {i} was there.", "label": i % 2}) + "\n" for i in range(rows))
    path.write_text("".join(lines))
    return {"name": name, "dataset": f"{name}.jsonl", "task": "sentiment"}


def recipe(folder, parts, seed=7, **mixture):
    return MixtureRecipe.model_validate({"seed": seed, "mixture": {"parts": parts, **mixture}, "folder": folder})


def drawn(made):
    return [row["provenance"]["source"].removesuffix(".jsonl") for _, row in made if isinstance(row, dict)]


def within(count, total, share):
    return abs(count - total * share) < 3 * (total * share * (1 - share)) ** 0.5


def test_shares_hold_within_three_sigma(tmp_path):
    """Weights, nested weights and the rest by examples: each part's count lies where its share says."""
    a, b, c, d = (dataset(tmp_path, name, rows) for name, rows in (("a", 4000), ("b", 4000), ("c", 3000), ("d", 1000)))
    group = {"name": "group", "weight": 1, "parts": [c, d]}
    made = recipe(tmp_path, [{**a, "weight": 2}, {**b, "weight": 1}, group], total=3000)
    plan = made.plan()
    counts = Counter(drawn(plan.run()))

    assert {leaf.name: leaf.share for leaf in plan.leaves} == {
        "a": 0.5,
        "b": 0.25,
        "group/c": 0.1875,
        "group/d": 0.0625,
    }
    assert sum(counts.values()) == 3000
    for name, share in (("a", 0.5), ("b", 0.25), ("c", 0.1875), ("d", 0.0625)):
        assert within(counts[name], 3000, share), (name, counts)


@pytest.mark.parametrize(
    ("rate", "shares"),
    [
        ({"by": "examples"}, (0.9, 0.1)),
        ({"by": "examples", "cap": 300}, (0.75, 0.25)),
        ({"by": "examples", "temperature": 2}, (0.75, 0.25)),
        ({"by": "equal"}, (0.5, 0.5)),
    ],
)
def test_rates(tmp_path, rate, shares):
    """Proportional to examples, to examples up to a cap, levelled by a temperature, or equal."""
    plan = recipe(tmp_path, [dataset(tmp_path, "a", 900), dataset(tmp_path, "b", 100)], rate=rate).plan()

    assert [leaf.share for leaf in plan.leaves] == pytest.approx(shares)


def test_equal_seeds_give_equal_bytes(tmp_path):
    """The same recipe twice gives the same stream; another seed another one."""
    parts = [dataset(tmp_path, "a", 300), {**dataset(tmp_path, "b", 300), "cap": 50, "shots": {"share": 0.5}}]
    first, again = (list(recipe(tmp_path, parts).plan().run()) for _ in range(2))

    assert first == again
    assert first != list(recipe(tmp_path, parts, seed=8).plan().run())


def test_a_cap_draws_evenly_and_exactly(tmp_path):
    """Of 1,000 rows 100 are used, from everywhere: the first rows would be a biased sample."""
    made = list(recipe(tmp_path, [{**dataset(tmp_path, "a", 1000), "cap": 100}]).plan().run())
    numbers = [int(row["provenance"]["source_id"]) for _, row in made]

    assert len(made) == 100
    assert within(sum(number > 500 for number in numbers), 100, 0.5)


def test_inverted_and_few_shot_weights_hold(tmp_path):
    """Inverted templates weigh what the recipe says, few-shot has its share."""
    part = {**dataset(tmp_path, "a", 3000), "inverted": 0.3, "shots": {"share": 0.4}}
    made = [row for _, row in recipe(tmp_path, [part]).plan().run()]
    few = sum("shots" in row["labels"] for row in made)
    inverted = sum(bool(row["labels"].get("inverted")) for row in made)

    assert within(few, 3000, 0.4)
    assert within(inverted, 3000, 0.6 / 7.6)  # 7 templates fit two classes without a title, and 2 inverted ones


@pytest.mark.parametrize(("when", "count"), [("go_on", 250), ("repeat", 400), ("stop", None)])
def test_what_happens_when_a_part_is_used_up(tmp_path, when, count):
    """Go on with the others, begin it again with other draws, or stop there."""
    parts = [{**dataset(tmp_path, "a", 200), "weight": 1}, {**dataset(tmp_path, "b", 50), "weight": 1}]
    made = drawn(recipe(tmp_path, parts, when_empty=when, total=400).plan().run())

    if count is None:
        assert Counter(made)["b"] == 50
        assert len(made) < 200
    else:
        assert len(made) == count


def test_a_part_that_falls_short_is_told(tmp_path):
    """The shares that were asked for are not taken for those that were made."""
    parts = [{**dataset(tmp_path, "a", 200), "weight": 1}, {**dataset(tmp_path, "b", 50), "weight": 1}]
    plan = recipe(tmp_path, parts, total=200).plan()
    about = plan.about()
    made = list(plan.run())

    assert len(made) == 200
    assert about["made"] == {"a": 150, "b": 50}
    assert plan.fell_short() == ["b: used up after 50 samples, 0.2500 of all where 0.5000 was its share"]


def test_rejections_of_parts_are_passed_on(tmp_path):
    """Nothing disappears in a mixture: bad rows are told beside the samples."""
    part = dataset(tmp_path, "a", 20)
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"text": "x", "label": null}\n')
    made = [row for _, row in recipe(tmp_path, [part], when_empty="repeat", total=50).plan().run()]
    rejected = [row for row in made if not isinstance(row, dict)]

    assert len(made) == 51
    assert [(row.reason, row.evidence["part"], row.evidence["row"]) for row in rejected] == [("unlabelled", "a", 21)]


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_recipes_are_valid(name):
    """Each bundled mixture can be read, by its name alone."""
    assert load_mixture(Path(f"{name}.yaml")).mixture.parts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mixture: {parts: []}", "mixture.parts"),
        ("name: x", "expected name, seed and a mixture"),
        ("mixture: {parts: [{name: a, dataset: x}]}", "part 'a': misses its task"),
        ("mixture: {parts: [{name: a}]}", "either a dataset with its task, or parts"),
        ("mixture: {parts: [{name: a, dataset: x, task: nli, wieght: 2}]}", "did you mean 'weight'"),
        ("mixture: {parts: [{name: a, dataset: x, task: nli, weight: -2}]}", "weight is -2"),
        ("mixture: {when_empty: repeat, parts: [{name: a, dataset: x, task: nli}]}", "give a total"),
        ("mixture: [", "not YAML"),
    ],
)  # fmt: skip
def test_a_bad_recipe_is_told(tmp_path, text, said):
    """File, key, value and what was expected."""
    path = tmp_path / "mix.yaml"
    path.write_text(text)

    with pytest.raises(RecipeError, match=r"mix\.yaml") as error:
        load_mixture(path)
    assert said in str(error.value)


def test_labels_may_be_written_as_numbers(tmp_path):
    """YAML reads `1: good` as a number; the class is named all the same."""
    part = {**dataset(tmp_path, "a", 20), "labels": {0: "dull", 1: "fine"}}

    assert recipe(tmp_path, [part]).plan().leaves[0].conversion.mapping.labels == ("dull", "fine")


def test_a_group_has_no_size_of_its_own(tmp_path):
    """Examples-proportional weights of groups would be a guess."""
    group = {"name": "group", "parts": [dataset(tmp_path, "a", 5)]}

    with pytest.raises(RecipeError, match="give it a weight"):
        recipe(tmp_path, [group, dataset(tmp_path, "b", 5)]).plan()


def test_the_command_mixes(tmp_path):
    """A mixture is a recipe: its datasets lie beside it."""
    parts = [dataset(tmp_path, "a", 30), dataset(tmp_path, "b", 30)]
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump({"name": "two", "seed": 1, "mixture": {"parts": parts}}))
    done = CliRunner().invoke(app, ["convert", "--recipe", str(tmp_path / "mix.yaml"), "--into", str(tmp_path / "out")])

    assert done.exit_code == 0, done.output
    assert "a: share 0.5000, 30 rows" in done.output
    assert (tmp_path / "out" / "samples.jsonl").read_bytes().count(b"\n") == 60
