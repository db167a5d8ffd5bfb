"""The server's files: who may have them, how they are sent, and nothing that is not in the table."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from small_server import FILES, PATIENCE, WASM, Server, browse, serve
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import poke2vid
from poke2vid.serve import app as serving
from poke2vid.serve.files import accepts_gzip, matches
from poke2vid.serve.rooms import Limits


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(limits=Limits(sessions=8, steps_per_second=1e6, opens_per_minute=1e6)) as one:
        yield one


@pytest.fixture(scope="module")
def page() -> Iterator[httpx.Client]:
    with browse() as client:
        yield client


# Who may ask


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("https://127.0.0.1:{port}", True),
        ("http://127.0.0.1:1", False),
        ("http://localhost:{port}", False),
        ("http://evil.example", False),
        ("http://evil.example:{port}", False),
        ("null", False),
        ("", False),
        ("http://[", False),
        ("file://", False),
    ],
)
def test_only_our_own_page_may_connect(server: Server, origin: str | None, taken: bool) -> None:
    headers = {} if origin is None else {"Origin": origin.format(port=server.port)}
    if taken:
        with server.client(additional_headers=headers) as client:
            assert client.open()["type"] == "opened"
    else:
        with pytest.raises(InvalidStatus) as error, server.client(additional_headers=headers):
            pass
        assert error.value.response.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:80", "LOCALHOST"])
def test_the_machine_itself_may_be_named(page: httpx.Client, host: str) -> None:
    assert page.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "@"])
def test_a_foreign_name_for_this_machine_is_turned_away(page: httpx.Client, server: Server, host: str) -> None:
    answer = page.get("/", headers={"Host": host})
    assert answer.status_code == 421 and "nosniff" in answer.headers["X-Content-Type-Options"]
    with socket.create_connection(("127.0.0.1", server.port)) as made:
        made.sendall(f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode())
        assert b" 101 " not in made.recv(4096)


def test_a_server_for_others_goes_by_any_name() -> None:
    with browse(None) as page:
        assert page.get("/", headers={"Host": "poke.example"}).status_code == 200


# Files


@pytest.mark.parametrize(
    ("address", "type_"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/js/main.js", "text/javascript; charset=utf-8"),
        ("/vendor/ort.mjs", "text/javascript; charset=utf-8"),
        ("/vendor/ort.wasm", "application/wasm"),
        ("/model/step.onnx", "application/octet-stream"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/config.json?x=1", "application/json"),
    ],
)
def test_every_file_has_its_type_and_all_safety_headers(page: httpx.Client, address: str, type_: str) -> None:
    for method in ("GET", "HEAD"):
        answer = page.request(method, address)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == type_
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
        assert "'wasm-unsafe-eval'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache" and answer.headers["ETag"]
        assert bool(answer.content) == (method == "GET")


def test_the_page_may_connect_to_its_own_server_only(page: httpx.Client) -> None:
    host = page.base_url.netloc.decode()
    policy = page.get("/").headers["Content-Security-Policy"]
    assert policy.endswith(f"; connect-src 'self' ws://{host} wss://{host}")
    for name in ("a; script-src *", "a b", "[::1]:80", ""):
        assert serving.connections(name) == "; connect-src 'self'"


def test_what_is_kept_zipped_is_sent_zipped_to_those_who_can_unzip(page: httpx.Client) -> None:
    zipped = page.get("/vendor/ort.wasm", headers={"Accept-Encoding": "br, gzip"})
    plain = page.get("/vendor/ort.wasm", headers={"Accept-Encoding": "identity"})
    assert zipped.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert int(zipped.headers["Content-Length"]) == len(FILES["vendor/ort.wasm.gz"])
    assert int(plain.headers["Content-Length"]) == len(WASM)
    assert zipped.content == plain.content == WASM  # the client has unzipped the first
    assert zipped.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert zipped.headers["ETag"] != plain.headers["ETag"]
    assert page.get("/vendor/ort.wasm.gz").status_code == 404


def test_a_file_that_the_client_has_is_not_sent_again(page: httpx.Client) -> None:
    first = page.get("/js/main.js")
    again = page.get("/js/main.js", headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    assert again.status_code == 304 and again.content == b"" and again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert page.get("/js/main.js", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("gzip;q=0", False),
        ("br", False),
        ("gzip;q=x", False),
    ],
)
def test_accepted_encodings_are_read(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_tags_are_compared() -> None:
    assert (
        matches('W/"a", "b"', '"b"') and matches("*", '"a"') and not matches("", '"a"') and not matches('"ab"', '"a"')
    )


TRAVERSAL = [
    "/../pyproject.toml", "/..%2f..%2fpyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/js/../../app.py",
    "/js/..%5c..%5capp.py", "/js//main.js", "/index.html%00", "/js", "/js/", "/.git/config", "/app.py", "/INDEX.HTML",
    "/%", "/" + "a" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("address", TRAVERSAL)
def test_what_is_not_in_the_table_is_not_there(server: Server, address: str) -> None:
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=PATIENCE
    ) as made:  # no client tidies the address up
        made.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while part := made.recv(65536):
            got += part
    assert got.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_files_are_only_read(page: httpx.Client, method: str) -> None:
    assert page.request(method, "/index.html").status_code == 405


def test_health_is_told(server: Server, page: httpx.Client) -> None:
    assert page.get("/healthz").json() == {"version": poke2vid.__version__, "sessions": 0, "capacity": 0}
    with server.client() as client:
        client.open()
        found = httpx.get(f"http://127.0.0.1:{server.port}/healthz")
        assert found.json() == {"version": poke2vid.__version__, "sessions": 1, "capacity": 8}
        assert found.headers["Cache-Control"] == "no-store"


def test_where_browsers_compute_there_is_no_socket_to_talk_to(page: httpx.Client) -> None:
    with pytest.raises(InvalidStatus) as error, connect(f"ws://{page.base_url.netloc.decode()}/ws"):
        pass
    assert error.value.response.status_code == 403
    assert page.get("/ws").status_code == 404
