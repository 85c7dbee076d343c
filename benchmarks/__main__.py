"""Run the measurements one after another, each in a process of its own.

python -m benchmarks                       all: about an hour on an idle machine
python -m benchmarks novelty templates     some
Peers to be measured beside: pip install 'instructgen[bench]'; what is missing is said, and the rest goes on.
"""

from __future__ import annotations

import subprocess
import sys

ALL = (
    "novelty", "novelty_near", "novelty_growth", "filters", "templates", "export", "hot_path", "engine", "limits",
)  # fmt: skip


def main(names: list[str]) -> int:
    """Run the named measurements; return 1 if one failed."""
    failed = []
    for name in names or ALL:
        print(f"\n# {name}\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
