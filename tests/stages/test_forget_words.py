"""forget: the words of a vocabulary that only forgotten issues have."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from pipeline.contracts import TOKENS, VOCABULARY
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import ForgottenList, Matcher
from pipeline.lake.manifest import Manifest
from pipeline.stages.forget_words import own_words
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary
from tests.stages.literal_releases import commit_table


def tokens(lake: Lake, day: str, bodies: dict[int, list[str]]) -> Manifest:
    rows = [
        {"issue_id": number, "repo": "a/b", "trainable": True, "title": [], "body": body}
        for number, body in bodies.items()
    ]
    return commit_table(lake, TOKENS, {"day": day}, pa.Table.from_pylist(rows, schema=TOKENS.schema))


def vocabulary(lake: Lake, folder: Path, model: str, words: list[str]) -> Manifest:
    counts = Counts.of([words])
    Vocabularies(
        Vocabulary.fit(counts, 100, 70, "pre", start_end=False),
        Vocabulary.fit(Counts.of([["crash"]]), 100, 12, "post", start_end=True),
    ).save(folder)
    draft = lake.draft(VOCABULARY, {"model": model})
    draft.write_folder(folder)
    return draft.commit()


def test_only_words_of_the_vocabulary_that_no_other_issue_has_are_counted(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    one = tokens(lake, "2015-01-01", {77: ["crash", "ann", "lane"], 1: ["crash"]})
    two = tokens(lake, "2015-01-02", {2: ["lane"]})
    with_ann = vocabulary(lake, tmp_path / "m", "m", ["crash", "ann", "lane"])
    without = vocabulary(lake, tmp_path / "n", "n", ["crash", "lane"])
    salt = "00" * 16
    matcher = Matcher(salt, [{"issue": [ForgottenList(salt).hash_of("issue", "77")]}])
    assert own_words(lake, [one, two, with_ann, without], [one], matcher) == {"m": 1}
