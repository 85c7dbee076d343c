"""Blocks of a file are rendered by several workers: the same folder whatever their number, and errors come through."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instructgen import blocks, parquet
from instructgen.blocks import Blocks, blocks_of
from instructgen.cli.inputs import open_input
from instructgen.errors import ExportError
from instructgen.exporters import batches, shards, tally
from instructgen.exporters.batches import Watch
from instructgen.exporters.folder import Options, export, read_manifest
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.light import samples_of
from instructgen.formats.messages import Messages
from instructgen.formats.openai import OpenAI
from instructgen.formats.sample import SampleRows
from instructgen.records import Provenance, Sample
from tests.exporters.test_folder import tree

ROWS = [
    {"instruction": f"Word{n % 60} {n // 2}?", "input": "given" * (n % 3), "output": f"Answer {n // 2} <|im_end|>",
     "category": f"c{n % 7}"}
    for n in range(900)
]  # fmt: skip
BAD = [b"{torn\n", b'{"instruction": 7, "output": "x"}\n', b"[1]\n"]


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Return a file of many small blocks: labelled rows, plain ones, repeats, rows with history, unreadable ones."""
    monkeypatch.setattr(blocks, "BLOCK", 8_000)
    monkeypatch.setattr(shards, "GROUP_ROWS", 130)
    lines = [json.dumps(row).encode() + b"\n" for row in ROWS]
    lines[300:300] = BAD
    lines += [json.dumps({"instruction": f"Plain {n}", "output": "x"}).encode() + b"\n" for n in range(400)]
    lines[500:500] = [json.dumps({"instruction": "b", "output": "x", "history": [["a", "b"]]}).encode() + b"\n"] * 3
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def exported(path, into, formats, **options):
    """Export a file as the command line does; return its bytes, and what could not be read."""
    bad, counts = [], []
    export(open_input(str(path)).light, formats, into, Options(**options), watch=Watch(bad.append, counts.append))
    return tree(into), [one.as_json() for one in bad], sum(counts)


def test_processes_change_no_byte(tmp_path, many, monkeypatch):
    """Row by row, in threads and in processes: one folder, the same rejections in the same order."""
    formats, options = [Alpaca(), Messages(), OpenAI()], {"splits": {"test": 0.2}, "seed": 3, "context": 9}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(batches, "PROCESSES_FROM", 1_000)
    threads = exported(many, tmp_path / "threads", formats, **options)
    monkeypatch.setattr(batches, "PROCESSES_FROM", 3)
    started = []
    begin = batches.processes
    monkeypatch.setattr(batches, "processes", lambda workers: started.append(workers) or begin(workers))
    processes = exported(many, tmp_path / "processes", formats, **options)
    bad = []
    export(open_input(str(many)).made, formats, tmp_path / "one", Options(**options), watch=Watch(bad.append))

    assert started == [2]
    assert threads == processes
    assert tree(tmp_path / "one") == threads[0]
    assert sorted(str(one.as_json()) for one in bad) == sorted(map(str, threads[1]))
    assert len(threads[1]) == len(BAD)
    assert threads[2] == len(ROWS) + 400 + 3


