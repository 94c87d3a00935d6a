"""Hour files are found in a folder or on a web server, and downloaded."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock

import pyarrow as pa
import pytest

from pipeline.errors import SourceError
from pipeline.source import hour_files, hour_requests
from pipeline.source.hour_files import HourFile, fetch, find_hours, has_event

DAY = date(2015, 1, 3)


class _QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder. Files below /encoded/ are said to be encoded, so that clients decompress them. Records
    the paths that were requested."""

    requested: ClassVar[list[str]] = []

    def log_message(self, format: str, *args: object) -> None:
        self.requested.append(self.path)

    def end_headers(self) -> None:
        if self.path.startswith("/encoded/"):
            self.send_header("Content-Encoding", "gzip")
        super().end_headers()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hour_requests, "PAUSES", (0.0, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hours = tmp_path / "hours"
    hours.mkdir()
    for name in (
        "2015-01-03-0.json.gz",
        "2015-01-03-13.json.gz",
        "2015-01-03-3.json.gz",
        "2015-01-04-0.json.gz",
    ):
        (hours / name).write_bytes(name.encode())
    return hours


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def downloaded(files: Sequence[HourFile], folder: Path) -> list[Path]:
    return [path for path in fetch(files, folder) if isinstance(path, Path)]


def test_a_day_lists_its_existing_and_its_missing_hours(folder: Path) -> None:
    day = find_hours(str(folder), DAY)
    assert [file.hour for file in day.files] == [0, 3, 13]
    assert day.missing == tuple(hour for hour in range(24) if hour not in (0, 3, 13))


NAMES = {
    "two digits": "2015-01-03-{:02}.json.gz",
    "not compressed": "2015-01-03-{}.json",
    "Zstandard": "2015-01-03-{:02}.json.zst",
    "a folder per day": "2015-01-03/2015-01-03-{}.json.gz",
    "folders of years, months and days": "2015/01/03/{:02}.json.zst",
}


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [*(("folder", name) for name in NAMES), ("web server", "two digits"), ("web server", "a folder per day")],
)
def test_the_names_of_mirrors_are_found(
    folder: Path, address: str, tmp_path: Path, kind: str, pattern: str
) -> None:
    for path in folder.iterdir():
        path.unlink()
    for hour in (3, 7, 12):
        path = folder / NAMES[pattern].format(hour)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"hour {hour}")
    day = find_hours(address if kind == "web server" else str(folder), DAY)
    assert [file.hour for file in day.files] == [3, 7, 12]
    contents = [path.read_text() for path in downloaded(day.files, tmp_path / "down")]
    assert contents == ["hour 3", "hour 7", "hour 12"]


def test_files_with_other_names_are_listed(folder: Path) -> None:
    for name in ("2015-01-03-7.json.gz.part", "2015-01-03-24.json.gz", "2015-01-03-03.json.gz", "readme"):
        (folder / name).write_text("")
    assert find_hours(str(folder), DAY).other_names == (
        "2015-01-03-03.json.gz",  # hour 3 has GH Archive's name, too
        "2015-01-03-24.json.gz",
        "2015-01-03-7.json.gz.part",
    )


def test_a_file_address_is_read_as_a_folder(folder: Path) -> None:
    assert fetch(find_hours(folder.as_uri(), DAY).files, folder / "none") == fetch(
        find_hours(str(folder), DAY).files, folder / "none"
    )


def test_local_files_are_not_copied(folder: Path, tmp_path: Path) -> None:
    assert fetch(find_hours(str(folder), DAY).files, tmp_path / "down") == [
        folder / f"2015-01-03-{hour}.json.gz" for hour in (0, 3, 13)
    ]
    assert not (tmp_path / "down").exists()


def test_an_hour_file_has_a_size_and_a_stamp_that_changes_with_the_file(folder: Path) -> None:
    before = find_hours(str(folder), DAY).files[0]
    (folder / "2015-01-03-0.json.gz").write_bytes(b"another")
    after = find_hours(str(folder), DAY).files[0]
    assert (before.size, after.size) == (20, 7)
    assert before.stamp != after.stamp


def test_a_day_without_files_is_no_error_if_the_folder_has_files_of_other_days(folder: Path) -> None:
    day = find_hours(str(folder), date(2016, 1, 1))
    assert (day.files, len(day.missing)) == ((), 24)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match="nowhere is not a folder or does not exist; expected a folder of hour files"
    ):
        find_hours(str(tmp_path / "nowhere"), DAY)


def test_a_folder_without_hour_files_of_any_day_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("")
    with pytest.raises(
        SourceError, match=r"Other files and folders: 1, such as readme.txt\. Expected names like"
    ):
        find_hours(str(tmp_path), DAY)


@pytest.mark.parametrize(
    "base", ["nonsense://x", "ftp://127.0.0.1/hours", "s3://bucket/hours", "simplecache::https://127.0.0.1"]
)
def test_an_address_of_another_kind_is_refused_with_the_supported_kinds(base: str) -> None:
    with pytest.raises(
        SourceError, match=r"(?s)not an address of hour files.*a folder, file://, gs://, https:// or http://"
    ):
        find_hours(base, DAY)


