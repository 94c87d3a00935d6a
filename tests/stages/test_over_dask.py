"""embed, predict and index over Dask: the batches have the same bytes, however many workers there are."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import (
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    SIMILAR_ISSUES,
    TITLE_PREDICTIONS,
    VECTORS,
)
from pipeline.index import neighbour_batches
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.networks.in_keras import Shape, build
from pipeline.predictor.predictor import Predictor
from pipeline.settings import Compute, Index, Settings
from pipeline.stages import embed, index, predict
from tests.predictor.small_predictors import SUBWORDS
from tests.stages.literal_issues import issue
from tests.stages.literal_releases import vectorized_release
from tests.support.dask_cluster import dask_cluster

DAYS = {"2015-01-01": 300, "2015-01-02": 30, "2015-01-03": 5}
"""Number of issues by day. Each day has one file."""
ROWS_PER_PART = 100


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a release of DAYS, of a model with an untrained network of the variant `copy`."""
    size = SUBWORDS.body.size
    network = build("copy", Shape(size, size, 8, 8, embedding_size=24, hidden_size=24), seed=1)
    predictor = Predictor("m", network, SUBWORDS, "titler", 0.0, 16)
    folder = tmp_path_factory.mktemp("predictor")
    predictor.save(folder)
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    draft = lake.draft("predictor", {"model": "m"}, ["over dask"])
    draft.write_folder(folder)
    stored = draft.commit({"hidden_size": 24})

    words, dice = ["the", "a", "crash", "of", "window", "closes", "when", "theme"], random.Random(1)
    issues: dict[str, list[dict[str, Any]]] = {}
    for day, count in DAYS.items():
        texts = (" ".join(dice.choices(words, k=dice.randint(1, 8))) for _ in range(count))
        issues[day] = [
            issue(len(issues) * 1000 + number, "a crash", text) for number, text in enumerate(texts)
        ]
    literal = vectorized_release(lake, predictor, issues, "literal")
    release = Pinned(lake, "releases", "r")
    facts = {"predictor": stored.folder, "predictor_digest": stored.digest}
    release.open(literal.plan.days, literal.plan.facts | facts)
    for table in (ISSUES.name, VECTORS.name):
        release.members.put(table, literal.members[table])
    return Path(lake.root)


def digests(root: Path, copy: Path, compute: Compute) -> list[str]:
    """The digests of the batches that embed, predict and index make in a copy of the lake."""
    shutil.copytree(root, copy)
    lake, settings = Lake(str(copy)), Settings(compute=compute, index=Index(min_recall=0))
    release = Pinned(lake, "releases", "r")
    manifests = [
        *embed.run(lake, settings, release).manifests,
        *predict.run(lake, settings, release).manifests,
    ]
    index.run(lake, release, settings)
    similar, pairs = release.members[SIMILAR_ISSUES.name], release.members[DUPLICATE_PAIRS.name]
    assert [len(batch.files) for batch in similar] == [len(batch.files) for batch in pairs] == [3, 1, 1]
    assert [(manifest.table, len(manifest.files)) for manifest in manifests] == [
        *((EMBEDDINGS.name, files) for files in (3, 1, 1)),
        *((TITLE_PREDICTIONS.name, files) for files in (3, 1, 1)),
    ]
    assert [manifest.rows for manifest in manifests] == [*DAYS.values(), *DAYS.values()]
    return [manifest.digest for manifest in [*manifests, *similar, *pairs]]


def test_one_process_and_1_2_and_4_workers_give_the_same_bytes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in (embed, predict):
        monkeypatch.setattr(stage, "ROWS_PER_PART", ROWS_PER_PART)
    monkeypatch.setattr(neighbour_batches, "ISSUES_PER_SHARD", ROWS_PER_PART)
    expected = digests(root, tmp_path / "one process", Compute())
    with dask_cluster(workers=1) as cluster:
        for workers in (1, 2, 4):
            cluster.add_workers(workers - len(cluster.workers))
            compute = Compute(scheduler_address=cluster.address)
            assert digests(root, tmp_path / f"{workers} workers", compute) == expected
