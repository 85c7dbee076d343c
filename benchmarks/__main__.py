"""Run the measurements one after another, each in a process of its own.

python -m benchmarks                       all, in small sizes: about ten minutes on two cores
python -m benchmarks --full                all, in the sizes that the goals speak of: about an hour on an idle machine
python -m benchmarks novelty templates     some
Peers to be measured beside: pip install 'instructgen[bench]'; what is missing is said, and the rest goes on.
"""

from __future__ import annotations

import subprocess
import sys
import time

SMALL = {
    "hot_path": ["--requests", "2000", "--latency", "50"],
    "engine": ["--target", "1500"],
    "ahead": ["--targets", "8", "--windows", "128", "--concurrency", "16"],
    "limits": ["--minutes", "1"],
    "novelty": ["--rows", "10000", "--rounds", "1"],
    "novelty_near": ["--rows", "10000", "--rounds", "1"],
    "novelty_growth": ["--most", "104000"],
    "filters": ["--rows", "10000"],
    "templates": ["--rows", "20000", "--repeats", "2"],
    "export": ["--rows", "200000", "--rounds", "1"],
    "resume": ["--decisions", "10000"],
}
"""Each measurement with the arguments of its small size; without them it takes its full one."""


def main(arguments: list[str]) -> int:
    """Run the named measurements; return 1 if one failed, 2 for a name that is none."""
    full = "--full" in arguments
    names = [argument for argument in arguments if argument != "--full"] or list(SMALL)
    if unknown := [name for name in names if name not in SMALL]:
        print(f"{', '.join(unknown)}: no such measurement; known: {', '.join(SMALL)}")
        return 2
    failed = []
    for name in names:
        size = [] if full else SMALL[name]
        print(f"\n# {name} {' '.join(size)}\n", flush=True)
        began = time.monotonic()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *size], check=False).returncode:
            failed.append(name)
        print(f"\n({time.monotonic() - began:.0f} s)", flush=True)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
