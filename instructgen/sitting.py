"""One sitting of a run: freeze the recipe, open the directory, connect the teacher, work, report."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import instructgen
from instructgen.convert.seeds import load_seeds
from instructgen.engine import Ending, Engine, Progress
from instructgen.errors import PromptError, RunError, TeacherError
from instructgen.files import bundled_dir, find, read_text
from instructgen.prompts import Prompts
from instructgen.purchases import Purchases
from instructgen.recipe import Recipe
from instructgen.run import Frozen, OpenRun, Run, is_run, opened, seeds_hash, version_note
from instructgen.screening import Screening
from instructgen.teachers import Connection, Sitting, cancel, leave, ledger_of, places_now
from instructgen.teachers.budget import Amount, Budget
from instructgen.teachers.ledger import Ledger
from instructgen.tools import tools

log = logging.getLogger(__name__)

Watch = Callable[[Progress], None]
BEAT_SECONDS = 1.0
NOTED_SECONDS = 1.0
"""How often what may have been billed without an answer is written down, if there is more of it."""


@dataclass
class Outcome:
    """How a sitting ended."""

    run: Run
    ending: Ending
    progress: Progress
    bought: int = 0
    """Answers bought in this sitting."""
    seconds: float = 0.0
    """How long this sitting worked."""
    closed: int = 0
    """Slots closed in this sitting."""
    reused: int = 0
    """Answers that the run took from other runs' stores."""
    notes: list[str] = field(default_factory=list)
    """What the user should know: hints on window and concurrency, another version, possibly billed requests."""
    room: Callable[[Amount, int], int] = lambda _, most: most
    """How many slots the budget lets be open at once when so much has been spent; the second number is the most."""

    @property
    def slots_seconds(self) -> float | None:
        """How long all closed slots take at this sitting's pace; `None` if it bought and closed nothing to go by."""
        return self.seconds / self.closed * self.progress.slots if self.closed and self.bought else None


def generate(
    recipe: Recipe,
    into: str | Path,
    *,
    reuse: Sequence[str | Path] = (),
    offline: bool = False,
    overwrite: bool = False,
    pilot: int | None = None,
    unsafe_code: bool = False,
    watch: Watch = lambda _: None,
) -> Outcome:
    """Work on the run in directory `into` until it ends; start it, or go on where it stopped.

    `reuse` names runs whose stored answers may be copied instead of bought. `offline` answers from the store alone.
    `pilot` stops when so many slots are closed: enough for a forecast, and part of the run.
    `unsafe_code` lets filters run code from samples without a sandbox.
    `watch` is called after each commit, and once a second while none comes.
    Example: generate(load_recipe("demo.yaml"), "runs/first").ending -> "target"
    Raises: InstructgenError of the kind that fits; whatever was bought is stored, and the same call goes on.
    """
    path, started = Path(into), time.monotonic()
    with ExitStack() as stack:
        frozen = freeze(recipe)
        stores = []
        for other in reuse:
            store = Run(Path(other)).store()
            stack.callback(store.close)
            stores.append(store)
        lent = tools(unsafe_code=unsafe_code)
        ready = [option.prepare(lent) for option in recipe.filters]
        for notice in (notice for option in ready for notice in option.notices()):
            log.warning("%s", notice)
        screening = Screening(ready)
        if not is_run(path):  # whatever is wrong is said before the folder is cleared
            budget(recipe, online=True)
            if not offline:
                recipe.teacher.check()
        work = stack.enter_context(opened(path, frozen, overwrite=overwrite))
        purchases = Purchases(
            work.store,
            Prompts(frozen.prompts),
            model=recipe.teacher.identity,
            run_seed=recipe.seed,
            reuse=stores,
        )
        caps = budget(recipe, online=work.store.count(bought=True) > len(purchases.by_batch))
        engine = Engine(recipe, frozen, work, purchases, screening, budget=caps, pilot=pilot, watch=watch)
        ending = engine.fold()
        folded = engine.progress.slots
        ending = ending or _worked(engine, recipe, work, purchases, offline=offline)
        used_up = caps.explain(engine.progress.paid, 0, engine.bound) if ending == "budget" else ""
        advice = hints(recipe, engine.progress) if purchases.bought else []
        notes = [used_up, *advice, version_note(work.run, instructgen.__version__), *_unsettled(work)]
        reused = len(purchases.reused)
        if stores and not reused and purchases.bought:
            notes.append(f"--reuse: no answer fitted; this run asks {recipe.teacher.identity} its own questions")
    seconds = time.monotonic() - started
    notes = [note for note in notes if note]
    return Outcome(
        Run(path), ending, engine.progress, purchases.bought, seconds, engine.progress.slots - folded, reused, notes,
        room=lambda spent, most: caps.room(spent, engine.bound, most),
    )  # fmt: skip


