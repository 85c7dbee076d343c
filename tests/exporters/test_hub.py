"""Push and pull with the unmodified client against a stand-in for the Hub."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from instructgen.cli.inputs import open_input
from instructgen.errors import DataError, ExportError, HubError
from instructgen.exporters import hub
from instructgen.exporters.card import split_card
from instructgen.exporters.folder import Options, export
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.detect import read
from instructgen.formats.messages import Messages
from instructgen.records import Sample
from tests.exporters.test_folder import BOTH, some, tree
from tests.hub_standin import Fault, standing_in

NAME = "tester/demo"
LOAD = """
import json, sys
from datasets import load_dataset
name, config = sys.argv[1:3]
data = load_dataset(name, config)
live = load_dataset(name, config, streaming=True)
assert list(live["train"]) == list(data["train"]) and live["train"].features == data["train"].features
json.dump({"rows": {s: list(rows) for s, rows in data.items()}, "features": repr(data["train"].features)}, sys.stdout)
"""


@pytest.fixture
def folder(tmp_path):
    """An exported dataset of 200 samples."""
    export(some(200), BOTH, tmp_path / "out", Options(splits={"test": 0.1}, licence="mit"))
    return tmp_path / "out"


@pytest.fixture(autouse=True)
def _classic_uploads(monkeypatch, tmp_path):
    """The client in this process uploads over LFS, into a cache of its own."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))


@pytest.fixture
def site(tmp_path):
    """A stand-in and the access to it; waiting is recorded, not done."""
    with standing_in(tmp_path / "hub") as server:
        server.waits = []
        server.access = hub.Access(token="hf_any", endpoint=server.url, pause=server.waits.append)
        yield server


def files_at(server, revision="main"):
    repo = server.store.repos["dataset", NAME]
    return repo["commits"][repo["branches"].get(revision, revision)]["files"]


def commits(server):
    return [path for method, path, _ in server.log if method == "POST" and "/commit/" in path]


def child(script, *arguments, server, home, **more):
    """Run a Python process whose client knows the stand-in by its environment only."""
    environment = {
        **os.environ, "HF_ENDPOINT": server.url, "HF_TOKEN": "hf_any", "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", **more,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *script, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_what_is_pushed_loads_row_by_row(site, folder, tmp_path):
    """One commit; `load_dataset` from the Hub gives the rows and features of the local folder."""
    done = hub.push(folder, NAME, site.access)
    there = child(["-c", LOAD], NAME, "messages", server=site, home=tmp_path / "h1")
    here = child(["-c", LOAD], str(folder), "messages", server=site, home=tmp_path / "h2")

    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout) == json.loads(here.stdout)
    assert done.plan.creates
    assert len(commits(site)) == 1
    assert set(files_at(site)) == {".gitattributes", *tree(folder)}
    assert b'load_dataset("tester/demo", "alpaca")' in site.store.get(files_at(site)["README.md"]["sha256"])


def test_an_unchanged_folder_makes_no_commit(site, folder):
    """The second push sends nothing and says so."""
    first = hub.push(folder, NAME, site.access)
    second = hub.push(folder, NAME, site.access)

    assert second.plan.is_empty
    assert second.commit == first.commit
    assert len(commits(site)) == 1


def test_a_smaller_version_takes_old_files_away(site, folder, tmp_path):
    """Shards and configs that are gone are deleted; a stranger's file in the repository stays."""
    from huggingface_hub import CommitOperationAdd, HfApi

    hub.push(folder, NAME, site.access)
    HfApi(endpoint=site.url, token="t").create_commit(
        NAME, [CommitOperationAdd("alpaca/notes.md", b"mine")], commit_message="note", repo_type="dataset"
    )
    export(some(20), [Alpaca()], folder, Options(licence="mit"))

    hub.push(folder, NAME, site.access)

    assert set(files_at(site)) == {".gitattributes", "alpaca/notes.md", *tree(folder)}


def test_what_people_wrote_on_the_hub_stays(site, folder):
    """Text added to the card there survives a push from a folder without any; our numbers are renewed."""
    from huggingface_hub import CommitOperationAdd, HfApi

    hub.push(folder, NAME, site.access)
    old = site.store.get(files_at(site)["README.md"]["sha256"]).decode()
    edited = CommitOperationAdd(
        "README.md", old.replace("<!-- instructgen:begin load", "Read me!\n\n<!-- instructgen:begin load").encode()
    )
    HfApi(endpoint=site.url, token="t").create_commit(NAME, [edited], commit_message="card", repo_type="dataset")
    export(some(1500), BOTH, folder, Options(licence="mit"))

    hub.push(folder, NAME, site.access)

    card = site.store.get(files_at(site)["README.md"]["sha256"]).decode()
    assert "\nRead me!\n" in card
    assert "1K<n<10K" in card


