"""Repairs texts that cannot be written as UTF-8."""

from __future__ import annotations


def replace_surrogates(text: str) -> str:
    """Replaces each unpaired surrogate (half of a UTF-16 character) by U+FFFD. JSON may contain unpaired
    surrogates, but Parquet and UTF-8 may not."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
