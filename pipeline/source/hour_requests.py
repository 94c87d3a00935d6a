"""Sends requests for hour files to a web server, a bucket or a folder.

Requests that fail are sent again, because most errors of a web server last only for seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import fsspec
from fsspec.core import url_to_fs

from pipeline.errors import SourceError
from pipeline.settings import public_address

CONNECTIONS = 8
PAUSES = (1.0, 4.0)
"""Seconds before the second and before the third attempt."""
CONNECT_SECONDS = 30.0
ANSWER_SECONDS = 30.0
"""A web server that sends nothing for so long is taken for broken. This limit is for questions about a file,
such as its size. A day needs up to 144 of them, so a server that never answers costs nine minutes per day."""
READ_SECONDS = 120.0
"""The limit for the download of a file. There is no limit for a whole file: an hour of a crawl-time base has
hundreds of megabytes."""
CHECK_HINT = "Check source.hours and the network: titler doctor"

_PROTOCOLS = ("file", "gs", "https", "http")

Item = TypeVar("Item")
Result = TypeVar("Result")


def open_address(address: str, *, for_download: bool = False) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the fsspec file system of an address, and the path in this file system.

    `address` is the address of an hour file, or of a folder of hour files. A web server gets more time to
    respond if `for_download` is true. Raises SourceError if the setting `source.hours` does not allow this
    kind of address.
    """
    protocol, separator, _ = address.partition("://")
    try:
        if separator and protocol not in _PROTOCOLS:
            raise ValueError(f"{protocol}:// is not supported")
        options = _web_options(for_download) if protocol in ("http", "https") else {}
        filesystem, path = url_to_fs(address, **options)
    except (ValueError, ImportError) as error:
        hint = "Set source.hours to a folder, file://, gs://, https:// or http://, then check: titler doctor"
        raise SourceError(
            f"{public_address(address)} is not an address of hour files: {error}.", hint
        ) from None
    return filesystem, str(path)


def _web_options(for_download: bool) -> dict[str, Any]:
    import aiohttp  # takes a while, and is needed for web servers only

    read_seconds = READ_SECONDS if for_download else ANSWER_SECONDS
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=read_seconds)
    return {"client_kwargs": {"timeout": timeout}}


def request_all(request: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | SourceError]:
    """Calls `request` for each item, CONNECTIONS of them at a time. Returns the results in the same order.

    If `request` raises SourceError for an item, it is called again for this item, up to two times. PAUSES
    says how long to wait before each new attempt. If the last attempt fails, the error is returned in place
    of the item's result.
    """
    results: dict[int, Result | SourceError] = {}

    def attempt(number: int) -> Result | SourceError:
        try:
            return request(items[number])
        except SourceError as error:
            return error

    pending = list(range(len(items)))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for pause in (0.0, *PAUSES):
            if not pending:
                break
            time.sleep(pause)
            results.update(zip(pending, pool.map(attempt, pending), strict=True))
            pending = [number for number in pending if isinstance(results[number], SourceError)]
    return [results[number] for number in range(len(items))]