def card_of(server, revision="main"):
    return server.store.get(files_at(server, revision)["README.md"]["sha256"]).decode()


def write_there(server, text):
    from huggingface_hub import CommitOperationAdd, HfApi

    operation = CommitOperationAdd("README.md", text.encode())
    api = HfApi(endpoint=server.url, token="t")
    api.create_commit(NAME, [operation], commit_message="card", repo_type="dataset")


def test_what_people_set_on_the_hub_stays(site, folder):
    """YAML keys and tags that only the card there has; pushed again there is nothing to change."""
    hub.push(folder, NAME, site.access)
    write_there(site, card_of(site).replace("\ntags:\n", "\nannotations_creators:\n- found\ntags:\n- cooking\n"))
    export(some(30), BOTH, folder, Options(licence="mit"))

    done = hub.push(folder, NAME, site.access)

    front, _ = split_card(card_of(site))
    assert front["annotations_creators"] == ["found"]
    assert {"cooking", "instructgen"} <= set(front["tags"])
    assert done.plan.replaced == ()
    assert hub.push(folder, NAME, site.access).plan.is_empty


def test_what_a_card_replaces_on_the_hub_is_told(site, folder, tmp_path):
    """Where both say something of their own this folder's card holds, and --dry-run says what goes."""
    hub.push(folder, NAME, site.access)
    mine = folder / "README.md"
    mine.write_text(mine.read_text(encoding="utf-8") + "\nMine and ours.\n", encoding="utf-8")
    write_there(site, card_of(site).replace("- text-generation", "- question-answering") + "\nOurs.\n\nTheirs alone.\n")

    words = ["-m", "instructgen", "push", str(folder), NAME]
    told = [child([*words, *more], server=site, home=tmp_path / "h") for more in (["--dry-run"], [])]

    for done in told:
        assert done.returncode == 0, done.stderr
        assert (
            "of the card there this one replaces: key task_categories, text 'Ours.', text 'Theirs alone.'"
            in done.stderr
        )
    assert card_of(site).endswith("Mine and ours.\n")
    assert "Theirs" not in card_of(site)


@pytest.mark.parametrize("head", ["a: [", "a: 2024-13-45", "- a"])
def test_a_broken_card_on_the_hub_is_named(site, folder, head):
    """Nothing is sent; the message says which of the two cards it is."""
    hub.push(folder, NAME, site.access)
    write_there(site, f"---\n{head}\n---\nHello\n")

    with pytest.raises(ExportError, match=r"README.md of tester/demo on the Hub: its YAML head"):
        hub.push(folder, NAME, site.access)


def test_only_our_own_code_gets_the_datasets_name(site, folder):
    """What a person or a row says of PATH_OR_NAME stays as it is."""
    export([*some(20), Sample.single("PATH_OR_NAME?", output="Yes.")], BOTH, folder, Options(licence="mit"))
    mine = folder / "README.md"
    mine.write_text(mine.read_text(encoding="utf-8") + "\nReplace PATH_OR_NAME by yours.\n", encoding="utf-8")

    hub.push(folder, NAME, site.access)

    card = card_of(site)
    assert "Replace PATH_OR_NAME by yours." in card
    assert 'load_dataset("tester/demo", "alpaca")' in card
    assert 'load_dataset("PATH_OR_NAME' not in card


@pytest.mark.parametrize("status", [409, 412, 500, 503])
def test_a_passing_refusal_is_tried_again(site, folder, status):
    """Busy, stale parent, out of order: the commit is made again, after longer and longer waits."""
    site.faults.append(Fault("POST", "/commit/", status, times=2))

    done = hub.push(folder, NAME, site.access)

    assert site.waits == [1.0, 2.0]
    assert site.store.repos["dataset", NAME]["branches"]["main"] == done.commit


