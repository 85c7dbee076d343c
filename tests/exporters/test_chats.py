"""Conversations of texts are exported without making samples, whatever stands beside them: the same folder, sooner."""

import copy
import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructgen import registry
from instructgen.exporters.folder import Options, export
from instructgen.exporters.rendering import Renderer
from instructgen.formats import Unwritable, light
from instructgen.formats.chats import Chats
from instructgen.formats.detect import read
from instructgen.formats.holds import carried, columns_of
from instructgen.formats.light import read_light, samples_of
from instructgen.formats.messages import Messages
from instructgen.formats.sample import SampleRows
from instructgen.formats.single import writes_chats
from instructgen.records import Rejection, Sample
from tests.exporters.test_folder import tree
from tests.exporters.test_singles import HARD, texts
from tests.formats.holding import ANYTHING, CHAT

SHAPES = {name: registry.lookup("formats", name)() for name in registry.names("formats")}
WRITTEN = [SHAPES[name] for name in ("alpaca", "messages", "sharegpt", "flan", "openai", "sample")]
TURNS = [{"role": "user", "content": "Hi é"}, {"role": "assistant", "content": "Ho"}]
ODD = [
    {}, {"turns": []}, {"turns": None}, {"turns": TURNS, "id": 7}, {"turns": TURNS, "id": None}, {"id": "own name"},
    {"id": ""}, {"id": "é"}, {"id": "0" * 20}, {"id": "5acbc4a0ce3b3e6c2d9b-2"}, {"unknown": 1}, {"tools": []},
    {"labels": None}, {"labels": []}, {"labels": {"x": float("nan")}}, {"labels": {"x": 2**70}},
    {"labels": {"x": (1,)}},
    {"labels": {"x": {1: 2}}}, {"labels": {"x": b"x"}}, {"labels": {"category": 3}},
    {"labels": {"category": "é", "b": 1.5}},
    {"labels": {"half \ud83d": "a"}}, {"labels": {"a": ["half \ud83d"]}}, {"extra": {"messages": "x", "id": "y"}},
    {"extra": {"": {"a": [1, {"b": None}]}}}, {"extra": {"k" * 70: True, "k" * 71: False}}, {"provenance": None},
    {"provenance": {"draft": "3"}}, {"provenance": {"draft": 3.0}}, {"provenance": {"draft": True}},
    {"provenance": {"draft": 0, "source": "", "notes": {}, "parents": []}}, {"provenance": {"parents": ["a", 1]}},
    {"provenance": {"prompts": {"a": 1}}}, {"provenance": {"prompts": {"a": "1"}, "notes": {"lang": [1], "id": "x"}}},
    {"provenance": {"other": 1}}, {"provenance": {"source": "half \ud83d"}},
    {"provenance": {"licence": "cc-by-nc-4.0"}},
    {"sample": "[1]"}, {"sample": "null"}, {"sample": "{}"}, {"sample": 1},
    {"provenance": {"source_id": "r7", "language": "de"}}, {"provenance": "text"}, {"provenance": '{"source":"ours"}'},
]  # fmt: skip
ODD_TURNS = [
    {"input": "given"}, {"input": ""}, {"input": 7}, {"content": ""}, {"content": None}, {"content": "half \ud83d"},
    {"content": "<|im_end|>"}, {"content": " \u2003"}, {"role": "system"}, {"role": "assistant"}, {"role": "user"},
    {"role": "tool"}, {"role": "alien"}, {"role": ["user"]}, {"name": "Ann"}, {"name": ""}, {"weight": 1}, {"x": 1},
]  # fmt: skip


@st.composite
def forms(draw):
    """Samples in their JSON form, most of them conversations of texts, with something odd in some."""
    form = copy.deepcopy(draw(st.sampled_from([CHAT, CHAT, CHAT, ANYTHING]).flatmap(lambda kind: kind)).as_json())
    if draw(st.booleans()):
        del form["id"]
    form = {**form, **copy.deepcopy(draw(st.sampled_from([{}, {}, *ODD])))}
    if draw(st.booleans()) and form.get("turns"):
        draw(st.sampled_from(form["turns"])).update(draw(st.sampled_from(ODD_TURNS) | texts().map(_said)))
    return form


