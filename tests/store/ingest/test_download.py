from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from outside_server import Answer, OutsideServer, serving

from ems.errors import DataError, InvalidSpec
from ems.store.ingest.download import Patience, fetch

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
HASTY = Patience(attempts=3, timeout_s=2.0, first_wait_s=0.01, longest_wait_s=0.05)
REMEDY = "download it by hand and give --source PATH"


@pytest.fixture
def server() -> Iterator[OutsideServer]:
    with serving() as outside:
        yield outside


def get(server: OutsideServer, target: Path, **options: object) -> Path:
    options = {"remedy": REMEDY, "patience": HASTY} | options
    return fetch(f"{server.url}/file.csv", target, **options)  # type: ignore[arg-type]


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.smoke
def test_a_file_arrives_whole_and_its_progress_is_told(
    server: OutsideServer, tmp_path: Path
) -> None:
    server.routes["/file.csv"] = Answer(BODY)
    told: list[tuple[int, int | None]] = []
    path = get(
        server,
        tmp_path / "deep" / "file.csv",
        sha256=SHA256,
        progress=lambda done, total: told.append((done, total)),
    )
    assert path.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert left_over(path.parent) == ["file.csv"]


def test_a_file_that_is_there_is_not_asked_for_again(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/file.csv"] = Answer(BODY)
    get(server, tmp_path / "file.csv", sha256=SHA256)
    get(server, tmp_path / "file.csv", sha256=SHA256)
    get(server, tmp_path / "file.csv")
    assert len(server.asked) == 1


def test_a_file_with_another_hash_is_replaced(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/file.csv"] = Answer(BODY)
    (tmp_path / "file.csv").write_bytes(b"half of an older version")
    assert get(server, tmp_path / "file.csv", sha256=SHA256).read_bytes() == BODY


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_tried_again(server: OutsideServer, tmp_path: Path, status: int) -> None:
    fault = Answer(status=status, headers={"Retry-After": "0"})
    server.routes["/file.csv"] = [fault, fault, Answer(BODY)]
    assert get(server, tmp_path / "file.csv", sha256=SHA256).read_bytes() == BODY
    assert len(server.asked) == 3


def test_a_lasting_fault_is_reported_with_what_to_do(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/file.csv"] = Answer(status=503)
    with pytest.raises(DataError) as caught:
        get(server, tmp_path / "file.csv", params={"bzn": "DE-LU"})
    message = str(caught.value)
    assert "/file.csv?bzn=DE-LU" in message
    assert "HTTP 503 Service Unavailable (3 attempts)" in message
    assert message.endswith(REMEDY)
    assert left_over(tmp_path) == []


def test_a_refusal_is_not_tried_again(server: OutsideServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="HTTP 404 Not Found"):
        get(server, tmp_path / "file.csv")
    assert len(server.asked) == 1


def test_a_broken_transfer_goes_on_where_it_stopped(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/file.csv"] = [
        Answer(BODY, cut_after=100_000, ranges=True),
        Answer(BODY, ranges=True),
    ]
    assert get(server, tmp_path / "file.csv").read_bytes() == BODY
    assert server.asked[1][2]["Range"] == "bytes=65536-"


def test_a_broken_transfer_starts_again_where_the_server_knows_no_ranges(
    server: OutsideServer, tmp_path: Path
) -> None:
    server.routes["/file.csv"] = [Answer(BODY, cut_after=100_000), Answer(BODY)]
    assert get(server, tmp_path / "file.csv").read_bytes() == BODY


def test_a_transfer_that_always_breaks_is_reported_and_kept_for_next_time(
    server: OutsideServer, tmp_path: Path
) -> None:
    server.routes["/file.csv"] = Answer(BODY, cut_after=100_000)
    with pytest.raises(DataError, match="the transfer broke off"):
        get(server, tmp_path / "file.csv", sha256=SHA256)
    assert left_over(tmp_path) == ["file.csv.part"]
    server.routes["/file.csv"] = Answer(BODY, ranges=True)
    assert get(server, tmp_path / "file.csv", sha256=SHA256).read_bytes() == BODY
    assert server.asked[-1][2]["Range"] == "bytes=65536-"


def test_an_older_half_without_a_hash_is_not_trusted(server: OutsideServer, tmp_path: Path) -> None:
    (tmp_path / "file.csv.part").write_bytes(b"another")
    server.routes["/file.csv"] = Answer(BODY, ranges=True)
    assert get(server, tmp_path / "file.csv").read_bytes() == BODY


@pytest.mark.parametrize("half", [b"another file", b"x" * (len(BODY) + 1)])
def test_a_half_of_another_file_costs_one_more_attempt(
    server: OutsideServer, tmp_path: Path, half: bytes
) -> None:
    (tmp_path / "file.csv.part").write_bytes(half)
    server.routes["/file.csv"] = Answer(BODY, ranges=True)
    assert get(server, tmp_path / "file.csv", sha256=SHA256).read_bytes() == BODY
    assert len(server.asked) == 2


def test_a_wrong_hash_is_refused_and_nothing_stays(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/file.csv"] = Answer(b"a changed file")
    with pytest.raises(DataError, match=f"expected {SHA256}: the file is damaged or was changed"):
        get(server, tmp_path / "file.csv", sha256=SHA256)
    assert left_over(tmp_path) == []
    assert len(server.asked) == 1


def test_a_silent_server_is_given_up(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/file.csv"] = Answer(BODY, delay_s=0.3)
    patience = Patience(attempts=2, timeout_s=0.05, first_wait_s=0.01)
    with pytest.raises(DataError, match=r"the server fell silent \(2 attempts\)"):
        get(server, tmp_path / "file.csv", patience=patience)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(DataError, match="no connection"):
        fetch(f"{url}/x", tmp_path / "x", remedy=REMEDY, patience=HASTY)


def test_a_folder_that_cannot_be_written(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/file.csv"] = Answer(BODY)
    (tmp_path / "taken").write_text("a file, no folder")
    with pytest.raises(DataError, match="cannot write"):
        get(server, tmp_path / "taken" / "file.csv")


def test_waits_double_unless_the_server_asks_and_are_bounded(
    server: OutsideServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", lambda s: waited.append(s) if s > 0.9 else None)
    server.routes["/file.csv"] = [
        Answer(status=503),
        Answer(status=503),
        Answer(status=503, headers={"Retry-After": "7"}),
        Answer(status=503, headers={"Retry-After": "3600"}),
        Answer(status=503),
        Answer(BODY),
    ]
    patience = Patience(attempts=6, timeout_s=2.0, first_wait_s=1.0, longest_wait_s=10.0)
    get(server, tmp_path / "file.csv", patience=patience)
    assert waited == [1.0, 2.0, 7.0, 10.0, 10.0]


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"timeout_s": 0.0}, {"first_wait_s": -1.0}])
def test_patience_has_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSpec, match=next(iter(wrong))):
        Patience(**wrong)  # type: ignore[arg-type]
