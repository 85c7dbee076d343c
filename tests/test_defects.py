"""Filters, generators and packages of others that go wrong: one message that says whose, where, and which line."""

from importlib.metadata import EntryPoint
from typing import Literal

import orjson
import pytest
from typer.testing import CliRunner

from instructgen import registry
from instructgen.cli import app
from instructgen.filters import Filter
from instructgen.generators import Generator
from instructgen.records import Params, Request, Sample, SlotBound, Turn


class Breaks(Filter):
    """Fails at what says so."""

    kind: Literal["breaks"] = "breaks"
    how: str = "raise"

    def check(self, sample, since=0, until=None):
        if "bad" not in sample.instruction:
            return None
        if self.how == "raise":
            return {}["no such key"]
        return False


class Remembers(Breaks):
    memory = True
    kind: Literal["remembers"] = "remembers"


class Odd(Generator):
    """Breaks the contract in the way that its option says."""

    kind: Literal["odd"] = "odd"
    how: str = "good"

    def flow(self, pool, rng):
        if self.how == "at once":
            return []
        return self._flow()

    def _flow(self):
        said = (
            yield "a string"
            if self.how == "yields"
            else Request(messages=(Turn(role="user", content="x"),), params=Params(max_tokens=9))
        )
        if self.how == "returns":
            return said.text
        if self.how == "raises":
            return 1 / 0
        return [Sample.single("a bad instruction", output=said.text), *(["text"] if self.how == "holds" else [])]

    def slot_bound(self):
        return SlotBound(requests=1, prompt_tokens=200, completion_tokens=9)


class Asks(Generator):
    """Needs two requests a slot; declares what its option says."""

    kind: Literal["asks"] = "asks"
    declared: int = 1

    def flow(self, pool, rng):
        for part in ("first", "second"):
            said = yield Request(messages=(Turn(role="user", content=part),), params=Params(max_tokens=9))
            if said.refusal:
                return [said.rejected()]
        return [said.rejected("garbled")]

    def slot_bound(self):
        return SlotBound(requests=self.declared, prompt_tokens=2000, completion_tokens=90)


OWN = {"filters": {"breaks": Breaks, "remembers": Remembers}, "generators": {"odd": Odd, "asks": Asks}}


@pytest.fixture(autouse=True)
def _plugins(monkeypatch):
    points = {
        kind: {name: EntryPoint(name, f"{cls.__module__}:{cls.__name__}", f"instructgen.{kind}")
               for name, cls in classes.items()}
        for kind, classes in OWN.items()
    }  # fmt: skip
    points["generators"]["torn"] = EntryPoint("torn", "tests.no_such_module:Torn", "instructgen.generators")
    monkeypatch.setattr(registry, "_plugins", lambda kind: points.get(kind, {}))
    monkeypatch.setattr(EntryPoint, "load", lambda point: OWN[point.group.partition(".")[2]][point.name]
                        if point.name != "torn" else __import__("no_such_module"))  # fmt: skip