def _said(text):
    return {"content": text}


def parted(made):
    """Return samples and rejections apart."""
    rejections = [one.as_json() for one in made if isinstance(one, Rejection)]
    return [one for kept in made if not isinstance(kept, Rejection) for one in samples_of(kept)], rejections


def both_ways(tmp_path, rows, shape, written=WRITTEN, **options):
    """Export rows in full and by chats; return both folders' bytes, or what the export was refused for."""
    told = []
    for name, reader in (("full", read), ("light", read_light)):
        made = [one for one in reader(list(enumerate(rows, 1)), shape, "rows") if not isinstance(one, Rejection)]
        try:
            export(made, written, tmp_path / name, Options(**options))
        except Exception as error:  # the same one both ways
            told.append(repr(error).replace(name, ""))
        else:
            told.append(tree(tmp_path / name))
    return told


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """Two chats side by side stay chats."""
    monkeypatch.setattr(light, "FEW", 2)


@given(rows=st.lists(forms(), max_size=8), source=st.sampled_from(["", "rows"]))
@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
def test_chats_are_their_samples(rows, source):
    """Whatever stands in a sample's JSON: the same samples, in order, and the same rejections as the full reader."""
    full = parted(list(read(enumerate(rows, 1), SampleRows(), source)))
    assert parted(list(read_light(enumerate(copy.deepcopy(rows), 1), SampleRows(), source))) == full


@pytest.mark.parametrize("text", ["[1]", "3", "null", '"x"', ""])
def test_a_text_that_is_no_sample_is_a_row_that_cannot_be_read(text):
    (made,) = read_light([(1, {"sample": text})], SampleRows())
    assert isinstance(made, Rejection)
    assert made.reason == "wrong_type"


@given(rows=st.lists(forms(), min_size=1, max_size=25))
@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
def test_any_forms_give_the_same_folder(tmp_path_factory, rows):
    """Ids, splits, lines, columns, provenance, statistics, findings, what is left out and not shown: every byte."""
    folder = tmp_path_factory.mktemp("chats")
    full, made = both_ways(
        folder, rows, SampleRows(), splits={"test": 0.3}, special_tokens=("<|x|>", "\n\n"), context=6
    )
    assert full == made


def many():
    """Chats of all kinds: inputs, system messages, several turns, repeats, labels, licences, notes."""
    for n in range(400):
        turns = [{"role": "user", "content": f"Word{n} {n // 3}?"}, {"role": "assistant", "content": "x" * (n % 4)}]
        turns[0] |= {"input": "given"} if n % 3 == 0 else {}
        turns[:0] = [{"role": "system", "content": "Be kind."}] if n % 5 == 0 else []
        turns += [{"role": "user", "content": "More <|im_end|>"}, {"role": "assistant", "content": "No."}] * (
            n % 7 == 0
        )
        turns += [{"role": "user", "content": "And?", "input": "tail"}] if n % 31 == 0 else []
        known = {
            "source": f"s{n % 3}",
            "licence": ("", "mit", "cc-by-nc-4.0")[n % 3],
            "notes": {"lang": n} if n % 2 else {},
        }
        labels = {"category": f"c{n % 60}", "n": n % 2} if n % 4 else {}
        yield {"turns": turns, "labels": labels, "extra": {"messages": n} if n % 11 == 0 else {}, "provenance": known}


@given(rows=st.lists(forms(), min_size=1, max_size=6), name=st.sampled_from(["alpaca", "messages", "sharegpt"]),
       provenance=st.sampled_from(["json", "columns"]), odd=st.sampled_from(ODD))  # fmt: skip
@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
def test_rows_of_our_exports_are_restored(rows, name, provenance, odd):
    """What an export has put beside its rows is put back: inputs, labels, provenance, numbers of repeats."""
    shape = SHAPES[name]
    given = parted(list(read(enumerate(rows, 1), SampleRows(), "rows")))[0]
    rows = []
    for sample in given:
        with suppress(Unwritable, TypeError, UnicodeError):  # what no export writes
            known = {**carried(sample, shape), **odd}
            beside = {"provenance": json.dumps(known, default=repr)} if provenance == "json" else columns_of([known])
            rows += [{**shape.write(sample), **beside, "id": sample.id + end} for end in ("", "-2", "-x")]
    full = parted(list(read(enumerate(rows, 1), shape, "rows")))
    assert parted(list(read_light(enumerate(copy.deepcopy(rows), 1), shape, "rows"))) == full


