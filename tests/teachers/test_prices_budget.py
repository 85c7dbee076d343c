"""Prices and the budget: exact sums, upper bounds, and caps that cannot be overshot."""

import random
from decimal import Decimal

import pytest
import yaml
from pydantic import ValidationError

from instructgen.errors import RecipeError
from instructgen.records import SlotBound, Usage
from instructgen.teachers.budget import NOTHING, Amount, Budget
from instructgen.teachers.local import LocalTeacher
from instructgen.teachers.openai import OpenAITeacher
from instructgen.teachers.prices import FREE, TABLE, Price, listed
from instructgen.teachers.scripted import ScriptedTeacher

MINI = Price(input="0.4", cached="0.1", output="1.6", batch="0.5")


def test_the_cost_is_exact():
    """A million tokens at 0.4 dollars cost 0.4 dollars, however they are split up."""
    one = Usage(requests=1, prompt_tokens=1, completion_tokens=1)
    total = sum((MINI.cost(one) for _ in range(1000)), Decimal(0))

    assert total == Decimal("0.002")
    assert MINI.cost(Usage(prompt_tokens=1_000_000)) == Decimal("0.4")


def test_cached_tokens_have_their_own_price():
    """Never more of them than there were prompt tokens."""
    assert MINI.cost(Usage(prompt_tokens=10, cached_tokens=4)) == Decimal("0.0000028")
    assert MINI.cost(Usage(prompt_tokens=10, cached_tokens=99)) == Decimal("0.000001")
    assert Price(input=1, output=2).cost(Usage(prompt_tokens=10, cached_tokens=4)) == Decimal("0.00001")


def test_where_cache_writes_are_billed_the_cost_is_never_below_the_bill():
    """Every prompt token that was not read from the cache counts as written to it."""
    price = Price(input="2", cached="0.2", written="2.5", output="10")

    assert price.cost(Usage(prompt_tokens=100, cached_tokens=40)) == (60 * Decimal("2.5") + 40 * Decimal("0.2")) / 10**6


def test_batch_mode_costs_half_but_cached_tokens_keep_their_price():
    """As providers' tables say; a cached token never costs more than a fresh one."""
    assert MINI.in_batch() == Price(input="0.20", cached="0.1", output="0.80", batch=1)
    assert Price(input="0.15", cached="0.1", output="1", batch="0.5").in_batch().cached == Decimal("0.075")
    assert Price(input=1, output=1).in_batch().input == 1


@pytest.mark.parametrize("wrong", [{"input": -1}, {"output": "inf"}, {"batch": 0}, {"batch": 1.5}, {"inputs": 1}])
def test_a_wrong_price_is_refused(wrong):
    """Negative, infinite, unknown."""
    with pytest.raises(ValidationError):
        Price.model_validate({"input": 1, "output": 1} | wrong)


def test_a_bound_is_never_below_the_cost_of_what_it_allows():
    """For random prices and usages."""
    rng = random.Random(5)
    for _ in range(500):
        price = Price(
            input=f"{rng.uniform(0, 20):.3f}",
            output=f"{rng.uniform(0, 60):.3f}",
            cached=rng.choice([None, f"{rng.uniform(0, 25):.3f}"]),
            written=rng.choice([None, f"{rng.uniform(0, 25):.3f}"]),
        )
        bound = SlotBound(requests=3, prompt_tokens=rng.randrange(10**6), completion_tokens=rng.randrange(10**5))
        usage = Usage(
            prompt_tokens=rng.randint(0, bound.prompt_tokens), completion_tokens=rng.randint(0, bound.completion_tokens)
        )
        usage = usage.model_copy(update={"cached_tokens": rng.randint(0, usage.prompt_tokens)})
        assert price.cost(usage) <= price.bound(bound)


def test_the_table_names_source_and_date_of_every_price():
    """And knows a snapshot by its model's name."""
    groups = yaml.safe_load(TABLE.read_text(encoding="utf-8"))["providers"]

    assert all(group["source"].startswith("https://") and str(group["read"]) >= "2026" for group in groups.values())
    assert listed("gpt-4.1-mini").price == MINI
    assert listed("gpt-4.1-mini-2025-04-14").price == MINI
    assert listed("claude-haiku-4-5-20251001").provider == "anthropic"
    assert listed("my-model") is None
    assert listed("gpt-4.1-mini-special") is None


def test_every_price_of_the_table_is_sound():
    """Output is not cheaper than input, cached not dearer."""
    for group in yaml.safe_load(TABLE.read_text(encoding="utf-8"))["providers"].values():
        for model in group["models"]:
            price = listed(model).price
            assert price.output >= price.input > 0, model
            assert price.cached is None or price.cached < price.input, model


def test_a_cap_in_dollars_needs_a_price():
    """The error names the model and says how to give one; other caps need none."""
    with pytest.raises(RecipeError, match=r"budget\.usd is 5, and the price of model 'mine' is not known\. .*price: "):
        Budget(usd=5, model="mine")
    assert Budget(tokens=5, requests=5).fits(NOTHING, 0, SlotBound())


