"""Wrong set-ups through the command line: one message that names place, value, expectation and next move; exit 1."""

import gzip
import json
import resource
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.store import Store
from tests.servers.faults import Faults
from tests.servers.openai_server import serve

PRACTICE = "{kind: scripted, function: 'instructgen.teachers.practice:answer'}"


def run(*arguments):
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def recipe(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def generate_with(folder, text, *more):
    return run("generate", recipe(folder, text), "--into", folder / "run", *more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\nfilter: []", ["filter", "did you mean 'filters'"]),
        (
            f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\nfilters: [{{kind: rouge, treshold: 0.7}}]",
            ["filters[0].treshold", "did you mean 'threshold'"],
        ),
        (
            f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\nfilters: [{{kind: rouge, threshold: 7}}]",
            ["filters[0].threshold is 7", "expected", "did you mean 0.7"],
        ),
        (f"teacher: {PRACTICE}\ngenerator: {{kind: self_instuct}}", ["generator.kind", "did you mean 'self_instruct'"]),
        (f"teacher: {PRACTICE}\ngenerator: {{kind: alpaca}}\ntarget: lots", ["target is 'lots'", "expected"]),
        ("generator: {kind: alpaca}", ["teacher is missing"]),
        (f"teacher: {PRACTICE}\ngenerator: alpaca\nexport: {{splits: {{test: 1.5}}}}", ["export.splits.test is 1.5"]),
        (f"teacher: {PRACTICE}\ngenerator: alpaca\nexport: {{formats: [alpacca]}}", ["did you mean 'alpaca'"]),
        (f"teacher: {PRACTICE}\ngenerator: {{kind: alpaca}}\nprompts: nowhere", ["nowhere: no such folder"]),
        ("teacher: [unclosed", ["not YAML"]),
        ("- a\n- list", ["expected keys and values"]),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_told_in_one_message(tmp_path, text, expected):
    """The key, its value, what was expected, and the nearest right one."""
    code, said = generate_with(tmp_path, text)

    assert code == 1
    assert said.count("Error:") == 1
    assert "recipe.yaml" in said or "nowhere" in said
    for part in expected:
        assert part in said
    assert not (tmp_path / "run").exists()


def test_seeds_problems_reach_the_user(tmp_path):
    """Missing, empty and broken seeds files are told with file and line."""
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\nseeds: mine.jsonl"
    code, said = generate_with(tmp_path, text)
    assert (code, "mine.jsonl" in said) == (1, True)
    (tmp_path / "mine.jsonl").write_text("")
    code, said = generate_with(tmp_path, text)
    assert (code, "mine.jsonl" in said) == (1, True)
    good = [json.dumps({"instruction": f"Say the number {i} in words.", "input": "", "output": "x"}) for i in range(20)]
    good[16] = '{"instruction": '
    (tmp_path / "mine.jsonl").write_text("\n".join(good))
    code, said = generate_with(tmp_path, text)

    assert code == 1
    assert "mine.jsonl:17" in said


def test_a_run_of_another_recipe_names_the_differing_keys(tmp_path):
    """The target may change, the seed may not."""
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\ntarget: 5\nwindow: 4\nseed: 7"
    assert generate_with(tmp_path, text)[0] == 0
    assert generate_with(tmp_path, text, "--target", 8)[0] == 0
    code, said = generate_with(tmp_path, text, "--seed", 8)

    assert code == 1
    assert "seed: 7 -> 8" in said
    assert "target" not in said.partition("Error:")[2]


def test_a_foreign_directory_is_refused(tmp_path):
    """A folder with other content is not written into, unless told to."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\ntarget: 3\nwindow: 1"
    code, said = generate_with(tmp_path, text)

    assert code == 1
    assert "--overwrite" in said
    assert (tmp_path / "run" / "thesis.txt").exists()


def test_a_path_below_a_file_is_unwritable(tmp_path):
    """Not even root can make a folder below a file."""
    (tmp_path / "file").write_text("")
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}"
    code, said = run("generate", recipe(tmp_path, text), "--into", tmp_path / "file" / "run")

    assert code == 1
    assert "cannot be written" in said


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path):
    """With a file size limit in place of a full disk: exit 1, one message; with room again, the run goes on."""
    text = (
        f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\ntarget: 300\nwindow: 16\nfilters: [{{kind: rouge}}]"
    )
    path = recipe(tmp_path, text)
    command = [sys.executable, "-m", "instructgen", "generate", str(path), "--into", str(tmp_path / "run")]

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        # The kernel also sends a signal, whose default is to end the process; Python ignores it already.

    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("Error:") == 1
    assert "Traceback" not in done.stderr
    code, said = run("generate", path, "--into", tmp_path / "run")
    assert code == 0, said
    assert run("verify", tmp_path / "run")[0] == 0


def openai(url, model="m"):
    options = f"kind: openai, model: {model}, base_url: '{url}', deadline: 1, concurrency: 4"
    return f"teacher: {{{options}}}\ngenerator: {{kind: self_instruct}}"


def test_a_missing_key_names_the_variable(tmp_path):
    """api.openai.com without a key: which variable to set; nothing is sent."""
    code, said = generate_with(
        tmp_path, "teacher: {kind: openai, model: gpt-4.1-mini}\ngenerator: {kind: self_instruct}"
    )

    assert code == 1
    assert "OPENAI_API_KEY" in said


def test_a_wrong_model_names_endpoint_model_and_the_servers_words(tmp_path):
    """404 is not retried."""
    with serve(faults=Faults(models=("real-model",))) as server:
        code, said = generate_with(tmp_path, openai(server.url, "wrong-model"))

    assert code == 1
    assert server.url.removeprefix("http://") in said
    assert "wrong-model" in said
    assert "does not exist" in said
    assert server.bill.requests <= 4


def test_a_wrong_key_is_not_retried(tmp_path, monkeypatch):
    """401 stops the run at once."""
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    with serve(faults=Faults(key="right")) as server:
        code, said = generate_with(tmp_path, openai(server.url))

    assert code == 1
    assert "wrong" not in said.partition("Error:")[2].partition("key")[0]
    assert server.bill.requests <= 4


def test_a_server_that_speaks_html_is_quoted(tmp_path):
    """A proxy's error page in place of JSON: retried until the deadline, then quoted; slots stay open."""
    with serve(faults=Faults(html=1.0, spared_after=10_000)) as server:
        code, said = generate_with(tmp_path, openai(server.url))

    assert code == 1
    assert "<!doctype html>" in said.lower() or "<html" in said.lower()
    assert (tmp_path / "run" / "decisions.jsonl").stat().st_size == 0


@pytest.mark.parametrize("command", [["clean"], ["export"], ["convert", "--from", "alpaca"]])
def test_files_of_another_kind_in_a_folder_are_named(tmp_path, caplog, command):
    """A folder of JSON lines and packed JSON: the kind that is read is said, and which files are not."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "one.jsonl").write_text('{"instruction": "Name a river.", "output": "The Po."}\n')
    (given / "two.json.gz").write_bytes(gzip.compress(b'[{"instruction": "Name a lake.", "output": "Como."}]'))

    code, _ = run(command[0], given, *command[1:], "--into", tmp_path / "out")

    assert code == 0
    (said,) = [record.getMessage() for record in caplog.records if "are read" in record.getMessage()]
    assert "only its .jsonl files (1) are read" in said
    assert "two.json.gz" in said


@pytest.mark.parametrize("command", [["why", "abc"], ["verify"]])
def test_commands_on_what_is_no_run(tmp_path, command):
    """why and verify of a folder that is no run say what a run is."""
    code, said = run(command[0], tmp_path, *command[1:])

    assert code == 1
    assert "is not a run" in said


def test_why_of_a_cleaned_row_says_where_its_decision_stands(tmp_path):
    """A folder of `clean` is no run; the message names the file, and the search that it gives finds the row."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"instruction": "Name a river.", "output": ""}\n')
    run("clean", rows, "--into", tmp_path / "cleaned")

    code, said = run("why", tmp_path / "cleaned", "1")

    assert code == 1
    search = said[said.index("grep") :].strip().replace("17[", "1[")
    assert "empty_answer" in subprocess.run(search, shell=True, capture_output=True, text=True, check=True).stdout


def test_why_of_no_candidate_says_which_there_are(tmp_path):
    """The places that exist, and one that was rejected."""
    text = f"target: 40\nseeds: general.jsonl\nteacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}"
    generate_with(tmp_path, text)

    code, said = run("why", tmp_path / "run", "99.0")

    assert code == 1
    assert "slot 0 has" in said
    place = said.split("rejected one is ")[1].strip()
    assert "rejected:" in run("why", tmp_path / "run", place)[1]


def test_usage_errors_are_exit_2():
    """An unknown option is the command line's own matter."""
    assert run("generate", "--no-such-option")[0] == 2


@pytest.mark.parametrize(
    "command",
    [
        ["export", "{run}", "--into", "{other}", "--overwrite"],
        ["generate", "practice.yaml", "--into", "{parent}", "--overwrite"],
        ["init", "{other}", "--overwrite"],
    ],
)
def test_overwrite_never_deletes_paid_answers(tmp_path, command):
    """A run, or a folder with a run somewhere in it, is not cleared whatever is said."""
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\ntarget: 3\nwindow: 1"
    folder = tmp_path / "runs"
    folder.mkdir()
    for name in ("run", "other"):
        assert run("generate", recipe(tmp_path, text), "--into", folder / name)[0] == 0
    names = {"run": folder / "run", "other": folder / "other", "parent": folder}
    code, said = run(*[part.format(**names) for part in command])

    assert code == 1, said
    assert "paid for" in said
    assert all((folder / name / "completions.db").exists() for name in ("run", "other"))


def test_zero_is_no_budget_and_no_target(tmp_path):
    """--budget 0 and --target 0 are refused, not read as "none"."""
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}"

    assert "budget.usd is 0" in generate_with(tmp_path, text, "--budget", 0)[1]
    assert generate_with(tmp_path, text, "--target", 0)[0] == 2
    assert not (tmp_path / "run").exists()


def test_a_run_without_its_recipe_adopts_no_other(tmp_path):
    """decisions.jsonl beside no recipe.yaml is a damaged run, not a new one."""
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\ntarget: 3\nwindow: 1"
    generate_with(tmp_path, text)
    (tmp_path / "run" / "recipe.yaml").unlink()
    code, said = generate_with(tmp_path, text + "\nseed: 99")

    assert code == 1
    assert "recipe.yaml is missing" in said


def test_edited_prompts_and_seeds_of_a_run_are_not_used(tmp_path):
    """The run works with what it was frozen with; verify names the edited copy, and going on from it is refused."""
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\ntarget: 20\nwindow: 4"
    generate_with(tmp_path, text)
    prompt = tmp_path / "run" / "prompts" / "self_instruct.invent.txt"
    prompt.write_text("TAMPERED\n" + prompt.read_text())
    assert generate_with(tmp_path, text, "--target", 60)[0] == 0
    store = Store(tmp_path / "run" / "completions.db", read_only=True)
    assert not any("TAMPERED" in str(row.request) for row in store.rows())
    store.close()
    code, said = run("verify", tmp_path / "run")
    assert code == 1
    assert "self_instruct.invent.txt: not the prompt" in said
    code, said = run("generate", "--into", tmp_path / "run", "--target", 70)
    assert code == 1
    assert "prompts.self_instruct.invent" in said


def test_verify_finds_changed_tokens(tmp_path):
    """Stored usage that differs from what was charged is found."""
    import sqlite3

    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\ntarget: 3\nwindow: 1"
    generate_with(tmp_path, text)
    with sqlite3.connect(tmp_path / "run" / "completions.db") as database:
        database.execute("update completions set completion = json_set(completion, '$.usage.prompt_tokens', 1)")
    code, said = run("verify", tmp_path / "run")

    assert code == 1
    assert "charges other tokens" in said


def test_a_generator_that_fails_is_named(tmp_path, monkeypatch):
    """An exception in a flow is one message with generator and slot, not a traceback."""
    from instructgen.generators.self_instruct import SelfInstruct

    def flow(self, pool, rng):
        yield from ()
        raise ValueError("a plug-in's mistake")

    monkeypatch.setattr(SelfInstruct, "flow", flow)
    code, said = generate_with(tmp_path, f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}")

    assert code == 1
    assert "generator 'self_instruct' (built in) failed in slot 0: ValueError: a plug-in's mistake" in said


@pytest.mark.parametrize(
    ("teacher", "more", "expected"),
    [
        ("{kind: openai, model: gpt-4.1-mini}", "", "environment variable OPENAI_API_KEY is not set"),
        (
            "{kind: openai, model: m, base_url: 'http://127.0.0.1:9/v1', headers: {x-team: '${NOT_SET_AT_ALL}'}}",
            "",
            "NOT_SET_AT_ALL",
        ),
        ("{kind: openai, model: m, base_url: 'http://127.0.0.1:9/v1', ca_file: none.pem}", "", "none.pem"),
        ("{kind: openai, model: m, base_url: 'http://127.0.0.1:9/v1'}", "budget: {usd: 1}", "price of model 'm'"),
        ("{kind: scripted, replies: none.jsonl}", "", "none.jsonl"),
        ("{kind: scripted, function: 'nowhere:answer'}", "", "nowhere"),
        (PRACTICE, "filters: [{kind: decontaminate, against: [none.jsonl]}]", "none.jsonl"),
    ],
)
def test_a_folder_is_not_cleared_for_a_set_up_that_cannot_work(tmp_path, monkeypatch, teacher, more, expected):
    """What can be known beforehand is said beforehand: with --overwrite, the folder's content is still there."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    kept = tmp_path / "run" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    text = f"teacher: {teacher}\ngenerator: {{kind: self_instruct}}\ntarget: 5\nseeds: seeds/general.jsonl\n{more}\n"
    code, said = generate_with(tmp_path, text, "--overwrite")

    assert code == 1, said
    assert expected in said
    assert kept.read_text() == "mine"


def test_a_first_start_that_bought_nothing_binds_to_nothing(tmp_path):
    """A start that found no answer leaves a folder for any recipe; once something is bought, the recipe holds."""
    alpaca = f"teacher: {PRACTICE}\ngenerator: {{kind: alpaca}}\ntarget: 3\nwindow: 1"
    right = alpaca.replace("alpaca", "self_instruct")
    assert generate_with(tmp_path, alpaca, "--offline")[0] == 1
    assert generate_with(tmp_path, right)[0] == 0
    assert run("verify", tmp_path / "run")[0] == 0
    assert not list((tmp_path / "run" / "prompts").glob("alpaca.*"))
    code, said = generate_with(tmp_path, alpaca)

    assert code == 1
    assert "generator.kind: self_instruct -> alpaca" in said
    assert "generator.count" not in said, "options of another kind are not compared"


def test_a_file_in_place_of_a_folder(tmp_path):
    """--into and init say that it is a file."""
    (tmp_path / "file").write_text("mine")
    text = f"teacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}"

    for said in (
        run("generate", recipe(tmp_path, text), "--into", tmp_path / "file")[1],
        run("init", tmp_path / "file")[1],
    ):
        assert "file is a file; expected a folder" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_yaml_problems_name_the_line(tmp_path):
    """Line and column, not the parser's own picture; an empty file is called so."""
    assert "recipe.yaml:2: not YAML:" in generate_with(tmp_path, "target: 5\nfilters: a: b\nseed: 1")[1]
    assert "found an empty file" in generate_with(tmp_path, "")[1]


def test_a_name_like_none_gets_no_odd_suggestion(tmp_path):
    """What `.yaml` has in common with `.yaml` is no likeness."""
    assert "did you mean" not in run("generate", "weather.yaml", "--into", tmp_path / "run")[1]
    assert "did you mean 'practice'" in run("generate", "practise.yaml", "--into", tmp_path / "run")[1]


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "holds no rows"),
    (b"hello\nworld\n", "no row of 2 can be read; row 1: not JSON"),
])  # fmt: skip
@pytest.mark.parametrize("command", [["clean", "--into"], ["export", "--into"], ["report"]])
def test_a_file_without_rows_is_called_so(tmp_path, content, expected, command):
    """No list of formats for a file in which there is nothing to detect."""
    (tmp_path / "in.jsonl").write_bytes(content)
    name, *into = command
    code, said = run(name, tmp_path / "in.jsonl", *(part for flag in into for part in (flag, tmp_path / "out")))

    assert code == 1
    assert expected in said
    assert "--from" not in said


