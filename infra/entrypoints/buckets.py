#!/usr/bin/env python
"""Makes buckets, or folders, that are not there yet: buckets.py s3://titler [...]

Whose store, and with which key, s3fs reads from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

from __future__ import annotations

import sys

import fsspec


def make(url: str) -> str:
    """What was done about `url`, in a line."""
    store, path = fsspec.url_to_fs(url)
    if store.exists(path):
        return f"{url} is there"
    store.makedirs(path, exist_ok=True)
    return f"{url} made"


def main(urls: list[str]) -> int:
    if not urls:
        print("buckets.py: found no address, expected one or more, like s3://titler.", file=sys.stderr)
        return 2
    for url in urls:
        try:
            print(make(url), flush=True)
        except Exception as error:  # the library behind each store has its own
            print(
                f"{url} cannot be made: {error}\nCheck AWS_ENDPOINT_URL and the key, then run it again.",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
