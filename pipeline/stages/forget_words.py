"""Part of the stage `forget`: counts the words of a model's vocabulary that only forgotten issues contain.

Each word of a vocabulary belongs to weights of the network. So no word can be removed from a trained model.
The user is told how many such words there are, and can train another model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import TOKENS, VOCABULARY
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import Matcher
from pipeline.lake.manifest import Manifest
from pipeline.text.stored_vocabularies import load_vocabularies
from pipeline.text.vocabulary import Vocabulary

COLUMNS = ["title", "body"]


def own_words(
    lake: Lake, batches: Sequence[Manifest], replaced: Sequence[Manifest], matcher: Matcher
) -> dict[str, int]:
    """Returns, for each model, how many words of its vocabularies occur only in forgotten issues.

    Models without such words, and models whose vocabularies consist of subwords, are left out. `batches` are
    all batches of the lake before anything was removed. `replaced` are the batches among them that have
    forgotten rows.
    """
    vocabularies = {
        batch.partition["model"]: words
        for batch in batches
        if batch.table == VOCABULARY and (words := _words_of_vocabularies(lake, batch))
    }
    of_forgotten: set[str] = set()
    if vocabularies:
        for rows in _tokens(lake, replaced):
            of_forgotten |= _words(rows.filter(pa.array(matcher.mask(rows))))
        of_forgotten &= set().union(*vocabularies.values())
        for rows in _tokens(lake, batches) if of_forgotten else ():
            of_forgotten -= _words(rows.filter(pa.array(~matcher.mask(rows))))
    counts = {model: len(words & of_forgotten) for model, words in vocabularies.items()}
    return {model: count for model, count in counts.items() if count}


def _words_of_vocabularies(lake: Lake, batch: Manifest) -> set[str]:
    """Returns the words of a model's vocabularies, or nothing if they consist of subwords."""
    vocabularies = load_vocabularies(lake, batch)
    words: set[str] = set()
    for vocabulary in (vocabularies.body, vocabularies.title):
        if isinstance(vocabulary, Vocabulary):
            words.update(vocabulary.words)
    return words


def _tokens(lake: Lake, batches: Iterable[Manifest]) -> Iterable[pa.Table]:
    for manifest, file in lake.parts(batch for batch in batches if batch.table == TOKENS.name):
        yield lake.read_part(manifest, file, ["issue_id", "repo", *COLUMNS])


def _words(rows: pa.Table) -> set[str]:
    words: set[str] = set()
    for name in COLUMNS:
        words.update(pc.unique(pc.list_flatten(rows.column(name))).to_pylist())
    return words
