"""Encoders: the bundled model, a function by name, and a real HTTP endpoint on loopback."""

import json
import threading
import traceback
import tracemalloc
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from instructgen.errors import RecipeError, TeacherAuthError, TeacherRefusedError, TeacherTransportError
from instructgen.filters import Tools
from instructgen.filters.semantic import Semantic
from instructgen.records import Sample
from instructgen.teachers.embeddings import encoder
from instructgen.tools import tools

RAIN = Sample.single("Write a poem about the rain.", output="x")
WET = Sample.single("Compose a poem about rain.", output="y")
SUM = Sample.single("Add up the numbers in this list.", output="z")


def letters(texts):
    return np.array([[1 + text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])


@pytest.fixture
def server():
    """An embeddings endpoint; `replies` are (status, body) to give first, `asked` what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            made.asked.append((self.path, self.headers.get("authorization"), body))
            vectors = letters(body["input"]).tolist()
            data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
            usual = (200, json.dumps({"object": "list", "model": "m", "data": data[::-1], "usage": {}}))
            status, text = made.replies.pop(0) if made.replies else usual
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    made.replies, made.asked = [], []
    made.url = f"http://127.0.0.1:{made.server_port}/v1"
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_an_endpoint_embeds_in_the_order_of_the_texts(server, monkeypatch):
    """128 texts a request, answers sorted by index, the key sent, a 500 retried."""
    monkeypatch.setenv("MY_KEY", "secret")
    server.replies.append((500, "{}"))
    texts = [f"text {number}" for number in range(130)]
    found = encoder(server.url, "m", "MY_KEY")(texts)

    assert np.array_equal(found, letters(texts).astype(np.float32))
    assert [len(body["input"]) for _, _, body in server.asked] == [128, 128, 2]
    assert server.asked[0][:2] == ("/v1/embeddings", "Bearer secret")


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [(401, "{}", TeacherAuthError), (404, "{}", TeacherRefusedError), (200, '{"data": []}', TeacherTransportError)],
)
def test_what_an_endpoint_refuses_is_an_error_of_ours(server, status, text, error):
    """The message names endpoint and model."""
    server.replies += [(status, text)] * 9
    with pytest.raises(error, match=r"127\.0\.0\.1.*'m'"):
        encoder(server.url, "m")(["a"])


def test_an_endpoint_that_quotes_the_key_teaches_nobody_the_key(server, monkeypatch):
    """The client's error holds the server's words and our headers; ours is all that is told."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-marker-77aa01")
    server.replies += [(401, json.dumps({"error": {"message": "bad key sk-marker-77aa01"}}))]
    with pytest.raises(TeacherAuthError, match=r"bad key \[hidden\]") as caught:
        encoder(server.url, "m")(["a"])
    assert "sk-marker" not in "".join(traceback.format_exception(caught.value))


def test_the_filter_takes_an_endpoint_by_its_options(server):
    """A recipe's encoder and model reach the endpoint."""
    ready = Semantic(encoder=server.url, model="m", threshold=0.9).prepare(tools())
    ready.remember(RAIN)

    assert ready.check(WET).evidence["neighbours"][0]["id"] == RAIN.id
    assert ready.looks_at() == {"instruction"}


def test_the_filter_takes_a_function_by_name():
    """`module:function` is imported."""
    ready = Semantic(encoder=f"{__name__}:letters", threshold=0.9).prepare(tools())

    assert [found and found.reason for found in ready.check_batch([RAIN, SUM, WET])] == [None, None, "near_duplicate"]


def test_the_filter_takes_what_the_caller_lends():
    """Tools with an embedding function overrule the recipe's encoder."""
    ready = Semantic(threshold=0.9).prepare(Tools(embed=letters))
    ready.remember(RAIN)

    assert ready.check(WET) is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("word2vec", "module:function"),
        ("no_such_module:f", "cannot be imported"),
        ("json:nothing", "cannot be imported"),
        ("json:__name__", "is no function"),
        ("http://127.0.0.1:1/v1", "which `model`"),
    ],
)
def test_encoders_that_lead_nowhere(name, message):
    """The message says what was expected."""
    with pytest.raises(RecipeError, match=message):
        encoder(name)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.full((2, 4), np.nan), "nan or infinite"),
        (np.zeros(4), r"shape \(2, d\), found \(4,\)"),
        (["a", "b"], "failed on 2 texts: ValueError"),
        ([[1, 2], [3]], "failed on 2 texts: ValueError"),
        (RuntimeError("no memory"), "failed on 2 texts: RuntimeError: no memory"),
    ],
)
def test_a_function_that_gives_no_vectors_is_an_error_of_ours(given, message, monkeypatch):
    """The message names the function and what it gave."""

    def embed(texts):
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(json, "embed", embed, raising=False)
    with pytest.raises(RecipeError, match=f"'json:embed'.*{message}"):
        encoder("json:embed")(["a", "b"])


def test_without_tools_there_is_no_encoder():
    """A filter opens nothing itself."""
    with pytest.raises(RecipeError, match="encoder"):
        Semantic().prepare(Tools())
    with pytest.raises(RecipeError, match="prepare"):
        Semantic().check_batch([RAIN])


def test_the_bundled_model_finds_paraphrases():
    """The default encoder works offline: a paraphrase is nearer than another task."""
    pytest.importorskip("wordllama", reason="EXTRA ABSENT: pip install instructgen[semantic]")
    ready = Semantic(threshold=0.7).prepare(tools())

    assert [found and found.reason for found in ready.check_batch([RAIN, SUM, WET])] == [None, None, "near_duplicate"]


def test_the_bundled_model_gives_the_mean_of_token_vectors_without_padding():
    """The package's own numbers; a text of 150,000 tokens among short ones takes its own memory, not that of each."""
    wordllama = pytest.importorskip("wordllama", reason="EXTRA ABSENT: pip install instructgen[semantic]")
    texts = ["Write a poem about the rain.", "", "Add 2 and 3!", "Напиши стихи."]
    own = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    embed = encoder("wordllama")
    tracemalloc.start()
    long = embed([*texts, "7 " * 75_000, *texts * 20])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert embed(texts)[[0, 2, 3]] == pytest.approx(own.embed([texts[0], *texts[2:]], norm=True), abs=1e-6)
    assert not embed([""]).any()
    assert long[:4] == pytest.approx(embed(texts), abs=1e-6)
    assert peak < 50_000_000
