"""Reads SQL statements from `sql/`, binds their parameters, and computes digests that ignore comments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError

SQL = Path(__file__).resolve().parents[2] / "sql"

# One token of GoogleSQL. A quote after a backslash never ends a literal, not even a raw literal.
# https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical
_TOKEN = re.compile(
    r"""
    (?P<ignored> \s+ | --[^\n]* | \#[^\n]* | /\*.*?\*/ )
    | (?: [rRbB]{0,2} (?: '''(?:\\.|[^\\])*?''' | \"""(?:\\.|[^\\])*?\""" ) )
    | (?: [rRbB]{0,2} (?: '(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*" ) )
    | `(?:\\.|[^`\\])*`
    | \w+
    | .
    """,
    re.DOTALL | re.VERBOSE,
)
# Version 0.1.0 stored the SHA-256 of a query's whole text, comments included, in the parameters of its
# batches. sql/extract_issues.sql keeps the digest of 0.1.0, although it has since become stricter: it leaves
# out values of a wrong type and implausible times, of which real days have none, and has one more column.
# Otherwise every day in an existing lake would be extracted again, and billed again. `titler extract --again`
# uses the later query.
# What a word is has become the parameter @word, so batches with other words have other parameters.
_DIGESTS_OF_0_1_0 = {"ba433f0ee283e914": "4ec12902ebd9f13e"}  # canonical digest -> digest stored by 0.1.0


def canonical_sql(sql: str) -> str:
    """Removes comments from a SQL statement and puts exactly one space between its tokens.

    So two statements that differ only in comments and layout become equal. String literals and quoted names
    do not change. No SQL library is used, because the result must not depend on a library's version.
    """
    tokens = (match for match in _TOKEN.finditer(sql) if match.lastgroup != "ignored")
    return " ".join(match.group() for match in tokens)


@dataclass(frozen=True)
class Query:
    """A SELECT in BigQuery's dialect with the values of its `@named` parameters."""

    name: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_file(cls, name: str, **parameters: Any) -> Query:
        """Reads the statement in `sql/NAME.sql`.

        Raises UsageError if there is no such file. The error lists the existing names.
        """
        path = SQL / f"{name}.sql"
        if not path.is_file():
            names = sorted(str(file.relative_to(SQL).with_suffix("")) for file in SQL.rglob("*.sql"))
            raise UsageError(
                f"The query sql/{name}.sql does not exist.", f"The existing queries are: {', '.join(names)}"
            )
        return cls(name, path.read_text(encoding="utf-8"), parameters)

    @classmethod
    def folder(cls, name: str, **parameters: Any) -> list[Query]:
        """Reads all statements in the folder `sql/NAME`, sorted by name."""
        return [
            cls.from_file(f"{name}/{file.stem}", **parameters) for file in sorted((SQL / name).glob("*.sql"))
        ]

    @property
    def stem(self) -> str:
        """Returns the query's name without its folder, for example `embeddings` for `views/embeddings`."""
        return self.name.rpartition("/")[2]

    @property
    def prose(self) -> str:
        """Returns the comment in the statement's first line. The comment says what one row of the result
        stands for."""
        return self.sql.splitlines()[0].removeprefix("--").strip()

    @property
    def digest(self) -> str:
        """Returns 16 hexadecimal digits that identify the statement.

        Comments, and white space outside string literals, do not change the digits.
        """
        digest = hashlib.sha256(canonical_sql(self.sql).encode()).hexdigest()[:16]
        return _DIGESTS_OF_0_1_0.get(digest, digest)

    def binding(self, names: Collection[str], **values: Any) -> dict[str, Any]:
        """Returns the value of each parameter in `names`. If `values` has a value for a parameter, it
        replaces the one in `self.parameters`.

        Raises UsageError if a parameter has no value.
        """
        available = {**self.parameters, **values}
        for name in sorted(names):
            if name not in available:
                raise UsageError(
                    f"The parameter @{name} of the query {self.name} has no value. These parameters have a "
                    f"value: {', '.join(sorted(available)) or 'none'}."
                )
        return {name: available[name] for name in names}


def table_suffix(day: date) -> str:
    """Returns the last six digits of the name of a day's GH Archive table: `150131` for 2015-01-31."""
    return f"{day:%y%m%d}"