def run(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def rows(path, count=40, bad=30):
    lines = [{"instruction": f"{'bad' if n == bad else 'good'} task {n}", "output": f"x{n}"} for n in range(1, count)]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


@pytest.mark.parametrize("filters", ["[{kind: breaks}]", "[{kind: remembers}]", "[{kind: exact}, {kind: remembers}]"])
def test_clean_names_the_filter_the_row_and_the_line(tmp_path, filters):
    """A filter's exception is one message; with -v its traceback is there."""
    (tmp_path / "r.yaml").write_text(f"filters: {filters}")
    command = ("clean", rows(tmp_path / "in.jsonl"), "--into", tmp_path / "out", "--recipe", tmp_path / "r.yaml")

    code, said = run(*command)

    assert code == 1
    assert "failed in row 30: KeyError: 'no such key'" in said
    assert "test_defects.py" in said and 'in check: return {}["no such key"]' in said
    assert "Traceback" not in said
    assert "Traceback" in run(*command, "-v")[1]


def test_clean_names_a_filter_that_answers_neither_rejection_nor_none(tmp_path):
    """False is no verdict: the row would be kept or lost without a reason."""
    (tmp_path / "r.yaml").write_text("filters: [{kind: breaks, how: 'false'}]")

    said = run("clean", rows(tmp_path / "in.jsonl"), "--into", tmp_path / "out", "--recipe", tmp_path / "r.yaml")[1]

    assert "filter 'breaks'" in said and "row 30: it answered False (bool), expected a Rejection" in said


@pytest.mark.parametrize(
    ("how", "filters", "message"),
    [
        ("yields", "", "generator 'odd'|slot 0: its flow yielded 'a string' (str), expected a Request"),
        ("returns", "", "generator 'odd'|slot 0: its flow returned 'Yes.' (str), expected a list of Sample"),
        ("holds", "", "slot 0: its flow returned 'text' (str), expected a list of Sample"),
        ("at once", "", "slot 0: its flow returned [] (list) at once, expected a function that yields"),
        ("raises", "", "slot 0: ZeroDivisionError: division by zero|in _flow: return 1 / 0"),
        ("good", "{kind: breaks}", "filter 'breaks'|slot 0: KeyError|in check: return {}"),
        ("good", "{kind: remembers}", "filter 'remembers'|slot 0: KeyError"),
    ],
)
def test_generate_names_the_slot(tmp_path, how, filters, message):
    """What a generator or filter of somebody's own does wrong is told with the slot, in one message."""
    (tmp_path / "replies.jsonl").write_text('{"reply": "Yes."}\n' * 4)
    (tmp_path / "r.yaml").write_text(
        f"target: 2\nwindow: 1\ngenerator: {{kind: odd, how: {how}}}\nfilters: [{filters}]\n"
        f"teacher: {{kind: scripted, replies: {tmp_path}/replies.jsonl}}"
    )

    code, said = run("generate", tmp_path / "r.yaml", "--into", tmp_path / "run", "-v")

    assert code == 1
    for part in message.split("|"):
        assert part in said
    assert "Traceback" not in said
    if how == "raises":
        assert "Traceback" in (tmp_path / "run/run.log").read_text()


def test_a_package_that_cannot_be_imported_is_named_and_the_others_are_listed(tmp_path, monkeypatch):
    """`list` goes on past a broken package; a recipe that wants it gets one message."""
    code, said = run("list", "generators")

    assert code == 0
    assert "torn: BROKEN. generator 'torn' of an unknown package (tests.no_such_module:Torn) cannot be imported" in said
    assert "odd: Breaks the contract" in said and "self_instruct: " in said
    (tmp_path / "r.yaml").write_text("generator: torn\nteacher: {kind: scripted, replies: [x]}")
    said = run("generate", tmp_path / "r.yaml", "--into", tmp_path / "run")[1]
    assert "generator.kind: generator 'torn' of an unknown package" in said


def asking(tmp_path, declared, more=""):
    replies = ", ".join(["Yes."] * 60)
    (tmp_path / "r.yaml").write_text(
        f"target: 30\nwindow: 1\ngenerator: {{kind: asks, declared: {declared}}}\n{more}\n"
        f"teacher: {{kind: scripted, replies: [{replies}]}}"
    )
    return run("generate", tmp_path / "r.yaml", "--into", tmp_path / "run")


def test_a_declaration_that_is_too_small_stops_the_run_early(tmp_path):
    """When the first slots all ask more than is declared, the sitting stops after a few and says what to raise."""
    code, said = asking(tmp_path, 1)

    assert code == 1
    assert "generator 'asks' asks more than its slot_bound() declares, in each of the first 8 slots" in said
    assert "Raise slot_bound of 'asks'" in said
    assert (tmp_path / "run/decisions.jsonl").read_text().count("over_declared") == 8


@pytest.mark.parametrize(
    ("declared", "slots", "advice"),
    [(1, 4, "raise slot_bound of generator 'asks'"), (2, 12, "cannot be read (garbled); look at one with")],
)
def test_the_top_reason_decides_the_advice_of_the_ending(tmp_path, declared, slots, advice):
    """An ending that is not for novelty does not speak of novelty."""
    code, said = asking(tmp_path, declared, f"exhausted: {{slots: {slots}, below: 0.5}}")

    assert code == 0
    assert "Almost nothing is accepted any more: " in said and advice in said
    assert "novelty" not in said
