"""Export real and hand-written samples, and load all of them with a trainer's own loader, in an environment of its own.

    python tests/consumers/run.py trl          # or llamafactory, axolotl, torchtune, datasets

1. `instructgen generate` and `instructgen export` write folders with every format that names the trainer in its
   `consumers`, through the CLI, with `--strict`: no row is left out.
2. A fresh environment gets the trainer, held to the versions of its constraints file. Trainers exclude each other.
3. `<trainer>_loads.py` reads the folders there with nothing but the files and snippets that the export wrote.

All of it lives in a temporary folder that is removed at the end. Only pip uses the network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import samples

from instructgen.registry import lookup, names

HERE = Path(__file__).parent
TARGET = 40
QUIET = {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "PYTHONWARNINGS": "ignore", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Consumer:
    """A program that loads our folders."""

    name: str
    """As `Format.consumers` says it; "" = it loads every format."""
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    """Packages installed without what they ask for: drivers of graphics cards, web servers."""
    constraints: tuple[str, ...] = ()
    """Constraints files, an environment each."""
    script: str = ""
    """What loads the folders; "" = `<trainer>_loads.py`."""


_TORCH = ("torch", "transformers", "datasets", "accelerate", "peft", "trl")
CONSUMERS = {
    "trl": Consumer("TRL", ("torch", "trl"), constraints=("trl.txt",)),
    "llamafactory": Consumer(
        "LLaMA-Factory",
        (*_TORCH, "pandas", "pillow", "pydantic", "omegaconf", "scipy", "sentencepiece"),
        alone=("llamafactory",),
        constraints=("llamafactory.txt",),
    ),
    "axolotl": Consumer(
        "Axolotl",
        (*_TORCH, "addict", "colorama", "numba", "posthog", "pydantic"),
        alone=("axolotl",),
        constraints=("axolotl.txt",),
    ),
    "torchtune": Consumer("torchtune", ("torch", "torchao", "torchtune"), constraints=("torchtune.txt",)),
    "datasets": Consumer(
        "", ("datasets", "pandas"), constraints=("datasets-5.txt", "datasets-3.txt"), script="folder_loads.py"
    ),
}


def formats_of(consumer: Consumer) -> list[str]:
    """Return the formats that the consumer is said to load."""
    known = [
        name for name in names("formats") if not consumer.name or consumer.name in lookup("formats", name).consumers
    ]
    covered = {*samples.PRACTICE_SHAPES, *(shape for *_, shapes in samples.SOURCES.values() for shape in shapes)}
    assert known and set(known) <= covered, f"no source for {sorted(set(known) - covered)}"
    return known


def instructgen(*arguments: str | Path) -> None:
    """Run the command line."""
    print("$ instructgen", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "instructgen", *map(str, arguments)], check=True)


def export(wanted: Sequence[str], work: Path) -> Path:
    """Write a folder per source with the wanted formats that can hold it; return the folder of folders."""
    data = work / "data"
    options = ("--splits", "test=0.2", "--license", "cc0-1.0", "--strict")
    instructgen("generate", "practice.yaml", "--into", work / "run", "--target", str(TARGET))
    _export(work / "run", [name for name in wanted if name in samples.PRACTICE_SHAPES], data / "practice", *options)
    for name, (_, shape, shapes) in samples.SOURCES.items():
        path = work / f"{name}.jsonl"
        samples.write(name, path)
        options = ("--from", shape, "--license", "cc0-1.0", "--strict")
        _export(path, [made for made in wanted if made in shapes], data / name, *options)
    return data


def _export(source: Path, formats: Sequence[str], into: Path, *options: str) -> None:
    if formats:
        asked = [word for name in formats for word in ("--format", name)]
        instructgen("export", source, *asked, "--into", into, *options)


def environment(consumer: Consumer, constraints: str, into: Path) -> Path:
    """Make an environment with the consumer in it; return its Python."""
    venv.create(into, with_pip=True)
    python = into / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--no-warn-conflicts", "-c", str(HERE / constraints)]
    subprocess.run([*pip, *consumer.packages], check=True)
    if consumer.alone:
        subprocess.run([*pip, "--no-deps", *consumer.alone], check=True)
    return python


def main(name: str) -> None:
    """Check one consumer."""
    consumer = CONSUMERS[name]
    with tempfile.TemporaryDirectory(prefix=f"instructgen-{name}-") as made:
        work = Path(made)
        data = export(formats_of(consumer), work)
        for number, constraints in enumerate(consumer.constraints):
            python = environment(consumer, constraints, work / f"env{number}")
            settings = QUIET | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(work / f"hf{number}"), "CUDA_VISIBLE_DEVICES": ""}
            print(f"== {name}, {constraints}", flush=True)
            subprocess.run(
                [python, HERE / (consumer.script or f"{name}_loads.py"), data],
                check=True,
                env=os.environ | settings,
                cwd=work,
            )
    print(f"{name}: every format that names it loads")


if __name__ == "__main__":
    main(sys.argv[1])
