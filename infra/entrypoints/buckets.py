#!/usr/bin/env python
"""Creates the given buckets or folders if they do not exist yet.

    buckets.py s3://titler [URL ...]

For s3:// addresses, the address of the store comes from the environment variable AWS_ENDPOINT_URL, and its
credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

from __future__ import annotations

import sys

import fsspec


def create(url: str) -> str:
    """Creates the bucket or folder if it does not exist. Returns one line that says what was done."""
    store, path = fsspec.url_to_fs(url)
    if store.exists(path):
        return f"{url} exists already"
    store.makedirs(path, exist_ok=True)
    return f"{url} created"


def main(urls: list[str]) -> int:
    if not urls:
        print("Usage: buckets.py URL [URL ...], for example buckets.py s3://titler", file=sys.stderr)
        return 2
    for url in urls:
        try:
            print(create(url), flush=True)
        except Exception as error:  # each store's library raises its own exceptions
            print(
                f"{url} cannot be created: {error}\nCheck AWS_ENDPOINT_URL and the credentials, then run the "
                "same command again.",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
