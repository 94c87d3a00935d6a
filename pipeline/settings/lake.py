"""The section `lake` of the settings: where the lake is, and where copies of its files are kept."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pipeline.settings.section import Section


class LakeSettings(Section):
    """Where the lake is stored, and where copies of its files are kept. The lake holds the tables, models and
    search indexes that Titler writes."""

    root: str = Field(
        default="./lake",
        description="address of the lake: a folder, s3://BUCKET/... or gs://BUCKET/... (see docs/lake.md)",
    )
    cache: str = Field(
        default="",
        description="folder on this machine in which Titler records which files it has checked against their "
        "digests. If the lake is a bucket, copies of its files are also kept here. If this setting is empty, "
        "the folder is titler-UID (UID is the user's number) in the system's folder for temporary files",
    )
    cache_gib: float = Field(
        default=20,
        gt=0,
        description="largest total size of the copies in `lake.cache`, in GiB. If they exceed it, the copies "
        "that were not used for the longest time are removed",
    )

    @field_validator("root")
    @classmethod
    def _check_root(cls, root: str) -> str:
        """Raises ValueError if the address has credentials. The paths of files begin with the address, and
        they are stored in the lake, in MLflow and in the warehouse."""
        if "://" in root and (("@" in urlsplit(root).netloc) or "?" in root):
            raise ValueError(
                "the address must have no user, password or parameters. Give credentials as environment "
                "variables (see docs/lake.md)"
            )
        return root
