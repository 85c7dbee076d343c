"""A limit holds across sittings: what was sent in the last minute is found again, whatever the clocks say."""

import asyncio
import json
from functools import partial
from random import Random

import pytest

from instructgen.recipe import parse_recipe
from instructgen.sitting import generate
from instructgen.teachers import route, sent
from instructgen.teachers.limits import ON_THE_WAY, Pace
from instructgen.teachers.sent import NAME, Clocks, Sent, SentBook
from tests.servers.faults import Faults
from tests.servers.openai_server import serve
from tests.servers.practice_answers import answer

BEGUN = Clocks("boot-1", 1_000.0, 1_795_000_000.0)


@pytest.fixture
def clock(monkeypatch):
    """Set what the clocks say."""

    def at(clocks):
        monkeypatch.setattr(sent.Clocks, "now", classmethod(lambda _: clocks))
        monkeypatch.setattr(sent, "_since_boot", lambda: clocks.since_boot)

    return at


def written(clock, folder):
    """Two requests, the first answered after 5 s with 30 tokens; the process is killed then."""
    clock(BEGUN)
    book = Sent(SentBook(folder), "here")
    first = book.note(400)
    book.note(500)
    clock(BEGUN._replace(since_boot=BEGUN.since_boot + 0.5, wall=BEGUN.wall + 0.5))
    book.settle(first, 30)


@pytest.mark.parametrize(
    ("boot", "since_boot", "wall", "ages"),
    [
        ("boot-1", 1_020.0, 1_795_000_020.0, [(19.5, 30), (19, 500)]),
        ("boot-1", 1_020.0, 1_794_000_000.0, [(19.5, 30), (19, 500)]),  # the wall clock was set back meanwhile
        ("boot-1", 1_100.0, 1_795_000_001.0, []),  # and here, too
        ("boot-2", 3.0, 1_795_000_020.0, [(19.5, 30), (19, 500)]),  # another machine
        ("boot-2", 9_999.0, 1_794_000_000.0, [(-ON_THE_WAY, 30), (-ON_THE_WAY, 500)]),  # whose clock is behind
        ("boot-2", 3.0, 1_795_009_000.0, []),
        ("", 1_020.0, 1_795_000_020.0, [(19.5, 30), (19, 500)]),  # a system that does not name its starts
    ],
)
def test_how_long_ago_by_whatever_clock_there_is(tmp_path, clock, boot, since_boot, wall, ages):
    """The machine's own where it still runs, else the wall clock; never more than a minute's wait."""
    written(clock, tmp_path)
    clock(Clocks(boot, since_boot, wall))
    found = Sent(SentBook(tmp_path), "here").earlier()

    assert [(round(age, 3), tokens) for age, tokens in sorted(found)] == sorted(ages)
    assert Sent(SentBook(tmp_path), "elsewhere").earlier() == []


def test_torn_and_foreign_lines_are_left_out(tmp_path, clock):
    """A kill in mid-line, and whatever else stands there."""
    written(clock, tmp_path)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'[]\nnull\n{"number": 9}\n{"to": "here", "number": 3, "at": "x", "tokens": 1}\n{"to": "he')

    assert len(Sent(SentBook(tmp_path), "here").earlier()) == 2


def test_the_third_sitting_knows_the_first(tmp_path, clock):
    """The file is begun anew with what still counts, and holds no more than that."""
    written(clock, tmp_path)
    clock(BEGUN._replace(since_boot=1_030.0, wall=BEGUN.wall + 30))
    Sent(SentBook(tmp_path), "here").note(7)
    clock(BEGUN._replace(since_boot=1_050.0, wall=BEGUN.wall + 50))

    assert [tokens for _, tokens in Sent(SentBook(tmp_path), "here").earlier()] == [30, 500, 7]
    book = Sent(SentBook(tmp_path), "here")
    for second in range(1_100, 3_000):
        clock(BEGUN._replace(since_boot=float(second)))
        book.note(1)
    assert len((tmp_path / NAME).read_bytes().splitlines()) < 2 * sent.BEGUN_ANEW


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_memory(tmp_path):
    """An aid that fails is not an error."""
    (tmp_path / NAME).mkdir()
    book = Sent(SentBook(tmp_path), "here")
    book.settle(book.note(5), 5)

    assert book.earlier() == []


def test_a_new_pace_waits_for_what_an_earlier_one_sent(tmp_path):
    """Three a minute, two of them sent by a sitting that was killed: one goes now, the next when they have left."""

    async def story():
        first = Pace(3, None, Random(0), minute=2.0, book=Sent(SentBook(tmp_path), "here"))
        for _ in range(2):
            first.landed(await first.enter(10), asyncio.get_running_loop().time(), 10)
            await asyncio.sleep(0.1)
        second = Pace(3, None, Random(0), minute=2.0, book=Sent(SentBook(tmp_path), "here"))
        now = asyncio.get_running_loop().time()
        alone = second.delay(now)
        await second.enter(10)
        return alone, second.delay(asyncio.get_running_loop().time())

    alone, waits = asyncio.run(story())
    assert alone == 0
    assert 1 < waits < 2


@pytest.mark.parametrize("stated", [{"requests_per_minute": 15}, {"tokens_per_minute": 5_000}])
def test_no_429_when_a_run_is_gone_on_with_within_the_minute(tmp_path, monkeypatch, stated):
    """Sitting after sitting, each as fast as it may: the endpoint never sees more than was stated."""
    minute = 1.5
    monkeypatch.setattr(route, "Pace", partial(Pace, minute=minute))
    with serve(answer, Faults(minute=minute, **stated)) as server:
        for pilot in (1, 2, 3, None):
            recipe = parse_recipe({
                "seed": 3, "target": 14, "seeds": "seeds/general.jsonl", "window": 16,
                "teacher": {"kind": "openai", "model": "m", "base_url": server.url, **stated},
                "generator": {"kind": "self_instruct", "form": "short"},
            })  # fmt: skip
            generate(recipe, tmp_path / "run", pilot=pilot)

        assert server.bill.over_limit == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / NAME).read_bytes().splitlines()]
    assert lines[0].keys() == {"boot", "since_boot", "wall"}