def freeze(recipe: Recipe) -> Frozen:
    """Read the seeds and prompts of a recipe and return what a run is frozen with.

    Raises: SeedError, PromptError, InstructgenError for files that are missing or wrong.
    """
    seeds = load_seeds(find("seeds", recipe.seeds))
    texts = prompt_texts(recipe)
    hashes = {name: Prompts(texts).hash(name) for name in texts}
    frozen_seeds = seeds_hash(seeds)
    return Frozen(
        recipe=recipe.dump(),
        deciding=recipe.deciding(frozen_seeds, hashes),
        recipe_hash=recipe.hash(frozen_seeds, hashes),
        seeds=seeds,
        prompts=texts,
        version=instructgen.__version__,
        in_file=recipe.in_file,
    )


def prompt_texts(recipe: Recipe) -> dict[str, str]:
    """Return the prompt templates that the recipe's generator and judges use: the user's own, else the bundled ones."""
    names = {*recipe.generator.prompt_names(), *(name for f in recipe.filters for name in f.prompt_names())}
    return template_texts(names, recipe.prompts)


def template_texts(names: Iterable[str], own: str = "") -> dict[str, str]:
    """Return the texts of prompt templates, from the user's folder `own` where it has them, else the bundled ones.

    Raises: PromptError for a folder or template that does not exist.
    """
    folders = [Path(own)] if own else []
    if folders and not folders[0].is_dir():
        raise PromptError(f"{own}: no such folder of prompts; leave `prompts` out to use the bundled ones")
    texts = {}
    for name in sorted(names):
        paths = [folder / f"{name}.txt" for folder in (*folders, bundled_dir("prompts"))]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise PromptError(f"prompt {name!r}: no file {' or '.join(map(str, paths))}")
        texts[name] = read_text(path)
    return texts


def budget(recipe: Recipe, *, online: bool) -> Budget:
    """Return the recipe's caps at its teacher's prices; `online` says that the run has answers bought so.

    Raises: RecipeError for dollars without a known price.
    """
    caps, teacher = recipe.budget, recipe.teacher
    return Budget(
        usd=caps.usd, tokens=caps.tokens, requests=caps.requests, model=teacher.identity,
        price=teacher.price_of(by_batch=False), batch_price=teacher.price_of(by_batch=True),
        only_batch=teacher.in_batches and not online,
    )  # fmt: skip


def _sitting(work: OpenRun) -> Sitting:
    return Sitting(folder=work.run.path, answered=work.store.count(bought=True))


def hints(recipe: Recipe, progress: Progress) -> list[str]:
    """Return advice on a recipe's window, from how far the run is."""
    teacher, generator, window = recipe.teacher, recipe.generator, recipe.window
    if teacher.ordered:
        return ["the teacher hands out its answers in order: window and concurrency are 1"]
    notes = []
    # A slot asks so many at once, if it asks all that it may.
    at_once = max(1.0, generator.slot_bound().requests / max(1, progress.steps))
    if teacher.concurrency * 4 > window * at_once:
        notes.append(
            f"concurrency {teacher.concurrency} is much for a window of {window} slots: requests will wait for each "
            f"other; a new run with window: {math.ceil(teacher.concurrency * 8 / at_once)} goes faster"
        )
    if window > 1 and progress.accepted and generator.feeds_back():
        slots = max(1, round(progress.slots * recipe.target / progress.accepted))
        if slots < 2 * window:
            notes.append(
                f"{recipe.target} samples are about {slots} slots, and the first {window} (the window) draw on seeds "
                f"alone; a new run with window: {max(1, slots // 4)} draws more on what it has made"
            )
    return notes


