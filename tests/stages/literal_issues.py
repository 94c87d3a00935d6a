"""Literal issues, and a small lake of them whose models read subwords."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.settings import LakeSettings, Model, Settings, Text
from pipeline.stages import clean, vocab
from pipeline.stages.vocab import ModelRequest

TRAINING_REPO, VALIDATION_REPO = "golang/go", "opencv/opencv"


def issue(number: int, title: str, body: str | None, repo: str = "rust-lang/rust") -> dict[str, Any]:
    """A row of issues_v1."""
    return {
        "issue_id": number,
        "issue_url": f"https://github.com/{repo}/issues/{number}",
        "repo": repo,
        "number": number,
        "author": "someone",
        "title": title,
        "body": body,
        "created_at": datetime(2015, 1, 1, 12, tzinfo=UTC),
        "event_id": str(number),
        "trainable": True,
    }


def issues(*rows: dict[str, Any]) -> pa.Table:
    """Rows as a table of issues_v1."""
    return pa.Table.from_pylist(list(rows), schema=ISSUES.schema)


CRASH = issue(1, "TreeView crash", "The `TreeView` crashes\r\n<!-- say when -->", TRAINING_REPO)
SECOND_CRASH = issue(2, "Crash again", "A crash of the TreeView", TRAINING_REPO)
VALIDATION_CRASH = issue(3, "The crash", "**The** view", VALIDATION_REPO)
NOT_TRAINABLE = {**issue(4, "Zebra zebra zebra", None, TRAINING_REPO), "trainable": False}


class SubwordLake:
    """A lake of days with literal issues, and settings with which a model reads subwords."""

    def __init__(self, root: Path | str, *days: list[dict[str, Any]]) -> None:
        self.lake = Lake(str(root))
        text = Text(subwords=300, body_units=12, title_units=6)
        self.settings = Settings(lake=LakeSettings(root=str(root)), model=Model(variant="copy"), text=text)
        for number, rows in enumerate(days, start=1):
            self.ingest(f"2015-01-0{number}", rows)

    def ingest(self, day: str, rows: list[dict[str, Any]]) -> Manifest:
        """Writes a day with its verdict and tokens; returns the batch of issues."""
        draft = self.lake.draft(ISSUES.name, {"day": day})
        draft.write_table("part-00000.parquet", issues(*rows), ISSUES)
        manifest = draft.commit()
        self.lake.draft(SOURCE_HEALTH.name, {"day": day}, [manifest.digest]).commit()
        clean.run(self.lake, self.settings, [day])
        return manifest

    def model(self, name: str = "m") -> Pinned:
        """A model of all days with its vocabulary."""
        model = Pinned(self.lake, "models", name)
        vocab.run(self.lake, self.settings, model, ModelRequest())
        return model