def test_a_stale_parent_is_met_with_a_new_plan(site, folder, monkeypatch):
    """Another writer commits between plan and commit: 412, then a commit on top of theirs."""
    from huggingface_hub import CommitOperationAdd, HfApi

    hub.push(folder, NAME, site.access)
    export(some(30), BOTH, folder, Options(licence="mit"))
    api, real, done = HfApi(endpoint=site.url, token="t"), hub._planned, []

    def overtaken(*arguments):
        made = real(*arguments)
        if not done:
            done.append(1)
            api.create_commit(NAME, [CommitOperationAdd("x.txt", b"x")], commit_message="x", repo_type="dataset")
        return made

    monkeypatch.setattr(hub, "_planned", overtaken)
    hub.push(folder, NAME, site.access)

    assert [status for method, path, status in site.log if "/commit/" in path][-2:] != []
    assert "x.txt" in files_at(site)
    assert site.waits == [1.0]


def test_a_commit_whose_answer_was_lost_is_one_commit(site, folder):
    """The next attempt finds that all is there; what was sent is told."""
    site.faults.append(Fault("POST", "/commit/", lost=True))

    done = hub.push(folder, NAME, site.access, tag="v1")

    assert len(site.store.repos["dataset", NAME]["commits"]) == 2  # the repository's first and ours
    assert done.plan.add
    assert site.store.repos["dataset", NAME]["tags"] == {"v1": done.commit}


def test_a_pull_request_whose_answer_was_lost_is_not_opened_again(site, folder):
    """Nobody can tell whether it is open: the message says where to look. What was uploaded is tried again."""
    hub.push(folder, NAME, site.access)
    export(some(30), BOTH, folder, Options(licence="mit"))
    site.faults += [Fault("PUT", "/_lfs/", cut=True, times=2), Fault("POST", "/commit/", lost=True)]

    with pytest.raises(HubError, match=r"may be open all the same. Look at http.*/datasets/tester/demo/discussions"):
        hub.push(folder, NAME, site.access, create_pr=True)

    branches = site.store.repos["dataset", NAME]["branches"]
    assert [name for name in branches if name.startswith("refs/pr/")] == ["refs/pr/1"]


def test_a_hub_that_stays_down_is_an_error(site, folder):
    """After six attempts one message says what it still answers."""
    site.faults.append(Fault("POST", "/commit/", 503, times=99))

    with pytest.raises(HubError, match=r"still says 503 .* after 6 attempts; push again later"):
        hub.push(folder, NAME, site.access)


def test_a_cut_upload_goes_on(site, folder):
    """A connection cut in the middle of a file: nothing is committed until all is there, no file is sent twice."""
    site.faults.append(Fault("PUT", "/_lfs/", cut=True))

    hub.push(folder, NAME, site.access)

    sent = [path for method, path, status in site.log if method == "PUT" and status != "cut" and "/_lfs/" in path]
    assert any(status == "cut" for _, _, status in site.log)
    assert len(set(sent)) == len(sent) == len(list(folder.rglob("*.parquet")))
    assert set(files_at(site)) == {".gitattributes", *tree(folder)}


def test_a_push_that_died_is_resumed(site, folder):
    """Files that arrived before the Hub went away are not sent again."""
    site.faults.append(Fault("POST", "/commit/", 503, times=6))
    with pytest.raises(HubError):
        hub.push(folder, NAME, site.access)
    before = len([1 for method, path, _ in site.log if method == "PUT"])

    hub.push(folder, NAME, site.access)

    assert len([1 for method, path, _ in site.log if method == "PUT"]) == before


def test_uploads_in_parts(tmp_path, folder):
    """Files above the part size arrive whole."""
    with standing_in(tmp_path / "hub", chunk=1_000) as site:
        hub.push(folder, NAME, hub.Access(token="hf_any", endpoint=site.url))

        assert any("/part/2" in path for _, path, _ in site.log)
        stored = {name: site.store.get(known["sha256"]) for name, known in files_at(site).items()}
    assert {name: data for name, data in tree(folder).items() if name != "README.md"}.items() <= stored.items()


def test_over_xet(tmp_path, folder):
    """Once through the transfer that the client takes by default."""
    with standing_in(tmp_path / "hub", xet=True) as site:
        script = ["-m", "instructgen", "push", str(folder), NAME]
        done = child(script, server=site, home=tmp_path / "h1", HF_HUB_DISABLE_XET="0")
        assert done.returncode == 0, done.stderr
        loaded = child(["-c", LOAD], NAME, "alpaca", server=site, home=tmp_path / "h2", HF_HUB_DISABLE_XET="0")
        assert loaded.returncode == 0, loaded.stderr
        rows = json.loads(loaded.stdout)["rows"]
        assert not [path for method, path, _ in site.log if method == "PUT"]

    assert sorted(row["id"] for split in rows.values() for row in split) == sorted(s.id for s in some(200))


