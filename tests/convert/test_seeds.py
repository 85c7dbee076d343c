"""Reading seeds files: three layouts, every script, and errors that name the place."""

import json
import os
import subprocess
import sys

import pytest

from instructgen.convert.seeds import load_seeds
from instructgen.errors import SeedError
from instructgen.records import Instance

OURS = {
    "id": "general-9",
    "category": "reasoning",
    "is_classification": True,
    "instruction": "Is the integer prime or composite?",
    "input": "91",
    "output": "composite",
}
SELF_INSTRUCT = {
    "id": "seed_task_4",
    "name": "tides",
    "instruction": "Say whether the tide is high or low.",
    "instances": [{"input": "06:10", "output": "low"}, {"input": "12:25", "output": "high"}],
    "is_classification": True,
}
ALPACA = {"instruction": "Name a river in Peru.", "input": "", "output": "Ucayali"}

CHINESE, ARABIC, EMOJI = "把下面的句子翻译成英文。", "اكتب جملة عن البحر", "👩🏽‍🚀🌊🏴‍☠️"


@pytest.fixture
def seeds_file(tmp_path):
    """Write rows (or raw lines) as a JSONL file and return its path."""

    def write(*rows, name="mine.jsonl"):
        path = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_bytes("\n".join(lines).encode())
        return path

    return write


def failure(path):
    with pytest.raises(SeedError) as caught:
        load_seeds(path)
    return str(caught.value)


def test_our_layout_keeps_every_field(seeds_file):
    """A row in our own layout comes back whole."""
    (seed,) = load_seeds(seeds_file(OURS | {"language": "en", "licence": "CC0-1.0"}))

    assert (seed.id, seed.category, seed.is_classification) == ("general-9", "reasoning", True)
    assert (seed.language, seed.licence) == ("en", "CC0-1.0")
    assert seed.instances == (Instance(input="91", output="composite"),)


def test_self_instruct_layout_keeps_all_instances(seeds_file):
    """Every instance of a Self-Instruct seed is kept, in order."""
    (seed,) = load_seeds(seeds_file(SELF_INSTRUCT))

    assert seed.id == "seed_task_4"
    assert [case.output for case in seed.instances] == ["low", "high"]


def test_layout_is_told_row_by_row(seeds_file):
    """One file may mix the layouts; rows without an id get the file's name and their line."""
    seeds = load_seeds(seeds_file(OURS, "", SELF_INSTRUCT, ALPACA))

    assert [seed.id for seed in seeds] == ["general-9", "seed_task_4", "mine-4"]
    assert seeds[2].is_classification is None


@pytest.mark.parametrize("name", ["alpaca.json", "alpaca.jsonl"])
def test_plain_alpaca_as_json_or_jsonl(tmp_path, name):
    """An Alpaca list and Alpaca lines give the same seeds; columns that are no seed's are passed over."""
    rows = [ALPACA | {"text": "Below is ..."}, ALPACA | {"instruction": "Name a lake in Peru.", "output": "Junin"}]
    text = json.dumps(rows, indent=1) if name.endswith(".json") else "\n".join(map(json.dumps, rows))
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    assert [(seed.id, seed.instances[0].output) for seed in load_seeds(path)] == [
        ("alpaca-1", "Ucayali"),
        ("alpaca-2", "Junin"),
    ]


def test_instruction_alone_is_a_seed_without_instances(seeds_file):
    """Prompt collections without answers are read; null counts as absent."""
    (seed,) = load_seeds(seeds_file({"instruction": "Tell me about the moon.", "input": None, "output": ""}))

    assert seed.instances == ()


def test_whole_number_ids_are_taken_as_text(seeds_file):
    """An id may be a JSON number, and the path a text."""
    assert load_seeds(str(seeds_file(ALPACA | {"id": 12})))[0].id == "12"


@pytest.mark.parametrize("text", [CHINESE, ARABIC, EMOJI, "água " * 9000], ids=["chinese", "arabic", "emoji", "50 kB"])
def test_any_script_and_size_goes_through_unharmed(seeds_file, text):
    """Text in any script, and 50 kB of it, is returned character for character."""
    path = seeds_file({"instruction": text, "input": text[::-1] if text.isascii() else text, "output": text + "!"})
    (seed,) = load_seeds(path)

    assert (seed.instruction, seed.instances[0].output) == (text, text + "!")


def test_reading_does_not_depend_on_the_locale(seeds_file):
    """In a process with an ASCII locale and no UTF-8 mode the same text arrives."""
    path = seeds_file({"instruction": CHINESE, "input": ARABIC, "output": EMOJI})
    code = (
        "import sys, pathlib\n"
        "from instructgen.convert.seeds import load_seeds\n"
        "seed = load_seeds(pathlib.Path(sys.argv[1]))[0]\n"
        "parts = [seed.instruction, seed.instances[0].input, seed.instances[0].output]\n"
        "print(sys.flags.utf8_mode, *(ascii(part) for part in parts), sep='\\n')\n"
    )
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, env=environment, check=True, timeout=60
    )

    assert done.stdout.decode().splitlines() == ["0", ascii(CHINESE), ascii(ARABIC), ascii(EMOJI)]