def test_parquet_is_rendered_in_blocks_as_well(tmp_path, monkeypatch):
    """A folder of Parquet shards, labelled or plain: by blocks and in processes what it is row by row, numbers too."""
    monkeypatch.setattr(parquet, "BATCH_ROWS", 64)
    monkeypatch.setattr(batches, "PROCESSES_FROM", 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    for name, rows in (("labelled", ROWS), ("plain", [{k: v for k, v in r.items() if k != "category"} for r in ROWS])):
        (tmp_path / name).mkdir()
        pq.write_table(pa.Table.from_pylist(rows[:500]), tmp_path / name / "a.parquet", row_group_size=150)
        pq.write_table(pa.Table.from_pylist(rows[500:]), tmp_path / name / "b.parquet", row_group_size=150)
        light = exported(tmp_path / name, tmp_path / f"{name}-light", [Alpaca(), Messages()])
        export(open_input(str(tmp_path / name)).made, [Alpaca(), Messages()], tmp_path / f"{name}-one")
        assert tree(tmp_path / f"{name}-one") == light[0]
        assert light[1:] == ([], len(ROWS))


def test_blocks_of_a_run_are_its_samples(tmp_path, monkeypatch):
    """A run is exported from its own JSON in blocks; what comes out is what its samples give one by one."""
    monkeypatch.setattr(blocks, "BLOCK", 8_000)
    known = Provenance(source="generated", generator="alpaca", parents=("a", "b"), draft=1, notes={"shape": {"x": 1}})
    samples = [
        Sample.single(f"Do {n // 2}", input="x" * (n % 3), output="y", system="s" * (n % 2), labels={"n": n // 2},
                      provenance=known)
        for n in range(300)
    ]  # fmt: skip
    made = list(blocks_of((sample.as_json() for sample in samples), SampleRows()))
    export(Blocks(made), [Messages()], tmp_path / "blocks", Options(splits={"test": 0.2}))
    export(samples, [Messages()], tmp_path / "samples", Options(splits={"test": 0.2}))

    assert len(made) > 5
    assert [sample for block in made for one in block.made() for sample in samples_of(one)] == samples
    assert tree(tmp_path / "blocks") == tree(tmp_path / "samples")


def test_an_error_in_a_process_is_the_users(tmp_path, many, monkeypatch):
    """`strict` stops at the first sample that a shape cannot hold, by name, and leaves nothing behind."""
    monkeypatch.setattr(batches, "PROCESSES_FROM", 3)
    with pytest.raises(ExportError, match="cannot hold more turns"):
        exported(many, tmp_path / "out", [Alpaca()], strict=True)
    assert not list((tmp_path / "out").iterdir())


class Fatal(Messages):
    """A shape that takes its process with it."""

    name = "fatal"

    def write(self, sample):
        """End."""
        os._exit(9)


def test_a_killed_process_is_said(tmp_path, many, monkeypatch):
    """A worker that ends (out of memory, say) is an error that says so, not a wait for ever or a half folder."""
    monkeypatch.setattr(batches, "PROCESSES_FROM", 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    with pytest.raises(ExportError, match="ended early"):
        exported(many, tmp_path / "out", [Fatal()])
    assert not list((tmp_path / "out").iterdir())


SCRIPT = """
import os
from pathlib import Path
from instructgen import blocks
from instructgen.blocks import Blocks, blocks_of
from instructgen.cli.inputs import open_input
from instructgen.exporters import batches
from instructgen.exporters.folder import export
from instructgen.formats.alpaca import Alpaca
blocks.BLOCK, batches.PROCESSES_FROM = 2_000, 3
os.sched_getaffinity = lambda _: {0, 1}
def said(_):
    print("under way", flush=True)
export(open_input(%r).light, [Alpaca()], Path(%r), watch=batches.Watch(progress=said))
"""


def test_a_script_without_a_guard_runs_once(tmp_path, many):
    """Processes do not begin with the caller's script: what it does before it exports is done once."""
    script, ran = tmp_path / "mine.py", tmp_path / "ran"
    code = SCRIPT % (str(many), str(tmp_path / "out"))
    script.write_text(f"open({str(ran)!r}, 'a').write('once;')\n" + code)
    subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.DEVNULL)
    assert ran.read_text() == "once;"
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_shape_of_the_script_itself_is_no_work_for_processes(tmp_path, many):
    """What is defined in `__main__` cannot be found by another process: threads do it."""
    code = SCRIPT.replace("def said", "class Mine(Alpaca):\n    pass\ndef said").replace("[Alpaca()]", "[Mine()]")
    code = code.replace("export(open", "batches.processes = None\nexport(open")
    subprocess.run(
        [sys.executable, "-c", code % (str(many), str(tmp_path / "out"))], check=True, stdout=subprocess.DEVNULL
    )
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="children are looked up in /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(tmp_path, ending):
    """Ctrl-C clears up; after a kill the workers end by themselves, and the next export finds its way."""
    path, into = tmp_path / "rows.jsonl", tmp_path / "out"
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in ROWS * 50))
    code = SCRIPT % (str(path), str(into))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"under way\n"
        workers = [int(pid) for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
        child.send_signal(ending)
        child.stdout.read()
        told = child.stderr.read().decode()
    assert len(workers) >= 2
    assert child.returncode != 0
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("workers live on")
    assert (into / ".partial").exists() == (ending == signal.SIGKILL)
    assert told.count("Traceback") == (ending == signal.SIGINT)
    path.write_text(json.dumps(ROWS[0]) + "\n")
    export(open_input(str(path)).light, [Alpaca()], into)
    assert (into / "manifest.json").exists()


@pytest.mark.parametrize("block", [300, 3_000, 1_000_000])
def test_full_counters_are_the_same_wherever_batches_end(tmp_path, monkeypatch, block):
    """The first 20 different values keep their counts, also of batches that hold more different ones."""
    monkeypatch.setattr(tally, "DISTINCT", 20)
    monkeypatch.setattr(blocks, "BLOCK", block)
    rows = [{"instruction": f"Do {n}", "output": "a", "category": f"c{n % 50}", f"k{n % 30}": 1} for n in range(490)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[::-1] + rows))
    export(open_input(str(tmp_path / "rows.jsonl")).light, [Messages()], tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    seen = Counter(row["category"] for row in rows)
    first = [f"c{n % 50}" for n in range(489, 469, -1)]
    counted = manifest["statistics"]["categories"]
    assert counted.pop("(others)") == 980 - 2 * sum(seen[name] for name in first)
    assert counted == {name: 2 * seen[name] for name in first}
    unshown = manifest["unshown"]["messages"]
    assert len(unshown) == 21
    assert sum(unshown.values()) == 2 * 980
