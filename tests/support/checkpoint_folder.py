"""A local folder for the checkpoint of a training, for trainings that have no lake."""

from __future__ import annotations

from pathlib import Path


class CheckpointFolder:
    """Implements `pipeline.networks.in_keras.checkpoint.Storage`."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)

    def put(self, name: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{name}.unfinished"
        unfinished.write_bytes(data)
        unfinished.replace(self._folder / name)

    def get(self, name: str) -> bytes | None:
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def path(self, name: str) -> str:
        return str(self._folder / name)
