"""Settings of the source: where hour files are read from."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import NoDecode

from pipeline.settings.section import Section

GH_ARCHIVE = "https://data.gharchive.org"


class HourBase(Section):
    """A folder or an address with hour files. If `kind` is `gharchive`, an event is in the file of the hour
    in which it was created. If `kind` is `crawl-time`, it is in the file of the hour in which it was
    crawled."""

    base: str = Field(min_length=1)
    kind: Literal["gharchive", "crawl-time"] = "gharchive"


class Source(Section):
    """Where GH Archive's hour files are read from. An hour file has one hour of public events on GitHub."""

    hours: Annotated[str | tuple[HourBase, ...], NoDecode] = Field(
        default=GH_ARCHIVE,
        description="where the hour files are (a base): the path of a folder, or an address that starts with "
        "file://, gs:// or https://. To use several bases, give a list of them, the preferred one first. In "
        "an environment variable, write the list as JSON. If the files of a base may contain events of "
        'earlier hours, write this base as `{base = "https://...", kind = "crawl-time"}`. If a base lacks an '
        "hour, or has at most a tenth of the events that are usual in this hour, the hour is also read from "
        "the next base",
    )
    late_hours: int = Field(
        default=6,
        ge=0,
        le=24,
        description="for bases of the kind crawl-time: number of later hour files that are read in addition "
        "to the file of an hour, because they may contain late events of this hour. GitHub's documentation "
        "says that events appear with a latency of 30 seconds to 6 hours",
    )
    recheck_days: int = Field(
        default=7,
        ge=0,
        description="number of days just before the first day to extract. If one of these earlier days is "
        "incomplete, `titler extract` checks it again. If the source now has new or changed hour files for "
        "it, the day is extracted again. On a web server, a check sends 24 to 76 requests per day and base. "
        "This setting does not apply to BigQuery, which would bill each check",
    )

    @field_validator("hours", mode="before")
    @classmethod
    def _read_bases(cls, value: Any) -> Any:
        """Returns the setting `hours`: a folder or an address as text, or a tuple of bases. `value` may be a
        list of bases written as JSON. Raises ValueError if it is invalid."""
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise ValueError(f"the list is not JSON: {error}") from None
        if isinstance(value, str):
            if not value:
                raise ValueError("the text is empty; expected a folder or an address")
            return value
        if not isinstance(value, list | tuple):
            raise ValueError("expected a text, or a list of bases")
        bases = tuple(_read_base(base) for base in value)
        if not bases:
            raise ValueError("the list is empty; expected at least one folder or address")
        names = [base.base.rstrip("/") for base in bases]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the list has {repeated[0]} more than once")
        return bases

    @property
    def bases(self) -> tuple[HourBase, ...]:
        """The bases of hour files, the preferred one first."""
        return (HourBase(base=self.hours),) if isinstance(self.hours, str) else self.hours


def _read_base(value: Any) -> HourBase:
    if isinstance(value, HourBase):
        return value
    try:
        return HourBase.model_validate({"base": value} if isinstance(value, str) else value)
    except ValidationError:
        raise ValueError(
            f'{value!r} is not a base; expected a text, or {{base = "...", kind = "gharchive"}} or '
            '{base = "...", kind = "crawl-time"}'
        ) from None
