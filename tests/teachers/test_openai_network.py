"""TLS, proxies and headers between us and an endpoint."""

import asyncio
import ssl

import pytest
import trustme
from aiohttp import web

from instructgen.errors import RecipeError, TeacherTransportError
from instructgen.records import Request, Turn
from instructgen.teachers.openai import OpenAITeacher
from tests.servers.openai_server import serve
from tests.servers.proxy import proxy

ASKED = Request(messages=(Turn(role="user", content="Hi"),), model="m")
SECRET = "marker-5f1e"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls_server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serve(ssl=context) as server:
        yield server


def ask(url, **options):
    async def run():
        teacher = OpenAITeacher(model="m", base_url=url, deadline=0.2, **options)
        async with teacher.connect() as connection:
            return await connection.complete(ASKED)

    return asyncio.run(run())


def test_an_unknown_certificate_is_refused(tls_server):
    """By default the endpoint has to prove who it is; the error says that the certificate is the matter."""
    with pytest.raises(TeacherTransportError, match="certificate"):
        ask(tls_server.url)
    assert tls_server.bill.requests == 0


def test_a_certificate_of_the_given_authority_is_trusted(tls_server, authority, tmp_path):
    """`ca_file` adds an authority, with a path relative to the recipe's folder."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    assert ask(tls_server.url, ca_file=tmp_path / "ca.pem").content

    teacher = OpenAITeacher(model="m", ca_file="ca.pem").located(tmp_path)
    assert teacher.ca_file == tmp_path / "ca.pem"


def test_verification_can_be_turned_off(tls_server):
    """`verify: false` is for one's own servers."""
    assert ask(tls_server.url, verify=False).content


def test_a_file_without_certificates_is_named(tmp_path):
    """A missing or wrong CA file is an error of the recipe."""
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(RecipeError, match=r"teacher.ca_file: .*ca.pem cannot be read as certificates"):
        ask("https://127.0.0.1:9/v1", ca_file=tmp_path / "ca.pem")
    with pytest.raises(RecipeError, match=r"missing.pem"):
        ask("https://127.0.0.1:9/v1", ca_file=tmp_path / "missing.pem")


def test_plain_http_goes_through_a_proxy_that_wants_a_password(monkeypatch):
    """The proxy's password may come from the environment."""
    monkeypatch.setenv("PROXY_PASSWORD", SECRET)
    with serve() as server, proxy("me", SECRET) as through:
        answer = ask(server.url, proxy=through.url.replace(SECRET, "${PROXY_PASSWORD}"))

        assert answer.content
        assert through.seen == [f"POST {server.url}/chat/completions"]


def test_tls_goes_through_a_proxy(tls_server):
    """An https endpoint is reached by CONNECT: the proxy sees the address alone."""
    with proxy() as through:
        assert ask(tls_server.url, proxy=through.url, verify=False).content
        assert through.seen == [f"CONNECT {tls_server.url.removeprefix('https://').removesuffix('/v1')}"]


def test_the_environments_proxy_is_used_and_can_be_excepted(monkeypatch):
    """HTTP_PROXY counts where no proxy is stated, NO_PROXY excepts hosts."""
    with serve() as server, proxy() as through:
        monkeypatch.setenv("HTTP_PROXY", through.url)
        ask(server.url)
        assert len(through.seen) == 1
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        ask(server.url)
        assert len(through.seen) == 1


def test_a_proxy_that_refuses_us_is_told_without_its_password(monkeypatch):
    """407 is an error in the end, and the proxy's credentials are not in it."""
    monkeypatch.setenv("PROXY_PASSWORD", SECRET)
    with serve() as server, proxy("me", "right") as through, pytest.raises(TeacherTransportError) as caught:
        ask(server.url.replace("http:", "https:"), proxy=through.url.replace("right", "${PROXY_PASSWORD}"))

    assert "407" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_own_headers_are_sent_with_every_request(monkeypatch):
    """Gateways want their own headers; ours can replace the bearer."""
    seen = {}

    async def echo(request):
        seen.update(request.headers)
        return web.json_response({"choices": [{"message": {"content": "ok"}}]})

    monkeypatch.setenv("GATEWAY_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    with serve(extra=lambda server: server.app.router.add_post("/gate/chat/completions", echo)) as server:
        ask(server.url.replace("/v1", "/gate"), headers={"x-team": "data", "api-key": "${GATEWAY_KEY}"})

    assert (seen["x-team"], seen["api-key"], seen["Authorization"]) == ("data", SECRET, "Bearer sk-ours")
    assert seen["User-Agent"].startswith("instructgen/")


def test_a_query_in_the_address_stays_at_the_end():
    """Azure's api-version stands in the base URL and belongs behind the operation."""
    seen = []

    async def echo(request):
        seen.append(str(request.rel_url))
        return web.json_response({"choices": [{"message": {"content": "ok"}}]})

    with serve(extra=lambda server: server.app.router.add_post("/az/chat/completions", echo)) as server:
        ask(server.url.replace("/v1", "/az/?api-version=2026-10-01"))

    assert seen == ["/az/chat/completions?api-version=2026-10-01"]
