"""Reads the files of batches, in parallel, and compares them with their manifests."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pipeline.errors import LakeError, TitlerError
from pipeline.lake.batches import KEY_POINTER, Lake, rewrite_hint
from pipeline.lake.damaged_batches import unmark_damaged
from pipeline.lake.files import REQUESTS
from pipeline.lake.fingerprint import content_digest, fingerprint
from pipeline.lake.manifest import File, Manifest, partition_folder
from pipeline.progress import track
from pipeline.serving.verification.needed_batches import NeededBatch


@dataclass(frozen=True)
class BatchCheck:
    """The result of reading a batch: the number of files and bytes, and the errors that were found. Each
    error comes with the file that is damaged or missing. The file is None if the error is about the manifest,
    or about the pointer by which stages find the batch."""

    batch: NeededBatch
    files: int
    bytes: int
    errors: tuple[tuple[TitlerError, File | None], ...]


def check_batches(lake: Lake, batches: Sequence[NeededBatch], damaged: set[str]) -> list[BatchCheck]:
    """Reads every file of the batches, and returns one result per batch. `damaged` are the folders of batches
    that are marked as damaged. If such a batch is intact, its mark is removed."""
    in_bucket = "://" in lake.root.removeprefix("file://")
    threads = REQUESTS if in_bucket else len(os.sched_getaffinity(0))

    def check(batch: NeededBatch) -> BatchCheck:
        return _check_batch(lake, batch, is_marked=batch.folder in damaged)

    with ThreadPoolExecutor(threads) as executor:
        checks = executor.map(check, batches)
        return list(track(checks, "verify", len(batches)))


def _check_batch(lake: Lake, batch: NeededBatch, *, is_marked: bool) -> BatchCheck:
    errors: list[tuple[TitlerError, File | None]] = []

    def attempt(check: Callable[[], None], file: File | None = None) -> None:
        try:
            check()
        except TitlerError as error:
            errors.append((error, file))

    try:
        manifest = lake.manifest(batch.folder)
    except TitlerError as error:
        return BatchCheck(batch, 0, 0, ((error, None),))
    attempt(lambda: _check_manifest(lake, batch, manifest))
    for file in manifest.files:
        attempt(partial(lake.verify_file, manifest, file), file)
    attempt(lambda: _check_key(lake, manifest))
    if is_marked and not errors:
        unmark_damaged(lake, batch.folder)
        lake.restore_key(manifest)
    return BatchCheck(batch, len(manifest.files), sum(file.bytes for file in manifest.files), tuple(errors))


def _check_key(lake: Lake, manifest: Manifest) -> None:
    """Reads the pointer by which stages find the batch. Raises LakeError if the pointer is damaged. It
    is no error if the pointer is missing, or names another batch that was made from the same inputs."""
    folder = partition_folder(manifest.table, manifest.partition)
    lake.get_json(f"{folder}/keys/{manifest.key}.json", KEY_POINTER)


def _check_manifest(lake: Lake, batch: NeededBatch, manifest: Manifest) -> None:
    """Raises LakeError if the values in a manifest contradict each other, or if the manifest differs from
    what a list of batches or a plan has recorded about the batch."""
    digests = {file.name: file.content_sha256 for file in manifest.files}
    fault = ""
    if manifest.digest != content_digest(manifest.table, manifest.partition, digests):
        fault = "its digest differs from the digest of its files"
    elif manifest.key != fingerprint(
        manifest.table, manifest.partition, manifest.inputs, manifest.parameters
    ):
        fault = "its key differs from the key of its inputs and parameters"
    elif manifest.rows != sum(file.rows for file in manifest.files):
        fault = "its number of rows differs from the number of rows in its files"
    elif batch.listed is not None and manifest != batch.listed:
        fault = "it differs from the entry in the list of members"
    elif batch.digests - {manifest.digest}:
        fault = "its digest differs from the digest that a plan has recorded"
    if fault:
        raise LakeError(
            f"The file {lake.path(batch.folder)}/manifest.json is damaged: {fault}.",
            rewrite_hint(batch.folder),
        )