def test_pull_request_tag_and_private(site, folder):
    """A pull request leaves main alone; a tag names the commit; private is private."""
    first = hub.push(folder, NAME, site.access, private=True, tag="v1")
    export(some(30), BOTH, folder, Options(licence="mit"))
    asked = hub.push(folder, NAME, site.access, create_pr=True)

    repo = site.store.repos["dataset", NAME]
    assert repo["private"]
    assert repo["tags"] == {"v1": first.commit}
    assert repo["branches"]["main"] == first.commit
    assert repo["branches"]["refs/pr/1"] == asked.commit
    assert asked.url.endswith("/discussions/1")


@pytest.mark.parametrize("first", [True, False])
def test_a_branch_is_made_when_there_is_none(site, folder, first):
    """In a new repository too; main stays as it is."""
    if not first:
        hub.push(folder, NAME, site.access)
    before = dict(site.store.repos["dataset", NAME]["branches"]) if not first else {}
    export(some(30), BOTH, folder, Options(licence="mit"))

    done = hub.push(folder, NAME, site.access, revision="next")

    branches = site.store.repos["dataset", NAME]["branches"]
    assert branches["next"] == done.commit != branches["main"]
    assert set(tree(folder)) <= set(files_at(site, "next"))
    assert before.get("main", branches["main"]) == branches["main"]


def test_pull_gives_back_the_samples(site, folder, tmp_path):
    """Every field of every sample; a revision may be named; a private set needs the token."""
    hub.push(folder, NAME, site.access, tag="v1")
    export(some(3), BOTH, folder, Options(licence="mit"))
    hub.push(folder, NAME, site.access)

    from instructgen.files import iter_rows

    there = hub.pull(NAME, tmp_path / "v1", site.access, revision="v1")
    back = list(read(iter_rows(there / "messages"), Messages()))

    assert sorted(back, key=lambda s: s.id) == sorted(some(200), key=lambda s: s.id)
    assert not list(there.glob(".cache"))
    with pytest.raises(ExportError, match="not ours to write"):
        (tmp_path / "full").mkdir()
        (tmp_path / "full/x").write_text("x")
        hub.pull(NAME, tmp_path / "full", site.access)


@pytest.mark.parametrize(
    ("name", "fault", "problem"),
    [
        (NAME, Fault("GET", "/api/datasets/", 401, times=9), "does not know us (401"),
        (NAME, Fault("POST", "/commit/", 403, message="read only token"), "may not write there (403: read only token"),
        ("other/demo", None, "may not write there (403: You don't have the rights"),
        (NAME, Fault("POST", "/api/repos/create", 409, message="already created elsewhere"), "the name is taken"),
        (NAME, Fault("POST", "/api/validate-yaml", 400, message="license is wrong"), "refuses the card"),
        ("no-slash", None, "is no name of a dataset; expected user/name"),
        ("a/b/c", None, "is no name of a dataset"),
        ("tester/x.git", None, "is no name of a dataset"),
        ("tester/x-", None, "is no name of a dataset"),
        ("tester./x", None, "is no name of a dataset"),
        ("tester/é", None, "is no name of a dataset"),
        ("tester/aé", None, "is no name of a dataset"),
        ("tester/a--b", None, "is no name of a dataset"),
    ],
)
def test_refusals_say_what_to_do(site, folder, name, fault, problem):
    """One message each, with the Hub's own words; nothing is tried again."""
    if fault:
        site.faults.append(fault)

    with pytest.raises(HubError) as caught:
        hub.push(folder, name, site.access)

    assert problem in str(caught.value)
    assert site.waits == []