def test_half_a_surrogate_pair_becomes_a_replacement_character(seeds_file):
    """A lone surrogate escape, which no file can hold, does not get as far as a seed."""
    (seed,) = load_seeds(seeds_file(r'{"instruction": "Say hi \ud83d now please", "output": "hi"}'))

    assert seed.instruction == "Say hi \ufffd now please"


def test_missing_file_is_named(tmp_path):
    """The message names the path and the next move."""
    message = failure(tmp_path / "absent.jsonl")

    assert f"{tmp_path}/absent.jsonl: no such file" in message
    assert "name another" in message


@pytest.mark.parametrize(
    ("name", "content"),
    [("none.jsonl", ""), ("none", ""), ("blank.jsonl", "\n \n"), ("none.json", ""), ("list.json", "[]")],
)
def test_file_without_seeds_is_an_error(tmp_path, name, content):
    """An empty file, blank lines and an empty list all say that there are no seeds, and what one looks like."""
    path = tmp_path / name
    path.write_text(content)

    assert failure(path).startswith(f"{path}: holds no seeds; expected at least one line such as")


def test_broken_json_is_named_by_file_and_line(seeds_file):
    """Broken JSON on line 17 is reported as file:17."""
    path = seeds_file(*[ALPACA] * 16, '{"instruction": "Name a', ALPACA)

    assert f"{path}:17: not JSON" in failure(path)


def test_bytes_that_are_not_utf8_are_named_by_file_and_line(tmp_path):
    """A Latin-1 file is reported with the line and the byte."""
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(ALPACA).encode() + b'\n{"instruction": "Un caf\xe9"}')

    assert f"{path}:2: not UTF-8 (byte 0xe9" in failure(path)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"input": "", "output": "x"}, "instruction is missing, expected the task in words"),
        ({"instruction": " \n", "output": "x"}, "instruction is empty, expected the task in words"),
        ({"instruction": 7, "output": "x"}, "instruction is 7, expected a text. Put it in quotes"),
        (ALPACA | {"output": ["a", "b"]}, "output is ['a', 'b'], expected a text"),
        (ALPACA | {"input": {"k": "v" * 99}}, "input is {'k': 'vvv"),
        (ALPACA | {"is_classification": "yes"}, "is_classification is 'yes', expected true, false or null"),
        (ALPACA | {"id": True}, "id is True, expected a text or a whole number"),
        (ALPACA | {"instances": "none"}, "instances is 'none', expected a list of"),
        (SELF_INSTRUCT | {"instances": [{"output": "a"}, {"output": 2}]}, "instances[1].output is 2, expected a text"),
        (ALPACA | {"input": "Peru", "output": ""}, "output is '', expected the answer to the input"),
        ({"instruktion": "Name a river.", "output": "x"}, "unknown key 'instruktion'; did you mean 'instruction'?"),
        (
            {"instruction": "Name a river.", "imput": "in Peru", "output": "x"},
            "unknown key 'imput'; did you mean 'input'?",
        ),
        ('["Name a river."]', "expected an object with named fields, found a list"),
    ],
)
def test_row_that_is_no_seed_is_named_with_value_and_expectation(seeds_file, row, problem):
    """The message holds file and line, the value found, and what was expected."""
    path = seeds_file(ALPACA, OURS, row)

    assert failure(path).startswith(f"{path}:3: {problem}")


def test_long_wrong_values_are_cut(seeds_file):
    """A message stays readable when the wrong value is huge."""
    assert len(failure(seeds_file(ALPACA | {"output": ["x" * 10**6]}))) < 400


def test_an_id_given_twice_names_both_lines(seeds_file):
    """A repeated id is an error that names the two lines."""
    path = seeds_file(OURS, ALPACA, OURS)

    assert failure(path).startswith(f"{path}:3: id 'general-9' is taken by {path}:1")


def test_released_self_instruct_seeds_are_read(data_dir):
    """The released 175 seed tasks load with all their instances and classification marks."""
    path = data_dir / "self_instruct" / "seed_tasks.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    seeds = load_seeds(path)

    assert len(seeds) == 175
    assert [seed.instruction for seed in seeds] == [row["instruction"] for row in rows]
    assert sum(len(seed.instances) for seed in seeds) == sum(len(row["instances"]) for row in rows)
    assert sum(bool(seed.is_classification) for seed in seeds) == sum(row["is_classification"] for row in rows) > 0


def test_a_folder_of_seeds_names_the_file(tmp_path):
    """Ids run on through the files of a folder; an error names the file and its line."""
    (tmp_path / "mine").mkdir()
    row = {"instruction": "Name a river.", "input": "", "output": "Po"}
    (tmp_path / "mine" / "a.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    (tmp_path / "mine" / "b.jsonl").write_text(f"{json.dumps(row)}\n")
    assert [seed.id for seed in load_seeds(tmp_path / "mine")] == ["mine-1", "mine-2", "mine-3"]
    (tmp_path / "mine" / "b.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(row | {'output': 5})}\n")

    assert failure(tmp_path / "mine").startswith(f"{tmp_path / 'mine' / 'b.jsonl'}:2: output is 5")
