"""A hub that is told to stop does so soon, however many pages are listening."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import httpx

from tests.hub_browser import Served, prepare
from tests.hub_world import Page

STREAMS = 20
SECONDS = 20  # until a stream must have said something
STOPS_WITHIN = 10.0  # seconds; a container is killed then. On a machine with nothing else to do it takes under two


@contextmanager
def running(served: Served) -> Iterator[Served]:
    served.start()
    try:
        yield served
    finally:
        if served.process is not None and served.process.poll() is None:
            served.process.kill()
            served.process.wait()


def signed_in(served: Served, name: str) -> httpx.Client:
    client = httpx.Client(base_url=served.url, timeout=SECONDS, limits=httpx.Limits(max_connections=STREAMS + 1))
    fields = dict(Page(client.get("/login").text).forms["/login"])
    client.post("/login", data={**fields, "name": name, "password": served.passwords[name]})
    return client


def test_open_streams_do_not_hold_it_up(tmp_path: Path) -> None:
    with running(prepare(tmp_path)) as served, ExitStack() as open_streams:
        client = open_streams.enter_context(closing(signed_in(served, "agent")))
        ended: list[int] = []

        def listen(lines: Iterator[str], number: int) -> None:
            # It may be cut off where it is not ended: a browser comes back by itself either way.
            with suppress(httpx.HTTPError):
                for _ in lines:
                    pass
            ended.append(number)

        threads = []
        for number in range(STREAMS):
            answer = open_streams.enter_context(client.stream("GET", "/live", params={"topic": "desk"}))
            assert answer.status_code == 200
            lines = answer.iter_lines()
            assert next(lines).startswith("event")
            threads.append(threading.Thread(target=listen, args=(lines, number), daemon=True))
            threads[-1].start()

        assert served.process is not None
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(10 * STOPS_WITHIN)

        assert time.monotonic() - began < STOPS_WITHIN
        for thread in threads:
            thread.join(SECONDS)
        assert sorted(ended) == list(range(STREAMS))
        assert "Traceback" not in served.log


def test_forms_that_never_arrive_whole_do_not_hold_it_up_either(tmp_path: Path) -> None:
    half = b"POST /login HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\na="
    with running(prepare(tmp_path)) as served, closing(socket.create_connection(("127.0.0.1", served.port))) as held:
        with closing(socket.create_connection(("127.0.0.1", served.port))) as gone:
            gone.sendall(half)
        held.sendall(half)
        assert httpx.get(f"{served.url}/login").status_code == 200  # so that both have been read

        assert served.process is not None
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(10 * STOPS_WITHIN)

        assert time.monotonic() - began < STOPS_WITHIN
        assert "ClientDisconnect" not in served.log
