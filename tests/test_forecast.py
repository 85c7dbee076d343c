"""The forecast of a run's cost."""

import random

import pytest

from instructgen.forecast import SlotCost, forecast, waves
from instructgen.records import Usage
from instructgen.teachers.prices import Price

PRICE = Price(input="1", output="2")


def slot(accepted, parsed=4, requests=3, prompt=1_000, completion=500):
    return SlotCost(parsed, accepted, Usage(requests=requests, prompt_tokens=prompt, completion_tokens=completion))


def test_equal_slots_give_an_exact_forecast():
    """Ten slots of two samples: fifty slots to a hundred, and no spread."""
    found = forecast([slot(2)] * 10, 100, 20.0, PRICE)

    assert found.slots == pytest.approx((50, 50, 50))
    assert found.requests == pytest.approx((150, 150, 150))
    assert found.tokens == pytest.approx((75_000,) * 3)
    assert found.usd == pytest.approx((50 * (1_000 * 1 + 500 * 2) / 1e6,) * 3)
    assert found.seconds == pytest.approx((100, 100, 100))
    assert found.acceptance == pytest.approx((0.5, 0.5, 0.5))


def test_nothing_accepted_is_no_forecast():
    """Without a single sample there is nothing to go by."""
    assert forecast([slot(0)] * 20, 100, 1.0, None) is None


def test_without_a_price_there_are_no_dollars():
    """An unknown price is not zero dollars."""
    assert forecast([slot(1)] * 5, 10, 1.0, None).usd is None


def test_an_unknown_pace_is_no_time():
    """Slots that an earlier sitting closed say nothing of how long the others take."""
    assert forecast([slot(1)] * 5, 10, None, None).seconds is None


def test_a_budget_makes_waves_smaller_and_more():
    """Nine slots' worth of money and three reserved for each open one: waves of 3, 2, 1, 1, then no more fits."""
    assert waves(500, 64, 1, lambda closed: (9 - closed) // 3) == 4
    assert waves(500, 64, 2, lambda closed: 50) == 20


def test_a_pilot_that_dries_up_is_carried_on_by_its_later_half():
    """Four of four at first, one of four since: the rest takes as many slots as the later ones say."""
    found = forecast([slot(4)] * 10 + [slot(1)] * 10, 150, 20.0, PRICE)

    assert found.fall == (1.0, 0.25)
    assert found.slots == pytest.approx((120, 120, 120))
    assert found.acceptance == pytest.approx((0.25, 0.25, 0.25))


@pytest.mark.parametrize("later", [[slot(3)] * 10, [slot(1)] * 9, [slot(4, parsed=5)] * 10])
def test_a_small_difference_or_few_candidates_are_no_fall(later):
    """A quarter less is said; chance is not."""
    assert forecast([slot(4)] * len(later) + later, 150, 20.0, PRICE).fall is None


def test_a_pilot_whose_later_half_gave_nothing_is_carried_on_by_all():
    """No number of slots would reach the target by that half; the fall is said."""
    found = forecast([slot(4)] * 10 + [slot(0)] * 10, 80, 20.0, PRICE)

    assert found.fall == (1.0, 0.0)
    assert found.slots == pytest.approx((40, 40, 40), rel=0.5)


def test_a_reached_target_costs_what_was_spent():
    """Nothing is left to buy."""
    found = forecast([slot(2)] * 10, 15, 5.0, PRICE)

    assert found.requests == pytest.approx((30, 30, 30))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 40 pilots of 20 uneven slots, the 80 % interval holds the true cost in 65 to 95 %."""
    chance = random.Random(4)

    def draw():
        return slot(chance.choice([0, 1, 2, 5]), requests=chance.choice([2, 3, 8]))

    truth = 1_000 / 2.0 * (13 / 3)
    held = 0
    for _ in range(40):
        low, high = forecast([draw() for _ in range(20)], 1_000, 1.0, None).requests[1:]
        held += low <= truth <= high

    assert 26 <= held <= 39