def test_each_hour_is_requested_from_a_web_server(address: str) -> None:
    day = find_hours(address, DAY)
    assert [(file.hour, file.size) for file in day.files] == [(0, 20), (3, 20), (13, 21)]
    assert all(file.stamp for file in day.files)
    assert len(day.missing) == 21


@pytest.mark.parametrize(("is_gh_archive", "names"), [(False, 24 + 14), (True, 24)])
def test_a_missing_day_is_looked_for_under_few_names(
    address: str, monkeypatch: pytest.MonkeyPatch, is_gh_archive: bool, names: int
) -> None:
    if is_gh_archive:
        monkeypatch.setattr(hour_files, "GH_ARCHIVE", address)
    _QuietHandler.requested.clear()
    assert find_hours(address, date(2016, 1, 1)).files == ()
    assert len(set(_QuietHandler.requested)) == names


def test_a_folder_with_all_hours_of_a_day_is_not_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listdir", Mock(side_effect=AssertionError))
    assert [file.hour for file in find_hours(str(folder), DAY, (0, 3, 13)).files] == [0, 3, 13]


def test_hour_files_on_a_web_server_are_downloaded(address: str, tmp_path: Path) -> None:
    paths = downloaded(find_hours(f"{address}/", DAY).files, tmp_path / "down")
    assert [path.name for path in paths] == [f"2015-01-03-{hour}.json.gz" for hour in (0, 3, 13)]
    assert [path.read_text() for path in paths] == [path.name for path in paths]
    assert sorted(path.name for path in (tmp_path / "down" / str(DAY)).iterdir()) == sorted(
        path.name for path in paths
    )


def test_a_file_that_the_client_has_decompressed_is_downloaded(
    address: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "encoded").mkdir()
    event = b'{"type": "WatchEvent", "created_at": "2015-01-03T05:00:00Z", "payload": {}}'
    (folder / "encoded" / "2015-01-03-5.json.gz").write_bytes(gzip.compress(event))
    day = find_hours(f"{address}/encoded", DAY)
    assert [path.read_bytes() for path in downloaded(day.files, tmp_path / "down")] == [event]
    assert has_event(day.files[0])


def test_a_zstandard_file_may_begin_with_a_frame_to_skip(folder: Path) -> None:
    event = b'{"type": "WatchEvent", "created_at": "2015-01-03T05:00:00Z", "payload": {}}'
    skipped_frame = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    content = skipped_frame + pa.compress(event, codec="zstd", asbytes=True)
    (folder / "2015-01-03-5.json.zst").write_bytes(content)
    (file,) = find_hours(str(folder), DAY, (5,)).files
    assert has_event(file)


def test_a_remote_file_that_disappeared_is_an_error_that_names_the_file(
    address: str, folder: Path, tmp_path: Path
) -> None:
    day = find_hours(address, DAY)
    (folder / "2015-01-03-3.json.gz").unlink()
    _, error, _ = fetch(day.files, tmp_path / "down")
    assert isinstance(error, SourceError)
    assert "2015-01-03-3.json.gz was not downloaded completely: " in error.message


def test_a_server_that_stops_sending_is_an_error(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = find_hours(address, DAY, (3,)).files
    monkeypatch.setattr(hour_requests, "READ_SECONDS", 0.05)
    monkeypatch.setattr(_QuietHandler, "do_GET", lambda handler: handler.connection.recv(1))  # sends nothing
    (error,) = fetch(files, tmp_path / "down")
    assert isinstance(error, SourceError)
    assert "2015-01-03-3.json.gz was not downloaded completely: " in error.message


def test_a_server_that_sends_nothing_about_a_file_is_an_error(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hour_requests, "ANSWER_SECONDS", 0.05)
    for method in ("do_HEAD", "do_GET"):
        monkeypatch.setattr(_QuietHandler, method, lambda handler: handler.connection.recv(1))
    with pytest.raises(SourceError, match=f"The hour files at {address} cannot be reached: Timeout"):
        find_hours(address, DAY, (3,))


def test_a_server_that_does_not_answer_about_one_file_has_the_others(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_head = _QuietHandler.send_head

    def fail_for_hour_3(handler: _QuietHandler) -> object:
        if "-3." not in handler.path:
            return send_head(handler)
        handler.send_error(503)
        return None

    monkeypatch.setattr(_QuietHandler, "send_head", fail_for_hour_3)
    day = find_hours(address, DAY)
    assert ([file.hour for file in day.files], list(day.failed)) == ([0, 13], [3])
    assert 3 in day.missing


def test_a_day_on_a_web_server_that_does_not_answer_is_not_missing_but_an_error() -> None:
    with pytest.raises(SourceError, match="cannot be reached"):
        find_hours("http://127.0.0.1:9", DAY)
