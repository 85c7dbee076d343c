"""Limits that hold in every window, and places that adapt."""

import asyncio
import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructgen.teachers.limits import ON_THE_WAY, Pace, Places, Window


def most_within(moments, amounts, length):
    """The largest sum of amounts within any window of this length, by brute force."""
    return max(
        sum(amount for moment, amount in zip(moments, amounts, strict=True) if start <= moment < start + length)
        for start in moments
    )


@settings(max_examples=300)
@given(
    limit=st.integers(1, 20),
    asks=st.lists(
        st.tuples(st.floats(0, 30), st.integers(1, 5), st.floats(0, ON_THE_WAY), st.floats(0, 40)),
        min_size=1,
        max_size=60,
    ),
)
def test_no_window_at_the_endpoint_wherever_it_begins_holds_more_than_the_limit(limit, asks):
    """Requests go as soon as `wait` allows, arrive up to a second later, are answered whenever: the limit holds."""
    window, now, arrived, answers = Window(limit), 0.0, [], []
    for gap, amount, way, thinking in asks:
        now += gap
        if amount > limit:
            assert window.wait(amount, now) == math.inf
            continue
        for moment, spent in answers:
            if moment <= now:
                spent.arrived = min(spent.arrived, moment)
        while wait := window.wait(amount, now):
            now += max(wait, 1e-9)
        spent = window.take(amount, now)
        arrived.append((now + way, amount))
        answers.append((now + way + thinking, spent))

    assert not arrived or most_within(*zip(*arrived, strict=True), 60 - 1e-6) <= limit


def test_window_lets_go_as_soon_as_the_first_has_left():
    """The limit is used fully: the fourth of three a minute goes a minute after the first was answered."""
    window = Window(3, 60)
    first = window.take(1, 0)
    first.arrived = 0.2  # the answer came then
    for now in (1, 2):
        assert window.wait(1, now) == 0
        window.take(1, now)

    assert window.wait(1, 3) == pytest.approx(57.2)
    assert window.wait(1, 60.2) == 0


def test_settling_frees_what_was_reserved_in_excess():
    """A reservation becomes what the answer really took, and counts until the window has passed."""
    window = Window(100, 60)
    spent = window.take(90, 0)
    assert window.wait(20, 1) > 0

    window.settle(spent, 30)
    assert window.wait(20, 1) == 0
    assert window.wait(71, 1) > 0

    assert window.wait(100, 62) == 0
    window.settle(spent, 5000)
    assert window.wait(100, 62) == 0


def test_an_answer_frees_those_who_wait_for_its_tokens():
    """Nobody sleeps through the moment at which a large reservation turns out small."""

    async def ask():
        pace, loop = Pace(None, 100, Random(0)), asyncio.get_running_loop()
        first = await pace.enter(90)
        second = asyncio.create_task(pace.enter(50))
        await asyncio.sleep(0.05)
        assert not second.done()
        began = loop.time()
        pace.landed(first, began, used=10)
        await second
        return loop.time() - began

    assert asyncio.run(ask()) < 1


def test_pace_keeps_both_limits_and_spreads_requests_evenly():
    """120 requests a minute: none of the real windows holds more, and no second holds more than twice its share."""

    async def ask():
        pace = Pace(120, None, Random(0), minute=6.0)  # ten times as fast, to be done in time
        loop = asyncio.get_running_loop()
        moments = []

        async def one():
            ticket = await pace.enter(1)
            moments.append(loop.time())
            pace.landed(ticket, loop.time())

        await asyncio.gather(*(one() for _ in range(180)))
        return moments

    moments = asyncio.run(ask())

    assert most_within(moments, [1] * 180, 6.0) <= 120
    assert most_within(moments, [1] * 180, 0.1) <= 4


def test_pace_holds_everyone_while_the_endpoint_asks_for_a_pause():
    """After Retry-After nothing goes before its time, and everything after it."""

    async def ask():
        pace, loop = Pace(None, None, Random(0)), asyncio.get_running_loop()
        began = loop.time()
        assert pace.free(began)
        pace.hold(began + 0.2)
        pace.hold(began + 0.1)
        assert not pace.free(loop.time())
        assert 0.15 < pace.delay(loop.time()) <= 0.2
        await asyncio.gather(*(pace.enter(1) for _ in range(50)))
        assert pace.free(loop.time())
        return loop.time() - began

    assert 0.2 <= asyncio.run(ask()) < 0.5


def test_pace_serves_waiters_in_the_order_they_came():
    """A large request at the head is not overtaken by small ones for ever."""

    async def ask():
        pace, order = Pace(None, 100, Random(0), minute=0.3), []

        async def one(name, tokens):
            pace.landed(await pace.enter(tokens), asyncio.get_running_loop().time())
            order.append(name)

        await asyncio.gather(one("first", 90), one("large", 80), one("small", 5))
        return order

    assert asyncio.run(ask()) == ["first", "large", "small"]


def test_places_grow_by_one_a_round_while_they_are_used():
    """Additive increase: as many successes as there are places add about one, up to the most."""

    async def use():
        places = Places(4, 6)
        for _ in range(4):
            await places.enter()
        for _ in range(5):
            places.went_well()
        assert places.count == 5
        for _ in range(100):
            places.went_well()
        return places.count

    assert asyncio.run(use()) == 6


def test_places_that_are_not_used_do_not_grow():
    """A trickle of requests says nothing about what the endpoint can bear."""
    places = Places(8, 64)
    for _ in range(1000):
        places.went_well()

    assert places.count == 8


def test_an_overload_counts_once_for_all_that_was_in_flight():
    """Ten 429s of one volley cut once; one sent after the cut cuts again; one place always stays."""
    places = Places(100, 100)
    assert [places.overloaded(sent_at=0.0, now=1.0) for _ in range(10)] == [True] + [False] * 9
    assert places.count == 70
    assert places.overloaded(sent_at=1.5, now=2.0)
    assert places.count == 49
    for now in range(3, 40):
        places.overloaded(sent_at=now, now=now + 0.5)
    assert places.count == 1


def test_places_wait_in_turn_and_survive_cancelled_waiters():
    """However many waiters give up, no place is lost and none is handed out twice."""

    async def use():
        places, most = Places(3, 3), 0

        async def one():
            nonlocal most
            await places.enter()
            try:
                most = max(most, places.in_flight)
                await asyncio.sleep(0.002)
            finally:
                places.leave()

        rng = Random(1)
        ones = [asyncio.create_task(one()) for _ in range(200)]
        for each in ones:
            if rng.random() < 0.5:
                await asyncio.sleep(0.0005)
                each.cancel()
        await asyncio.gather(*ones, return_exceptions=True)
        return most, places.in_flight

    assert asyncio.run(use()) == (3, 0)