@pytest.mark.parametrize(
    ("caps", "fits"),
    [
        ({}, True),
        ({"requests": 7}, True),
        ({"requests": 6}, False),
        ({"tokens": 1330}, True),
        ({"tokens": 1329}, False),
        ({"usd": "0.001275"}, False),
        ({"usd": "0.001276"}, True),
        ({"usd": 1, "requests": 6}, False),
    ],
)
def test_a_slot_starts_only_if_everything_open_fits_beside_it(caps, fits):
    """Spent 1 request, 10+20 tokens; open 1 slot, and the next: 3 requests and 350+300 tokens each."""
    budget = Budget(price=MINI, **caps)
    spent = budget.spent(Usage(requests=1, prompt_tokens=10, completion_tokens=20))
    bound = SlotBound(requests=3, prompt_tokens=350, completion_tokens=300)

    assert budget.fits(spent, 1, bound) == fits
    assert (budget.explain(spent, 1, bound) == "") == fits


def test_the_explanation_names_cap_spent_and_reserved():
    """In the units of the cap."""
    budget = Budget(usd=5, requests=10_000, price=MINI)
    spent = budget.spent(Usage(requests=9_999, completion_tokens=3_112_500))

    assert budget.explain(spent, 0, SlotBound(requests=2, completion_tokens=20_000)) == (
        "budget.usd 5: 4.98 spent, and the next slot may take 0.032; "
        "budget.requests 10,000: 9,999 spent, and the next slot may take 2"
    )


@pytest.mark.parametrize("most", [1, 7, 64])
def test_room_is_the_number_of_slots_that_fit_beside_each_other(most):
    """As many as `fits` lets start one after the other, none when nothing fits, and the most without a cap."""
    spent, bound = Amount(Decimal(0), 0, 4), SlotBound(requests=2)

    assert Budget(requests=10).room(spent, bound, most) == min(3, most)
    assert Budget(requests=5).room(spent, bound, most) == 0
    assert Budget().room(spent, bound, most) == most


def test_each_answer_keeps_the_price_it_was_bought_at():
    """A run that changes over is not cheaper in hindsight, and open slots may hold answers of the dearer time."""
    million = Usage(requests=1, completion_tokens=1_000_000)
    caps = Budget(usd=3, price=MINI, batch_price=MINI.in_batch())
    bound, most = SlotBound(completion_tokens=1_000_000), SlotBound(completion_tokens=375_000)
    spent = caps.spent(million + million, by_batch=million)

    assert [caps.spent(million).usd, caps.spent(million, million).usd] == [Decimal("1.6"), Decimal("0.8")]
    assert spent == Amount(Decimal("2.4"), 2_000_000, 2)
    assert caps.reserved(bound, 1).usd == Decimal("1.6")
    assert caps.fits(spent, 0, most)
    assert not caps.fits(spent, 0, most + SlotBound(completion_tokens=1))
    only_batch = Budget(usd=3, price=MINI, batch_price=MINI.in_batch(), only_batch=True)
    assert only_batch.reserved(bound, 1).usd == Decimal("0.8")


def test_no_run_overshoots_its_caps_and_all_end_at_the_same_slot():
    """Simulated with random prices, caps and usages, at windows of 1 to 64 slots that finish in any order."""
    for seed in range(60):
        rng = random.Random(seed)
        price = Price(input=f"{rng.uniform(0, 3):.2f}", output=f"{rng.uniform(0, 9):.2f}")
        bound = SlotBound(requests=2, prompt_tokens=rng.randint(1, 3000), completion_tokens=rng.randint(1, 900))
        caps = {
            "usd": rng.choice([None, f"{rng.uniform(0.001, 0.5):.4f}"]),
            "tokens": rng.choice([None, rng.randint(1, 200_000)]),
            "requests": rng.randint(1, 200),
        }
        bills = [
            Usage(
                requests=rng.randint(0, 2), prompt_tokens=rng.randint(0, bound.prompt_tokens),
                completion_tokens=rng.randint(0, bound.completion_tokens),
            )
            for _ in range(300)
        ]  # fmt: skip
        budget = Budget(price=price, **caps)
        ends = set()
        for window in (1, 4, 64):
            billed, most_billed = Usage(), Usage()
            closed, started = 0, 0
            while True:
                spent = budget.spent(billed)
                while started < 300 and started - closed < window and budget.fits(spent, started - closed, bound):
                    started += 1
                # everything in flight may be answered and billed before the next commit
                most_billed = billed + sum(bills[closed:started], Usage())
                assert caps["usd"] is None or price.cost(most_billed) <= Decimal(caps["usd"])
                assert caps["tokens"] is None or most_billed.tokens <= caps["tokens"]
                assert most_billed.requests <= caps["requests"]
                if started == closed:
                    break
                billed += bills[closed]
                closed += 1
            ends.add(closed)
        assert len(ends) == 1, seed


def test_free_is_free():
    """Local and scripted teachers cost nothing."""
    assert FREE.cost(Usage(prompt_tokens=10**9, completion_tokens=10**9)) == 0


def test_a_teachers_price_comes_from_its_option_else_from_the_table():
    """Local and scripted teachers are free; an unknown model has no price."""
    assert OpenAITeacher(model="gpt-4.1-mini").known_price() == MINI
    assert OpenAITeacher(model="gpt-4.1-mini", price={"input": 1, "output": 2}).known_price() == Price(
        input=1, output=2
    )
    assert OpenAITeacher(model="qwen3:8b").known_price() is None
    assert ScriptedTeacher(replies=("x",)).known_price() == LocalTeacher().known_price() == FREE
    assert all("price" in cls.movable for cls in (OpenAITeacher, ScriptedTeacher, LocalTeacher))