def test_bad_rows_of_a_folder_name_their_file(tmp_path):
    """Numbers run on through the files of a folder; the place names file and line."""
    (tmp_path / "in").mkdir()
    good = json.dumps({"instruction": "Name a long river.", "input": "", "output": "Po"})
    (tmp_path / "in" / "a.jsonl").write_text(f"{good}\n{good}\nbroken\n")
    (tmp_path / "in" / "b.jsonl").write_text(f"{good}\nbroken\n")
    assert run("clean", tmp_path / "in", "--into", tmp_path / "out")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()]
    places = [line["rejected"]["evidence"] for line in lines if "rejected" in line]

    assert [place["row"] for place in places] == [3, 5]
    assert [place["detail"][:10] for place in places] == ["a.jsonl:3:", "b.jsonl:2:"]


@pytest.mark.parametrize(
    "command", [["export", "--format", "alpaca"], ["clean"], ["report"], ["convert", "--from", "auto"]]
)
@pytest.mark.parametrize(("marker", "maker"), [(".instructgen-convert", "convert"), (".instructgen-clean", "clean")])
def test_a_folder_that_another_command_did_not_finish_is_named_as_that(tmp_path, command, marker, maker):
    """A conversion killed half-way: decisions, no samples; the message says what it is and what to do."""
    half = tmp_path / "half"
    half.mkdir()
    (half / marker).touch()
    (half / "decisions.jsonl").write_text('{"accepted": {"id": "x"}, "slot": 0, "candidate": 0}\n')
    into = [] if command[0] == "report" else ["--into", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [command[0], str(half), *command[1:], *into])

    assert done.exit_code == 1, done.output
    assert f"`instructgen {maker}` began to write here and has not finished" in done.output
    (half / "summary.json").write_text("{}")
    (half / ("samples.jsonl" if maker == "convert" else "kept.jsonl")).write_text(
        '{"instruction": "Name a colour.", "input": "", "output": "Red."}\n'
    )
    assert CliRunner().invoke(app, [command[0], str(half), *command[1:], *into]).exit_code == 0


def test_split_of_a_single_file_is_said_to_choose_nothing(tmp_path):
    """A file has no splits; one that is named by the split is it."""
    rows = "text,label\n" + "".join(f"film {n} was a film,{n % 2}\n" for n in range(8))
    said = []
    for name in ("rows.csv", "reviews-test.csv"):
        (tmp_path / name).write_text(rows)
        words = [
            "convert",
            str(tmp_path / name),
            "--task",
            "sentiment",
            "--labels",
            "negative,positive",
            "--split",
            "test",
        ]
        done = CliRunner().invoke(app, [*words, "--into", str(tmp_path / f"{name}-out")])
        assert done.exit_code == 0, done.output
        said.append("split test chooses nothing in it" in done.output)

    assert said == [True, False]


def test_list_names_the_kinds():
    """Without a kind, and for a wrong one: which is a mistake of usage."""
    code, said = run("list")
    assert (code, said.split()) == (
        0,
        ["filters", "formats", "generators", "prompts", "recipes", "seeds", "teachers", "templates"],
    )
    code, said = run("list", "filter")
    assert code == 2
    assert "did you mean 'filters'" in " ".join(said.split())
