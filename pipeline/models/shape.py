"""The sizes of a network."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pipeline.errors import UsageError

PAD = 0
UNKNOWN = 1


@dataclass(frozen=True)
class Shape:
    """What fixes a network's parameters. The defaults are the article's; its vocabularies had 8,002 and 4,502 ids.

    Raises UsageError for a size that is no positive number.
    """

    body_vocabulary: int
    """ids a body may hold: 0 pads, 1 is unknown, words from 2"""
    title_vocabulary: int
    """ids a title may hold, likewise"""
    body_length: int = 70
    """ids a body"""
    title_length: int = 12
    """ids a title, _start_ and _end_ included"""
    embedding_size: int = 300
    """numbers a word"""
    hidden_size: int = 300
    """numbers an issue: the encoder's state"""

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            if not isinstance(size, int) or size < 1:
                raise UsageError(f"{field.name} = {size!r}: a network's sizes are whole numbers from 1.")

    @property
    def steps(self) -> int:
        """Tokens the decoder writes at most: a title without its _start_."""
        return self.title_length - 1