def test_no_token_and_no_hub(folder, tmp_path, monkeypatch, caplog):
    """Without a token the Hub says 401; without a Hub we say so after the last attempt."""
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: None)
    with standing_in(tmp_path / "hub") as site, pytest.raises(HubError, match="does not know us"):
        hub.push(folder, NAME, hub.Access(endpoint=site.url))
    monkeypatch.setattr("time.sleep", lambda _: None)  # the Hub's library waits as well
    with pytest.raises(HubError, match=f"no answer from {site.url}"):
        hub.push(folder, NAME, hub.Access(endpoint=site.url, token="t", pause=lambda _: None))
    said = [record.message for record in caplog.records if "tried again" in record.message]
    assert len(said) == 5
    assert f"no answer from {site.url}" in said[0]
    assert "tried again in 1 s (2 of 6)" in said[0]


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        ({"token": "hf_ü"}, "holds a letter that is not ASCII"),
        ({"endpoint": "http://a\nb"}, "is no address: Invalid non-printable"),
        ({"endpoint": "localhost"}, "endpoint 'localhost' is no address: it must begin with http"),
        ({"endpoint": "127.0.0.1:8222"}, "did you mean http://127.0.0.1:8222"),
    ],
)
def test_tokens_and_addresses_that_cannot_be_sent(site, folder, access, problem):
    """One message each, no traceback."""
    given = hub.Access(**{"token": "hf_any", "endpoint": site.url, "pause": site.waits.append, **access})
    with pytest.raises(HubError, match=problem):
        hub.plan(folder, NAME, given)


def test_a_dataset_that_was_never_ours(site, tmp_path):
    """What `datasets` itself pushed is pulled, recognised and exported."""
    script = """
import sys
from datasets import Dataset
rows = [{"instruction": f"q{n}", "input": "", "output": f"a{n}"} for n in range(30)]
Dataset.from_list(rows).push_to_hub("tester/theirs", num_shards=2)
"""
    pushed = child(["-c", script], server=site, home=tmp_path / "h")
    words = ["-m", "instructgen", "pull", "tester/theirs", "--into", str(tmp_path / "in")]
    pulled = child(words, server=site, home=tmp_path / "h")

    assert pushed.returncode == 0, pushed.stderr
    assert "have the shape of alpaca" in pulled.stderr
    assert "30 samples" in pulled.stderr


def test_a_second_pull_leaves_nothing_of_the_first(site, folder, tmp_path):
    """Shards, splits and configs that a newer version lacks are gone; what the user put there stays."""
    hub.push(folder, NAME, site.access)
    there = hub.pull(NAME, tmp_path / "in", site.access)
    (there / "mine.txt").write_text("notes")
    export(some(20), [Alpaca()], folder)
    hub.push(folder, NAME, site.access)

    hub.pull(NAME, there, site.access)

    assert {p.name for p in (there / "alpaca").iterdir()} == {"train-00000-of-00001.parquet"}
    assert not (there / "messages").exists()
    assert not (there / ".pulling").exists()
    assert (there / "mine.txt").read_text() == "notes"
    left = set(tree(there)) - {".gitattributes", ".pulled.json", "mine.txt"}
    assert left == set(tree(folder))


def test_a_pull_is_refused_where_an_export_is(site, folder):
    """The user's own export is not the Hub's to replace."""
    hub.push(folder, NAME, site.access)

    with pytest.raises(ExportError, match=r"is not empty and holds no .pulled.json"):
        hub.pull(NAME, folder, site.access)


def test_a_pull_that_was_cut_looks_unfinished_and_goes_on(site, folder, tmp_path, monkeypatch):
    """Until all has arrived the folder has no data to read; the next pull finishes it."""
    import huggingface_hub

    hub.push(folder, NAME, site.access)
    fetch = huggingface_hub.HfApi.snapshot_download

    def cut(self, *arguments, **named):
        fetch(self, *arguments, allow_patterns="alpaca/*", **named)
        raise ConnectionError("cut")

    with monkeypatch.context() as broken:
        broken.setattr(huggingface_hub.HfApi, "snapshot_download", cut)
        with pytest.raises(HubError, match="no answer from"):
            hub.pull(NAME, tmp_path / "in", site.access)
    assert [p.name for p in (tmp_path / "in").iterdir()] == [".pulling"]
    with pytest.raises(DataError, match="a pull that did not finish; run the same `instructgen pull` again"):
        open_input(str(tmp_path / "in"))

    hub.pull(NAME, tmp_path / "in", site.access)

    assert set(tree(folder)) <= set(tree(tmp_path / "in"))


def test_pulling_what_is_not_there(site, tmp_path):
    """The message names the dataset and the Hub."""
    with pytest.raises(HubError, match="no such dataset at http://127"):
        hub.pull("tester/none", tmp_path / "x", site.access)


