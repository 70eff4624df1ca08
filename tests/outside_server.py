"""A server on 127.0.0.1 that speaks for the outside sources, also when it fails."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

Query = dict[str, str]


@dataclass
class Answer:
    """One reply; ``cut_after`` breaks the connection after so many bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    delay_s: float = 0.0
    ranges: bool = False
    announced: int | None = None


Route = Answer | list[Answer] | Callable[[Query], Answer]
"""One reply for ever, replies in turn (the last one stays), or one made from the query."""


class OutsideServer:
    """Routes by path; remembers what it was asked."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, Query, dict[str, str]]] = []
        self.url = ""

    def answer(self, path: str, query: Query) -> Answer:
        route = self.routes.get(path, Answer(status=404))
        if isinstance(route, list):
            return route.pop(0) if len(route) > 1 else route[0]
        return route(query) if callable(route) else route


@contextmanager
def serving() -> Iterator[OutsideServer]:
    outside = OutsideServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            outside.asked.append((parts.path, query, dict(self.headers)))
            _send(self, outside.answer(parts.path, query))

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    outside.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield outside
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    time.sleep(answer.delay_s)
    start, status = 0, answer.status
    match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if answer.ranges and status == 200 and match:
        start, status = int(match[1]), 206
        if start >= len(answer.body):
            start, status = len(answer.body), 416
    body = answer.body[start:]
    handler.send_response(status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    announced = len(body) if answer.announced is None else answer.announced
    handler.send_header("Content-Length", str(announced))
    handler.end_headers()
    try:
        handler.wfile.write(body if answer.cut_after is None else body[: answer.cut_after])
    except (BrokenPipeError, ConnectionResetError):  # the client has given up waiting
        return


def energy_charts(
    query: Query, price: Callable[[int], float | None] = lambda s: s % 1000 / 10
) -> Answer:
    """What ``/price`` answers for whole local days, hourly until 2025-09-30 and then quarters."""
    zone = ZoneInfo("Europe/Berlin")
    first, last = date.fromisoformat(query["start"]), date.fromisoformat(query["end"])
    start, stop = (
        int(datetime(d.year, d.month, d.day, tzinfo=zone).timestamp())
        for d in (first, last + timedelta(days=1))
    )
    stamps = list(range(start, stop, 900 if first >= date(2025, 10, 1) else 3600))
    body = {
        "license_info": "CC BY 4.0 (creativecommons.org/licenses/by/4.0) from Bundesnetzagentur",
        "unix_seconds": stamps,
        "price": [price(stamp) for stamp in stamps],
        "unit": "EUR / MWh",
        "deprecated": False,
    }
    return Answer(body=json.dumps(body).encode())


def open_meteo(query: Query, **changes: object) -> Answer:
    """What ``/v1/archive`` answers: hour k has temperature k, radiation 10·k."""
    first = datetime.fromisoformat(query["start_date"])
    days = (datetime.fromisoformat(query["end_date"]) - first).days + 1
    hours = range(24 * days)
    units = {"temperature_2m": "°C"}
    series: dict[str, list[object]] = {"temperature_2m": list(hours)}
    for name in query["hourly"].split(","):
        if name not in units:
            units[name] = "W/m²"
            series[name] = [10.0 * k for k in hours]
    body = {
        "latitude": 47.66,
        "longitude": 9.18,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "hourly_units": {"time": "iso8601", **units},
        "hourly": {
            "time": [f"{first + timedelta(hours=k):%Y-%m-%dT%H:%M}" for k in hours],
            **series,
        },
    }
    return Answer(body=json.dumps(body | changes).encode())
