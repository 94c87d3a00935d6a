"""Answers queries from the current release: a title for a body, and similar issues. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.contracts import SEGMENTS
from pipeline.errors import UsageError
from pipeline.index.earlier_index import EarlierIndex, open_earlier_index
from pipeline.index.segment_search import Vectors
from pipeline.index.segmented_index import SegmentedIndex, open_segments
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.loading import load_light_predictor
from pipeline.releases.current import require_current
from pipeline.releases.withheld_titles import WITHHELD
from pipeline.serving.addresses import issue_url, repository_name
from pipeline.settings import Settings

REPOSITORY_LIST, EVERYWHERE_LIST = "repository", "everywhere"
"""The names of the two lists of similar issues: of one repository, and of all."""


def title(lake: Lake, body: str) -> dict[str, Any]:
    """Returns the title that the current release's model predicts for the body of an issue.

    The result is a dict with these keys:

    - `title`: the predicted title; empty if `abstained` is true
    - `confidence`: the model's confidence in the title, 0 to 1
    - `probability`: the probability that the title is like an author's, 0 to 1; None for a model that cannot
      estimate it
    - `abstained`: true if the model gives no title, usually because it is not sure enough; also true if
      `withheld` is not None
    - `withheld`: the reason why the release shows no titles of this model; None if it shows them

    Raises UsageError if the body is empty or no release is published.
    """
    if not body.strip():
        raise UsageError(
            "The body is empty, so no title can be predicted.",
            'Give the body as an argument: titler title "BODY"\nTo give it on standard input: titler title -',
        )
    release = require_current(lake)
    prediction = load_light_predictor(lake, release.facts["predictor"]).predict([body])[0]
    withheld = release.facts.get(WITHHELD)
    return {
        "title": "" if withheld else prediction.title,
        "confidence": float(prediction.confidence),
        "abstained": bool(withheld or prediction.abstained),
        "withheld": withheld,
        "probability": prediction.probability,
    }


@dataclass(frozen=True)
class SimilarQuery:
    """A question of `titler similar`: which issues are similar to an issue or to a text?

    `text` is the address of an issue, or a text. If there is a `title`, both are the draft of an issue, and
    `text` is its body. `repo` (OWNER/NAME) is the only repository to be searched; `same_repo` says that it is
    the issue's own. If `everywhere` is true, only the list of all repositories is wanted. `since` is the
    first day on which similar issues may have been opened.
    """

    text: str
    title: str | None = None
    repo: str | None = None
    same_repo: bool = False
    everywhere: bool = False
    since: date | None = None

    def __post_init__(self) -> None:
        """Raises UsageError if there is no text, or if options contradict each other."""
        if not self.text.strip() and not (self.title or "").strip():
            raise UsageError(
                "The query is empty, so no similar issues can be found.",
                'Give the URL of an issue: titler similar URL\nOr give a text: titler similar "TEXT"',
            )
        chosen = [
            option
            for option, value in (
                ("--repo", self.repo),
                ("--same-repo", self.same_repo),
                ("--everywhere", self.everywhere),
            )
            if value
        ]
        if len(chosen) > 1:
            raise UsageError(
                f"{chosen[0]} and {chosen[1]} contradict each other: each chooses where to search.",
                "Give only one of them.",
            )
        if self.same_repo and self.issue_url is None:
            raise UsageError(
                "--same-repo needs the URL of an issue. A text has no repository.",
                "Give a URL: titler similar URL --same-repo\n"
                'Or name a repository: titler similar "TEXT" --repo OWNER/REPO',
            )

    @property
    def issue_url(self) -> str | None:
        """The URL of the issue that the text names, or None if it is a text. A draft is always a text. Raises
        UsageError if the text is an address that names no issue."""
        return issue_url(self.text) if self.title is None else None


def similar(lake: Lake, settings: Settings, query: SimilarQuery, neighbours: int) -> list[dict[str, Any]]:
    """Returns the issues of the current release that are most similar to what `query` names.

    There are two lists: REPOSITORY_LIST has the issues of one repository, however old they are, and
    EVERYWHERE_LIST those of all repositories, of the months of the setting `similar.months`. The query
    chooses; without a choice, an issue has both lists, and a text the second. Each list has at most
    `neighbours` issues, nearest first. Each issue is a dict with the keys `issue_url`, `title`, `distance`
    (angular, 0 to 2), `near_duplicate` and `list`. Raises UsageError in these cases:

    - No release is published.
    - The query is an address that is not in the release's index, or names a repository that is not.
    - The query is a text without any word of the model's vocabulary.
    """
    url = query.issue_url
    repo = repository_name(query.repo) if query.repo else None
    release = require_current(lake)
    has_segments = SEGMENTS.name in release.members
    index: SegmentedIndex | EarlierIndex
    index = open_segments(release, settings) if has_segments else open_earlier_index(release, settings)
    if url is None:
        vector, own_id = _embedding(release, query), None
        repo = index.repository(repo) if repo else None
    else:
        issue = index.find(url)
        vector, own_id = issue.vector, issue.issue_id
        # An index of Titler 0.1 cannot be searched by repository.
        own_repo = issue.repo if query.same_repo or (has_segments and not query.everywhere) else None
        repo = index.repository(repo) if repo else own_repo
    lists = []
    if repo:
        rows = index.nearest_in_repository(vector, neighbours + 1, repo, query.since)
        lists.append((REPOSITORY_LIST, rows))
    if not (query.repo or query.same_repo):
        lists.append((EVERYWHERE_LIST, index.nearest(vector, neighbours + 1, query.since)))
    limit = settings.index.near_duplicate_distance or release.facts["near_duplicate_distance"]
    return [
        {
            "issue_url": row["issue_url"],
            "title": row["title"],
            "distance": row["distance"],
            "near_duplicate": row["distance"] < limit,
            "list": name,
        }
        for name, rows in lists
        for row in [row for row in rows if row["issue_id"] != own_id][:neighbours]
    ]


def _embedding(release: Pinned, query: SimilarQuery) -> Vectors:
    """Returns the embedding of a text or of the draft of an issue, shape (size,). Raises UsageError if the
    text has no word of the model's vocabulary."""
    predictor = load_light_predictor(release.lake, release.facts["predictor"])
    body_ids, title_ids = predictor.vectors([query.text]), predictor.title_ids([query.title or ""])
    if not predictor.has_known_words(body_ids, title_ids).all():
        raise UsageError(
            "The text contains no word of the model's vocabulary, so no similar issues can be found.",
            'Give a longer text: titler similar "TEXT"\nOr give the URL of an issue: titler similar URL',
        )
    titles = title_ids if query.title is not None else None
    vector: Vectors = predictor.embed_vectors(body_ids, titles)[0]
    return vector