def test_a_changed_file_is_not_published(site, folder):
    """What is pushed is what was exported: the manifest's hashes are checked."""
    next((folder / "jsonl").iterdir()).write_text("{}")

    with pytest.raises(HubError, match="is missing or was changed since the export"):
        hub.push(folder, NAME, site.access)


def test_a_wrong_card_is_refused_here(site, folder):
    """A licence that the Hub does not know is found before anything is sent."""
    card = folder / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace("license: mit", "license: mitt"), encoding="utf-8")

    with pytest.raises(HubError, match="'mitt' is no licence id of the Hub; nearest: 'mit'"):
        hub.push(folder, NAME, site.access)
    assert site.log == []


def test_the_installed_commands(site, folder, tmp_path):
    """push, push --dry-run against a new version, pull, diff: what they print, with exit codes."""

    def run(*words):
        return child(["-m", "instructgen", *words], server=site, home=tmp_path / "h")

    first = run("push", str(folder), NAME, "--tag", "v1")
    export([*some(198), Sample.single("New?", output="Yes.")], BOTH, folder, Options(licence="mit"))
    dry = run("push", str(folder), NAME, "--dry-run")
    pulled = run("pull", NAME, "--into", str(tmp_path / "pulled"))
    told = run("diff", str(tmp_path / "pulled"), str(folder), "--json")
    missing = run("push", str(tmp_path / "nowhere"), NAME)

    assert (first.returncode, dry.returncode, pulled.returncode, missing.returncode) == (0, 0, 0, 1), dry.stderr
    assert "added 1, removed 2, changed 0, unchanged 198" in dry.stderr
    assert "200 samples" in pulled.stderr
    found = json.loads(told.stdout)
    assert (found["added"], found["removed"], found["unchanged"]) == (1, 2, 198)
    assert "no manifest.json of ours in it" in missing.stderr
    assert len(commits(site)) == 1


