#!/usr/bin/env bash
# Build the wheel, install it in an empty environment away from the checkout, and do the main job there:
# a scripted generate -> export -> load.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

"$root/.venv/bin/python" -m build --quiet --wheel --outdir "$work/dist" "$root"
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q -c "$root/constraints.txt" "$work"/dist/*.whl
cd "$work"
export HF_HOME="$work/hf" HOME="$work/home" PATH="$work/venv/bin:$PATH"
mkdir -p "$HOME"

instructgen --version
for kind in prompts seeds recipes templates; do
    test "$(instructgen list "$kind" | wc -l)" -gt 0 || { echo "no $kind in the wheel"; exit 1; }
done
instructgen generate practice.yaml --into run --target 50
instructgen verify run
instructgen export run --into dataset
python - <<'PYTHON'
from datasets import load_dataset

for name in ("alpaca", "messages"):
    data = load_dataset("dataset", name)
    rows = sum(len(split) for split in data.values())
    assert rows == 50, f"{name}: {rows} rows, expected 50"
print("wheel: 50 samples generated, exported and loaded in an empty environment")
PYTHON
python "$root/tests/chain.py"
