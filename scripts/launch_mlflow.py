"""Open MLflow's user interface on the runs that the pipelines have tracked."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from command_line import DEFAULT_TRACKING, Count, PathName, command, option, parsed, require_one
from console import console, run

from ems.errors import TrackingError

EPILOG = "Only this machine can open the page. Ctrl-C stops it."

HOST = "127.0.0.1"
FIRST_PORT = 5000
PORTS = 100
STARTING_S = 90.0
STOPPING_S = 10.0


@command
class Options:
    """The command line of this script."""

    tracking_uri: str = option("the store of the runs, sqlite:///PATH.db", DEFAULT_TRACKING)
    db: PathName | None = option("the same as a path", None)
    port: Count | None = option(
        f"the port of the page [default: {FIRST_PORT}, or the next that is free]", None
    )


def main() -> None:
    """Start the server, say where it is, and stay until Ctrl-C."""
    asked = parsed(Options, __doc__, EPILOG, config=False)
    require_one(db=asked.db, tracking_uri=asked.tracking_uri != DEFAULT_TRACKING)
    out = console()
    out.print("starting MLflow, which takes some seconds …")
    store = find_store(asked.tracking_uri, asked.db)
    port = find_port(asked.port)
    out.print(f"opening   {store}", soft_wrap=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serving(store, port) as server:
            out.print(f"MLflow: http://{HOST}:{port}{newest_page(store)}   (Ctrl-C to stop)")
            server.wait()
            raise TrackingError(
                f"MLflow on port {port} has ended by itself; start this script again"
            )
    except KeyboardInterrupt:
        out.print("stopped")


def newest_page(store: Path) -> str:
    """The page of the experiment with the newest run."""
    # SQL, since loading MLflow takes seconds and the server does it already.
    with closing(sqlite3.connect(store)) as con:
        sql = "SELECT experiment_id FROM runs ORDER BY start_time DESC LIMIT 1"
        found = con.execute(sql).fetchone()
    return "" if found is None else f"/#/experiments/{found[0]}/runs"


def find_store(tracking_uri: str, db: Path | None) -> Path:
    """The file of the store on the command line; it must exist."""
    from ems.tracking import check_store, sqlite_path, sqlite_uri, store_uri

    uri = store_uri(tracking_uri if db is None else sqlite_uri(db))
    store = sqlite_path(uri)
    if store is None:
        raise TrackingError(f"{uri} is a server and has its page already: open it in a browser")
    if not store.is_file():
        raise TrackingError(f"no runs at {store}; make some with: python scripts/01_run.py")
    check_store(uri)
    return store


def find_port(wanted: int | None) -> int:
    """The requested port, or the first free one from 5000."""
    if wanted is not None:
        if wanted > 65535 or not is_free(wanted):
            raise TrackingError(
                f"port {wanted} is taken or not allowed; leave out --port to find a free one"
            )
        return wanted
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        if is_free(port):
            return port
    raise TrackingError(
        f"no free port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1}; give one with --port"
    )


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        # As the server does, or a port just released would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@contextmanager
def serving(store: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's server while the context lasts; it answers when the context is entered."""
    artifacts = store.parent / "artifacts"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", HOST, "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{store}"]
    command += ["--artifacts-destination", artifacts.as_uri()]
    env = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # only the page is needed
    }
    with tempfile.TemporaryFile() as said:
        # Its own session, so that Ctrl-C reaches this script only, which then ends all of it.
        server = subprocess.Popen(
            command,
            cwd=store.parent,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            wait_for_answer(server, port, said)
            yield server
        finally:
            stop(server)


def wait_for_answer(server: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    """Return when the server answers; raise with its last line if it ends before."""
    import requests

    until = time.monotonic() + STARTING_S
    while time.monotonic() < until:
        if server.poll() is not None:
            said.seek(0)
            lines = said.read().decode(errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "no reason given")
            raise TrackingError(f"MLflow did not start: {last}")
        try:
            if requests.get(f"http://{HOST}:{port}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise TrackingError(
        f"MLflow did not answer on port {port} within {STARTING_S:.0f} s; try another --port"
    )


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and its children, even if Ctrl-C is pressed again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            # The whole group: the server starts workers of its own.
            os.killpg(server.pid, number)
        except ProcessLookupError:
            break
        try:
            server.wait(STOPPING_S)
        except subprocess.TimeoutExpired:
            continue
    server.wait()


if __name__ == "__main__":
    run(main)
