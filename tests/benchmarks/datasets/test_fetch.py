"""Downloads against a local server that interrupts, truncates, lies and recovers."""

import bz2
import gzip
import hashlib
import io
import random
import socket
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.datasets import DatasetError, DatasetMissing, DownloadError
from benchmarks.datasets.fetch import fetch

BODY = gzip.compress(random.Random(0).randbytes(150000), mtime=0)
SHA = hashlib.sha256(BODY).hexdigest()


class Server:
    """Answers each path by a script: one step a request, the last step for ever."""

    def __init__(self):
        self.scripts, self.asked = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                steps = outer.scripts.get(self.path, [404])
                step = steps.pop(0) if len(steps) > 1 else steps[0]
                outer.answer(self, step)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    @staticmethod
    def answer(handler, step):
        if isinstance(step, int):
            handler.send_error(step)
            return
        body, promised, kind = step if isinstance(step, tuple) else (step, len(step), "plain")
        handler.send_response(200)
        if kind == "chunked":
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.wfile.write(b"%x\r\n" % promised + body)
        else:
            handler.send_header("Content-Length", str(promised))
            handler.end_headers()
            handler.wfile.write(body)
        handler.close_connection = True
        if kind == "reset":  # RST instead of a clean end
            handler.wfile.flush()
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()

    def script(self, path, *steps):
        self.scripts[path] = list(steps)
        return self.base + path


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def get(tmp_path):
    """fetch(...) into an empty folder, recording the waits."""
    waits = []

    def call(*urls, name="data.gz", **entry):
        return fetch(
            {"name": name, "urls": urls, **entry}, tmp_path / "raw", timeout=60, sleep=waits.append
        )

    call.waits, call.folder = waits, tmp_path / "raw"
    return call


def only(folder):
    """Names in a folder: no temporary file may be left."""
    return sorted(p.name for p in folder.iterdir())


def test_good_file_arrives_and_is_not_asked_for_again(server, get):
    url = server.script("/a", BODY)
    assert get(url, sha256=SHA).read_bytes() == BODY
    assert get(url, sha256=SHA).read_bytes() == BODY
    assert server.asked == ["/a"] and only(get.folder) == ["data.gz"]


@pytest.mark.parametrize(
    "broken",
    [
        (BODY[:2000], len(BODY), "plain"),
        (BODY[:2000], len(BODY), "reset"),
        (BODY[:2000], len(BODY), "chunked"),
        500,
        503,
        429,
        b"",
    ],
    ids=["truncated", "reset", "chunked cut", "500", "503", "429", "empty"],
)
def test_interruptions_are_tried_again_with_growing_wait(server, get, broken):
    url = server.script("/a", broken, broken, BODY)
    assert get(url, sha256=SHA).read_bytes() == BODY
    assert len(server.asked) == 3 and get.waits == [1.0, 2.0]
    assert only(get.folder) == ["data.gz"]


def test_truncation_is_seen_without_any_known_hash(server, get):
    plain = b"a plain text file\n" * 500
    url = server.script("/a", (plain[:100], len(plain), "plain"), plain)
    assert get(url).read_bytes() == plain


def test_wrong_hash_is_refused_and_next_mirror_used(server, get):
    bad, good = server.script("/bad", gzip.compress(b"other")), server.script("/good", BODY)
    assert get(bad, good, sha256=SHA).read_bytes() == BODY
    assert server.asked == ["/bad", "/good"] and get.waits == []


def test_dead_mirror_then_good_one(server, get):
    with socket.socket() as probe:  # a port where nobody listens
        probe.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}/x"
    assert get(dead, server.script("/good", BODY), sha256=SHA).read_bytes() == BODY


def test_final_error_names_every_mirror_and_leaves_nothing(server, get):
    urls = [
        server.script("/wrong", b"something else"),
        server.script("/gone", 404),
        server.script("/cut", (BODY[:9], len(BODY), "plain")),
        "file:///etc/hostname",
    ]
    with pytest.raises(DownloadError) as caught:
        get(*urls, md5="0" * 32)
    text = str(caught.value)
    assert all(url in text for url in urls)
    for reason in ("wrong hash: md5", "HTTP 404", "truncated: 9 of", "not an http"):
        assert reason in text
    assert isinstance(caught.value, DatasetMissing) and caught.value.files == ["data.gz"]
    assert server.asked.count("/gone") == 1 and server.asked.count("/cut") == 3
    assert only(get.folder) == []


def test_stalled_server_times_out(server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(DownloadError, match="timed out"):
            fetch({"name": "a", "urls": [url]}, tmp_path, tries=1, timeout=0.2)


def test_recompressed_file_is_accepted_by_its_content(server, get):
    content = gzip.decompress(BODY)
    path = get(
        server.script("/a", bz2.compress(content)),
        md5="0" * 32,
        content_md5=hashlib.md5(content).hexdigest(),
    )
    assert path.name == "data.bz2" and bz2.decompress(path.read_bytes()) == content


def test_without_known_hash_damage_and_web_pages_are_refused(server, get):
    damaged, page = server.script("/d", BODY[:-9]), server.script("/p", b"<html>log in</html>")
    with pytest.raises(DownloadError, match=r"(?s)damaged.*web page"):
        get(damaged, page)


def test_member_of_an_archive(server, get):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner+1.data", b"1, 2\n")
    url = server.script("/x.zip", packed.getvalue())
    assert get(url + "#inner+1.data", name="inner").read_bytes() == b"1, 2\n"
    with pytest.raises(DownloadError, match="no member other"):
        get(url + "#other", name="second")


def test_concurrent_downloads_leave_one_whole_file(server, tmp_path):
    entry = {"name": "data.gz", "urls": [server.script("/a", BODY)], "sha256": SHA}
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch(entry, tmp_path), range(16)))
    assert {p.read_bytes() for p in paths} == {BODY} and only(tmp_path) == ["data.gz"]


def test_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="cannot write"):
        fetch({"name": "a", "urls": [server.script("/a", BODY)]}, tmp_path / "file")