def test_help_is_light():
    """The commands import no client before they run."""
    from instructgen.cli import app

    assert CliRunner().invoke(app, ["push", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    "words", [["push", "{folder}", "ann/first", "--dry-run"], ["pull", "ann/first", "--into", "{new}"]]
)
def test_no_hub_is_one_message(tmp_path, words):
    """Where nobody listens, every command says so in one line with exit 1."""
    from typer.testing import CliRunner

    from instructgen.cli import app
    from instructgen.exporters.folder import export
    from instructgen.formats.alpaca import Alpaca
    from instructgen.records import Sample

    export([Sample.single("Name a colour.", output="Red.")], [Alpaca()], tmp_path / "data")
    given = [word.format(folder=tmp_path / "data", new=tmp_path / "new") for word in words]
    done = CliRunner().invoke(app, [*given, "--endpoint", "http://127.0.0.1:9", "--token", "hf_any"])

    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "no answer from http://127.0.0.1:9" in done.output


@pytest.mark.parametrize("tag", ["bad name", "-v1", "v..1", "v1.lock", "v1.", "a~b", "HEAD", "main"])
def test_a_tag_that_git_refuses_is_refused_before_anything_is_sent(site, folder, tag):
    """No commit is made for it, nor planned."""
    for act in (hub.push, hub.plan):
        with pytest.raises(HubError, match=r"is no name for a version|is the branch's name"):
            act(folder, NAME, site.access, tag=tag)
    assert not site.log


@pytest.mark.parametrize("branch", ["a b", "-x", "a//b", "next/", "x.lock/y"])
def test_a_branch_that_git_refuses_is_refused_before_anything_is_sent(site, folder, branch):
    """No repository is made for it."""
    with pytest.raises(HubError, match="is no name of a branch"):
        hub.push(folder, NAME, site.access, revision=branch)
    assert not site.log


@pytest.mark.parametrize("revision", ["refs/pr/1", "refs/heads/main"])
def test_a_pull_request_that_is_not_there_is_refused_before_anything_is_sent(site, folder, revision):
    """It becomes no branch of that name, be the dataset there or not."""
    for there in (False, True):
        if there:
            hub.push(folder, NAME, site.access)
        del site.log[:]
        for act in (hub.push, hub.plan):
            with pytest.raises(HubError, match=f"there is no '{revision}'; an open pull request"):
                act(folder, NAME, site.access, revision=revision)
        assert {method for method, *_ in site.log} <= {"GET", "HEAD"}
        assert bool(site.store.repos) == there


def test_a_tag_that_is_taken_is_found_before_anything_is_sent(site, folder):
    """The message names tag, commit and the next move; the data of the Hub stays as it is."""
    first = hub.push(folder, NAME, site.access, tag="v1")
    export(some(30), BOTH, folder, Options(licence="mit"))
    del site.log[:]

    for act in (hub.push, hub.plan):
        with pytest.raises(HubError, match=f"tag 'v1' exists already and names commit {first.commit[:12]}.*Choose"):
            act(folder, NAME, site.access, tag="v1")

    assert {method for method, *_ in site.log} <= {"GET", "HEAD"}
    assert site.store.repos["dataset", NAME]["branches"]["main"] == first.commit


def test_the_same_version_with_its_tag_is_no_error(site, folder, tmp_path):
    """Nothing is to do, and that is said, with exit 0; so it is by --dry-run."""
    first = hub.push(folder, NAME, site.access, tag="v1")
    words = ["-m", "instructgen", "push", str(folder), NAME, "--tag", "v1"]
    told = [child([*words, *more], server=site, home=tmp_path / "h") for more in ([], ["--dry-run"])]

    assert [done.returncode for done in told] == [0, 0], told[0].stderr
    assert "nothing to change" in told[0].stderr
    assert "the tag v1 is there already, on this version" in told[0].stderr
    assert "the tag v1 is there, on this version" in told[1].stderr
    assert site.store.repos["dataset", NAME]["tags"] == {"v1": first.commit}


@pytest.mark.parametrize("lost", [False, True], ids=["the tag was not set", "its answer was lost"])
def test_a_push_cut_between_commit_and_tag_is_resumed(site, folder, lost, monkeypatch):
    """The data is not sent again, and the tag names its commit."""
    site.faults.append(Fault("POST", "/tag/", cut=True, times=99))
    with pytest.raises(HubError, match="no answer from"):
        hub.push(folder, NAME, site.access, tag="v1")
    site.faults.clear()
    repo = site.store.repos["dataset", NAME]
    if lost:
        repo["tags"]["v1"] = repo["branches"]["main"]

    done = hub.push(folder, NAME, site.access, tag="v1")

    assert repo["tags"] == {"v1": done.commit} == {"v1": repo["branches"]["main"]}
    assert len(commits(site)) == 1


def test_a_tag_taken_meanwhile_is_told_beside_the_commit(site, folder, monkeypatch):
    """Somebody names another commit while the data is on its way: the message says that the data is there."""
    real = hub._commit

    def overtaken(*arguments):
        made = real(*arguments)
        site.store.repos["dataset", NAME]["tags"]["v1"] = "f" * 40
        return made

    monkeypatch.setattr(hub, "_commit", overtaken)
    with pytest.raises(HubError, match=r"the data is there, as commit [0-9a-f]{12}, .* push again with another --tag"):
        hub.push(folder, NAME, site.access, tag="v1")


def test_a_tag_for_a_pull_request_waits_for_the_merge(site, folder):
    """What is not merged is no version; nothing is sent."""
    with pytest.raises(HubError, match="a pull request is no version yet"):
        hub.push(folder, NAME, site.access, tag="v1", create_pr=True)
    assert not site.log


def test_names_of_other_things_are_refused_before_anything_is_sent(site, folder):
    """A tag or a commit is no branch to push to, a branch no tag; a pull request that is open may be pushed to."""
    first = hub.push(folder, NAME, site.access, tag="v1")
    hub.push(folder, NAME, site.access, revision="next")
    export(some(30), BOTH, folder, Options(licence="mit"))
    asked = hub.push(folder, NAME, site.access, create_pr=True)
    export(some(31), BOTH, folder, Options(licence="mit"))
    del site.log[:]

    for words, problem in (
        ({"revision": "v1"}, "'v1' is a tag there, not a branch"),
        ({"revision": first.commit}, "is a commit there, not a branch"),
        ({"tag": "next"}, "'next' is a branch there"),
    ):
        with pytest.raises(HubError, match=problem):
            hub.push(folder, NAME, site.access, **words)
    assert {method for method, *_ in site.log} <= {"GET", "HEAD"}
    again = hub.push(folder, NAME, site.access, revision="refs/pr/1")
    branches = site.store.repos["dataset", NAME]["branches"]
    assert branches["refs/pr/1"] == again.commit != asked.commit
    assert branches["main"] == first.commit
