"""What `import instructgen` offers.

from instructgen import export_run, generate, load_recipe

outcome = generate(load_recipe("demo.yaml", target=8), into="runs/first")
export_run(outcome.run, into="datasets/first")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from instructgen import registry
from instructgen.convert.seeds import load_seeds
from instructgen.errors import InstructgenError
from instructgen.exporters.folder import Exported, Options, export
from instructgen.filters import Filter, Tools
from instructgen.formats import Format, Unreadable, Unwritable
from instructgen.generators import Flow, Generator
from instructgen.life import why
from instructgen.pool import PoolView
from instructgen.recipe import Recipe, load_recipe, parse_recipe
from instructgen.records import (
    Completion,
    Draft,
    Params,
    Provenance,
    Rejection,
    Request,
    Sample,
    Seed,
    SlotBound,
    Turn,
    Usage,
)
from instructgen.report import Report, facts, report
from instructgen.run import Run
from instructgen.sitting import Outcome, generate
from instructgen.teachers import Teacher

__all__ = [
    "Completion",
    "Draft",
    "Exported",
    "Filter",
    "Flow",
    "Format",
    "Generator",
    "InstructgenError",
    "Outcome",
    "Params",
    "PoolView",
    "Provenance",
    "Recipe",
    "Rejection",
    "Report",
    "Request",
    "Run",
    "Sample",
    "Seed",
    "SlotBound",
    "Teacher",
    "Tools",
    "Turn",
    "Unreadable",
    "Unwritable",
    "Usage",
    "export_run",
    "generate",
    "load_recipe",
    "load_seeds",
    "parse_recipe",
    "report_run",
    "why",
]


def report_run(run: Run | str | Path) -> Report:
    """Return what a run has come to: funnel, tokens, cost, statistics.

    Example: report_run("runs/first").acceptance -> 0.81
    """
    return report(run if isinstance(run, Run) else Run(Path(run)))


def export_run(
    run: Run | str | Path,
    into: str | Path,
    *,
    formats: Sequence[str] = (),
    splits: Mapping[str, float] | None = None,
    licence: str = "",
    languages: Sequence[str] = (),
    overwrite: bool = False,
) -> Exported:
    """Write the dataset of a run as a Hugging Face folder; what is not said here, the run's recipe says.

    Example: export_run("runs/first", "datasets/first", formats=["messages"]).rows -> {"messages": {"train": 100}}
    Raises: ExportError, RunError.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    said = run.recipe["export"]
    options = Options(
        splits=dict(said["splits"] if splits is None else splits),
        licence=licence or said["license"],
        languages=tuple(languages),
        overwrite=overwrite,
    )
    shapes = [registry.lookup("formats", name)() for name in formats or said["formats"]]
    return export(run.samples(), shapes, Path(into), options, facts(run))
