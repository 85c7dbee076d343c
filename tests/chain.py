"""From a CSV, and from a scripted run, to the Hub and back into `datasets`, through the installed commands alone.

    python tests/chain.py [COMMAND ...]      # default command: instructgen, as a wheel installs it

The Hub is the stand-in on loopback. The counts must agree at every step; the first that does not ends it with exit 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from hub_standin import standing_in

LOAD = "import sys, datasets; print(sum(map(len, datasets.load_dataset(*sys.argv[1:]).values())))"
REVIEWS, UNLABELLED, DAMAGED = 60, 7, 5


def main(command: list[str]) -> None:
    """Run both chains in a scratch folder."""
    with tempfile.TemporaryDirectory() as name, standing_in(Path(name) / "hub") as hub:
        work = Path(name)
        environment = {
            **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_any", "HF_HOME": str(work / "hf"),
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip

        def run(*words: object) -> str:
            given = [str(word) for word in words]
            done = subprocess.run([*command, *given], env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(given)}: exit {done.returncode}\n{done.stderr}")
            return done.stdout

        def published(source: Path, repo: str, count: int) -> None:
            run("export", source, "--format", "messages", "--license", "mit", "--splits", "test=0.1", "--into",
                work / repo.replace("/", "-"))  # fmt: skip
            folder = work / repo.replace("/", "-")
            agree("exported", json.loads((folder / "manifest.json").read_text("utf-8"))["samples"], count)
            run("push", folder, repo)
            loaded = subprocess.run(
                [sys.executable, "-c", LOAD, repo, "messages"],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            agree("loaded from the Hub", int(loaded.stdout), count)
            run("pull", repo, "--into", work / "pulled" / repo)
            found = json.loads(run("diff", folder, work / "pulled" / repo, "--json"))
            agree("pulled", (found["rows"][1], found["added"], found["removed"], found["changed"]), (count, 0, 0, 0))

        convert_and_clean(work, run)
        published(work / "cleaned", "tester/reviews", REVIEWS)
        run("generate", "practice.yaml", "--into", work / "run", "--target", 40)
        published(work / "run", "tester/practice", 40)


def convert_and_clean(work: Path, run) -> None:
    """Make reviews as CSV, some with an unknown label or damaged, put them into words, filter them."""
    lines = [f'"Film number {n} was {("dull", "bright")[n % 2]} and long.",{n % 2}' for n in range(REVIEWS)]
    lines += [f'"Film number {n} has no label.",n/a' for n in range(UNLABELLED)]
    lines += [f'"Film number {n} was d\ufffdll.",0' for n in range(DAMAGED)]
    (work / "reviews.csv").write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    run("convert", work / "reviews.csv", "--task", "sentiment", "--map", "text=text,label=label", "--labels",
        "0=negative,1=positive", "--into", work / "converted")  # fmt: skip
    agree("converted", rows(work / "converted/samples.jsonl"), REVIEWS + DAMAGED)
    agree("not converted", rejected(work / "converted/decisions.jsonl"), UNLABELLED)
    (work / "clean.yaml").write_text("filters:\n- {kind: characters}\n", encoding="utf-8")
    run("clean", work / "converted", "--recipe", work / "clean.yaml", "--into", work / "cleaned")
    agree("cleaned", rows(work / "cleaned/kept.jsonl"), REVIEWS)
    agree("cleaned away", rejected(work / "cleaned/decisions.jsonl"), DAMAGED)


def rows(path: Path) -> int:
    """Return the number of lines."""
    return len(path.read_text("utf-8").splitlines())


def rejected(decisions: Path) -> int:
    """Return the number of rejections in a log."""
    return sum('"rejected":{' in line for line in decisions.read_text("utf-8").splitlines())


def agree(step: str, found: object, expected: object) -> None:
    """Print the step; end when the counts differ."""
    if found != expected:
        raise SystemExit(f"{step}: {found}, expected {expected}")
    print(f"{step}: {found}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["instructgen"])