@pytest.mark.parametrize("options", [
    {"splits": {"test": 0.2, "val": 0.1}, "seed": 3, "licence": "mit"}, {"provenance": "none"},
    {"provenance": "columns", "context": 8, "licence": "cc-by-sa-4.0"}, {"commercial": True, "licence": "mit"},
    {"special_tokens": ("\n\n", "Word7")}, {"special_tokens": (), "strict": True},
])  # fmt: skip
def test_chats_give_the_same_folder(tmp_path, options):
    """With every option: splits, provenance as columns or left out, token counts, licences, `strict`."""
    rows = [*many()]
    if options.get("commercial"):
        rows = [row for row in rows if row["provenance"]["licence"] == "mit"]
    full, made = both_ways(tmp_path, rows, SampleRows(), **options)
    assert full == made
    assert isinstance(full, str) == bool(options.get("strict"))


@pytest.mark.parametrize("name", ["alpaca", "dolly", "messages", "openai", "sharegpt"])
def test_rows_of_a_shape_give_the_same_folder(tmp_path, name):
    """Rows with labels and ids, in the shapes that most datasets have; those that have more stand between."""
    shape, rows = SHAPES[name], []
    for n, form in enumerate(many()):
        made = [{"role": turn["role"], "content": turn["content"]} for turn in form["turns"]]
        said = [
            {"from": {"user": "human", "assistant": "gpt"}.get(one["role"], "system"), "value": one["content"]}
            for one in made
        ]
        single = {"instruction": f"Do {n}", "input": "x" * (n % 3), "output": "é" * (n % 5)}
        row = {
            "alpaca": single, "dolly": {"context": single["input"], "response": single["output"], **single},
            "messages": {"messages": made}, "openai": {"messages": made}, "sharegpt": {"conversations": said},
        }[name]  # fmt: skip
        more = (
            {"category": f"c{n % 3}"},
            {"id": n},
            {"id": f"r{n}", "other": [1]},
            {"label": None},
            {},
            {"tools": "x"},
        )
        rows.append({**row, **more[n % 6]})
    rows[200:200] = HARD
    full, made = both_ways(tmp_path, rows, shape, [SHAPES[one] for one in ("alpaca", "messages", "sharegpt", "flan")])
    assert full == made


def test_chats_do_not_become_samples(tmp_path, monkeypatch):
    """The faster way is taken where it can be: no sample is made of conversations of texts."""

    def refused(*_):
        raise AssertionError("a sample was made")

    monkeypatch.setattr(Renderer, "_of_samples", refused)
    monkeypatch.setattr(Sample, "model_validate", refused)
    done = export(read_light(enumerate(many(), 1), SampleRows()), WRITTEN[:4], tmp_path / "out", Options(context=9))
    assert done.samples == 400
    assert done.left_out["alpaca"]["system"] == done.left_out["flan"]["system"]


class Shouting(Messages):
    """A shape of someone else, who changed what is written and said nothing of the faster way."""

    name = "shouting"

    def write(self, sample):
        """Return the row in capitals."""
        return {
            "messages": [{**turn, "content": turn["content"].upper()} for turn in super().write(sample)["messages"]]
        }


def test_shapes_that_change_what_is_written_are_asked_in_full(tmp_path):
    """A subclass that overrides `write` alone is heard, though it inherits `write_chats`."""
    assert writes_chats(Messages())
    assert not writes_chats(Shouting())
    made = list(read_light(enumerate(many(), 1), SampleRows()))
    assert isinstance(made[0], Chats)
    export(made, [Shouting()], tmp_path / "out")
    assert "WORD0 0?" in (tmp_path / "out/jsonl/shouting-train.jsonl").read_text().splitlines()[0]