def _unsettled(work: OpenRun) -> list[str]:
    seen, killed = work.store.unsettled()
    notes = [f"{seen} requests may have been billed without an answer (time-outs, broken connections)"] if seen else []
    if killed:
        notes.append(f"up to {killed} requests may have been billed in sittings that were killed")
    return notes


def _worked(engine: Engine, recipe: Recipe, work: OpenRun, purchases: Purchases, *, offline: bool) -> Ending:
    """Work until an ending. Raises: KeyboardInterrupt when the user would not wait for answers on their way."""
    try:
        return asyncio.run(_work(engine, recipe, work, purchases, offline=offline))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _work(engine: Engine, recipe: Recipe, work: OpenRun, purchases: Purchases, *, offline: bool) -> Ending:
    """Connect the teacher and let the engine work."""
    if offline:
        with _interruptible(engine):
            return await engine.work()
    async with recipe.teacher.connect_run(_sitting(work)) as connection:
        by_batch = recipe.teacher.in_batches
        purchases.connect(connection, lambda: places_now(connection, recipe.teacher), by_batch=by_batch)
        with _noted(work, recipe, connection), _beating(engine), _interruptible(engine, lambda: leave(connection)):
            ending = await engine.work()
        if ending in ("target", "exhausted"):
            with suppress(TeacherError):  # the run is done; what an open batch still answers is merely not needed
                await cancel(connection)
    return ending


@contextmanager
def _noted(work: OpenRun, recipe: Recipe, connection: Connection) -> Iterator[None]:
    """Note in the store that a sitting buys, what it may have lost so far, and that it ended by itself."""
    # What a kill leaves open of batches is found again: nothing is lost there.
    places = 0 if recipe.teacher.in_batches else recipe.teacher.places
    number, ledger = work.store.begin_sitting(places), ledger_of(connection)
    noting = asyncio.create_task(_lost_noted(work, number, ledger)) if ledger else None
    try:
        yield
    finally:
        if noting is not None:
            noting.cancel()
        if ledger is not None:
            log.info("on the wire: %s", ledger.as_json())
        with suppress(RunError):  # a full disk: what stopped the sitting is told, not that this could not be noted
            work.store.end_sitting(number, ledger.possibly_billed if ledger else 0)


@contextmanager
def _beating(engine: Engine) -> Iterator[None]:
    """Let progress be told while no slot closes: the first may take as long as its slowest answer."""

    async def beat() -> None:
        slots = engine.progress.slots
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if slots == engine.progress.slots:
                engine.tell()
            slots = engine.progress.slots

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


async def _lost_noted(work: OpenRun, number: int, ledger: Ledger) -> None:
    """Write down possibly billed requests while they happen, once a second, so that a kill does not forget them."""
    noted = 0
    while True:
        await asyncio.sleep(NOTED_SECONDS)
        if ledger.possibly_billed != noted:
            with suppress(RunError):  # whatever is wrong with the disk stops the run at the next answer
                work.store.note_lost(number, ledger.possibly_billed)
                noted = ledger.possibly_billed


@contextmanager
def _interruptible(engine: Engine, leave: Callable[[], None] | None = None) -> Iterator[None]:
    """Ctrl-C lets what is in flight land; a second one does not wait. Only in the main thread, where signals arrive.

    `leave` is a connection's way to end at once because its answers are made elsewhere and can be fetched later.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            engine.interrupt()
            log.warning("stopping: what was sent may still arrive and is kept; Ctrl-C again does not wait for it")
            if leave is not None:
                leave()
        elif task is not None:
            task.cancel()

    try:
        loop.add_signal_handler(signal.SIGINT, press)
    except (ValueError, RuntimeError, NotImplementedError):  # not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
