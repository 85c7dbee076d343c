"""Render promptsource's own template files with promptsource 0.2.3 and with instructgen, and compare every byte.

    python -m benchmarks.promptsource_compare [TEMPLATES_DIR] [ROWS_DIR]

promptsource gets an environment of its own (.venv-promptsource), because it is abandoned and wants an old Python:
`pip install --ignore-requires-python --no-deps promptsource==0.2.3`, then pandas, pyyaml and jinja2. Its `choice`
filter draws at random; here both sides take the same pick, and every pick is tried, so that all branches are compared.
Rows: hand-written, in each dataset's layout. Each template is rendered with and without promptsource's truncation.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / ".venv-promptsource"
PICKS = 24
"""Draws tried for each row: the longest list that the files draw from has 24 items."""

ORACLE = r"""
import json, sys, types
if "pkg_resources" not in sys.modules:  # gone from today's setuptools; promptsource uses one function of it
    module = types.ModuleType("pkg_resources")
    module.resource_filename = lambda package, name: name
    sys.modules["pkg_resources"] = module
import yaml
from promptsource import templates as ps

pick = [0]
ps.env.filters["choice"] = lambda items: items[pick[0] % len(items)]
for line in sys.stdin:
    work = json.loads(line)
    data = yaml.load(open(work["path"]), Loader=yaml.FullLoader)
    out = []
    for template in data["templates"].values():
        for truncate in (False, True):
            for row in work["rows"]:
                for pick[0] in range(work["picks"] if "| choice" in template.jinja else 1):
                    try:
                        made = template.apply(dict(row), truncate=truncate)
                        choices = template.get_answer_choices_list(dict(row))
                    except Exception as error:
                        made, choices = "error: " + type(error).__name__, None
                    out.append([template.name, truncate, made, choices])
    print(json.dumps(out), flush=True)
"""


def oracle_python() -> Path:
    """Return the interpreter of promptsource's environment, made on first use."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".ready").exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "--ignore-requires-python", "--no-deps", "promptsource==0.2.3"], check=True)
        subprocess.run([*pip, "pandas", "pyyaml", "jinja2"], check=True)
        (ENVIRONMENT / ".ready").touch()
    return python


def ours(path: Path, rows: list[dict[str, object]]) -> list[list[object]]:
    """Render as the oracle does, in the same order."""
    from instructgen.convert.jinja import Unrenderable
    from instructgen.convert.promptsource import load_prompts

    made: list[list[object]] = []
    plain, cut = load_prompts(path), load_prompts(path, truncate=True)
    for pair in zip(plain, cut, strict=True):
        for truncate, template in zip((False, True), pair, strict=True):
            for row in rows:
                for pick in range(PICKS if "| choice" in template.jinja else 1):
                    try:
                        parts: object = template.parts(row, _Fixed(pick))  # type: ignore[arg-type]
                        choices = template.choices(row)
                    except Unrenderable as problem:
                        parts, choices = f"error: {problem.detail}", None
                    made.append([template.name, truncate, parts, choices])
    return made


class _Fixed:
    """A stand-in for `Random` that always takes the same item, whatever the length of the list."""

    def __init__(self, pick: int) -> None:
        self.pick = pick

    def random(self) -> _Nth:
        return _Nth(self.pick)


class _Nth(float):
    """A number that, times a length, is the pick within it."""

    def __init__(self, pick: int) -> None:
        self.pick = pick

    def __mul__(self, length: float) -> float:
        return float(self.pick % int(length))


def same(a: list[object], b: list[object]) -> bool:
    """Tell whether both sides say the same; where the original fails with an error, ours must have a reason too."""
    if isinstance(a[2], str) or isinstance(b[2], str):
        return isinstance(a[2], str) and isinstance(b[2], str)
    return a == b


def main() -> int:
    root = HERE.parent
    templates = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "../shared/data/promptsource"
    rows_dir = Path(sys.argv[2]) if len(sys.argv) > 2 else root / "tests/convert/rows"
    paths = sorted(templates.rglob("templates.yaml"))
    if not paths:
        print(f"{templates}: no templates.yaml in it")
        return 1
    works = []
    for path in paths:
        name = "_".join(path.parent.relative_to(templates).parts)
        lines = (rows_dir / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        works.append({"path": str(path), "rows": [json.loads(line) for line in lines], "picks": PICKS})
    sent = "".join(json.dumps(work) + "\n" for work in works)
    done = subprocess.run([oracle_python(), "-c", ORACLE], input=sent, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:])
        return 1
    different = 0
    for work, line in zip(works, done.stdout.splitlines(), strict=True):
        theirs, mine = json.loads(line), ours(Path(work["path"]), work["rows"])
        wrong = [(a, b) for a, b in zip(theirs, mine, strict=True) if not same(a, b)]
        failed = sum(isinstance(a[2], str) for a in theirs)
        names = {a[0] for a in theirs}
        print(
            f"{work['path'].split('promptsource/')[-1]:<34} {len(names):>3} templates {len(theirs):>6} renders "
            f"{failed:>4} fail in both, {len(wrong)} differ"
        )
        for a, b in wrong[:3]:
            print("   theirs", a, "\n   ours  ", b)
        different += len(wrong)
    print("all the same" if not different else f"{different} renders differ")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
