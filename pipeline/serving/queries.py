"""Answers queries from the current release: a title for a body, and similar issues. Writes nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Any

from pipeline.contracts import SEGMENTS
from pipeline.errors import UsageError
from pipeline.index.earlier_index import EarlierIndex, open_earlier_index
from pipeline.index.issues_of_release import repository_in_release
from pipeline.index.queries import Hits
from pipeline.index.segmented_index import QueryIssue, Search, SegmentedIndex, midnight, open_segments
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.loading import load_light_predictor
from pipeline.predictor.predictor import Model
from pipeline.releases.current import require_current
from pipeline.releases.withheld_titles import WITHHELD
from pipeline.serving.addresses import is_on_github, issue_url, repository_name
from pipeline.serving.stored_issue import OpenFile, issue_rows, open_files
from pipeline.settings import Settings
from pipeline.text.issue_terms import issue_terms, term_words

DAYS_REMEMBERED = 64
"""Number of source days whose files of issues stay open."""


def title(lake: Lake, body: str) -> dict[str, Any]:
    """Returns the title that the current release's model predicts for the body of an issue.

    The result is a dict with these keys:

    - `title`: the predicted title; empty if `abstained` is true
    - `confidence`: the model's confidence in the title, 0 to 1
    - `probability`: the probability that the title is like an author's title, 0 to 1; None for a model
      that cannot estimate it
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
    return titles(release, load_light_predictor(lake, release.facts["predictor"]), [body])[0]


def titles(release: Pinned, predictor: Model, bodies: Sequence[str | None]) -> list[dict[str, Any]]:
    """Returns the titles that the model of a release predicts for `bodies`, each with the keys that `title`
    returns. The model abstains if a body is empty or missing (None)."""
    withheld = release.facts.get(WITHHELD)
    return [
        {
            "title": "" if withheld else prediction.title,
            "confidence": float(prediction.confidence),
            "abstained": bool(withheld or prediction.abstained),
            "withheld": withheld,
            "probability": prediction.probability,
        }
        for prediction in predictor.predict(bodies)
    ]


class OpenRelease:
    """A release that is opened once and answers many queries. Its model and its index are opened when they
    are first needed. This raises LakeError if a file is missing or damaged."""

    def __init__(self, release: Pinned, settings: Settings) -> None:
        self.release = release
        self.settings = settings
        self._files_of_issues = lru_cache(DAYS_REMEMBERED)(self._open_files_of_issues)

    @cached_property
    def predictor(self) -> Model:
        """The model of the release, which computes with NumPy."""
        return load_light_predictor(self.release.lake, self.release.facts["predictor"])

    @cached_property
    def index(self) -> SegmentedIndex | EarlierIndex:
        """The index of the release."""
        if SEGMENTS.name in self.release.members:
            return open_segments(self.release, self.settings)
        return open_earlier_index(self.release, self.settings)

    def title_and_body(self, day: str, issue_id: int) -> tuple[str, str | None]:
        """Returns the title and the body of an issue of the release. `day` is the source day of the issue.
        Raises LakeError if a file is missing or damaged."""
        (row,) = issue_rows(self._files_of_issues(day), issue_id, ["title", "body"])
        return row["title"], row["body"]

    def _open_files_of_issues(self, day: str) -> list[OpenFile]:
        days = self.release.plan.days
        pinned = days[bisect_left(days, day, key=lambda each: each.day)]
        return open_files(self.release.lake, self.release.issues(pinned))


@dataclass(frozen=True)
class SimilarQuery:
    """A query of `titler similar`: which issues are similar to an issue or to a text?

    `text` is the address of an issue, or a text. If `title` is not None, the query is a draft (an issue that
    is not opened yet): `title` is its title, and `text` is its body. If `repo` (OWNER/NAME) is given, only
    this repository is searched. If `same_repo` is true, only the issue's own repository is searched. If
    `everywhere` is true, the result has only the list of similar issues from all repositories. If `since` is
    given, only issues that were opened on this day or later are searched.
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
        check_where_to_search(self.repo, self.same_repo, self.everywhere)
        if self.same_repo and self.issue_url is None:
            raise UsageError(
                "--same-repo needs the URL of an issue. A text has no repository.",
                "Give a URL: titler similar URL --same-repo\n"
                'Or name a repository: titler similar "TEXT" --repo OWNER/REPO',
            )

    @property
    def title_and_body(self) -> tuple[str | None, str]:
        """The title and the body from which the terms of the query are made. A text of one line counts as a
        title, because a query of one line usually resembles the title of an issue."""
        if self.title is None and len(self.text.strip().splitlines()) == 1:
            return self.text.strip(), ""
        return self.title, self.text

    @property
    def searches_last_months(self) -> bool:
        """Whether the query searches all repositories for issues of the last months. It may also search the
        issue's own repository."""
        return not (self.repo or self.same_repo or self.since)

    @property
    def issue_url(self) -> str | None:
        """The URL of the issue if `text` is the address of an issue, otherwise None. The body of a draft is
        never taken for an address. Raises UsageError if `text` is the address of something else."""
        return issue_url(self.text) if self.title is None else None


def check_where_to_search(repo: str | None, same_repo: bool, everywhere: bool) -> None:
    """Raises UsageError if more than one of `repo`, `same_repo` and `everywhere` is given. SimilarQuery says
    what they mean."""
    options = (("--repo", repo), ("--same-repo", same_repo), ("--everywhere", everywhere))
    chosen = [option for option, value in options if value]
    if len(chosen) > 1:
        raise UsageError(
            f"{chosen[0]} and {chosen[1]} contradict each other: each chooses where to search.",
            "Give only one of the two options.",
        )


def similar(lake: Lake, settings: Settings, query: SimilarQuery, neighbours: int) -> list[dict[str, Any]]:
    """Returns the issues of the current release that are most similar to the issue or the text of `query`.

    There are two lists. REPOSITORY_LIST has issues of one repository, over its whole history. EVERYWHERE_LIST
    has issues of all repositories, opened in the last months (setting `similar.months`). The query may choose
    one of them. Otherwise an issue gets both lists, and a text gets the second list. Each list has at most
    `neighbours` issues, the most probable duplicate first. Each issue is a dict with these keys:

    - `issue_url`, `title`
    - `distance`: the angular distance of the embeddings, 0 to 2
    - `near_duplicate`: whether the distance is below the limit for near duplicates
    - `list`: the name of the list
    - `probability`: the probability, 0 to 1, that a maintainer would call the two issues duplicates; None if
      unknown
    - `suggested`: whether the probability is at least `similar.min_probability`; None if unknown
    - `words_in_common`: the most telling words that both issues contain, separated by commas
    - `title_overlap`, `age_days`, `similar_text`, `group_size`: as in the table similar_issues_v2

    Raises UsageError in these cases:

    - No release is published.
    - The query is the address of an issue that is not in the release's index.
    - The index has no issues of the repository `query.repo`.
    - The query is a text without any word of the model's vocabulary.
    """
    opened, url = OpenRelease(require_current(lake), settings), query.issue_url
    query_issue = _issue_with_url(opened, url) if url else text_query(opened, query)
    return similar_to(opened, query, query_issue, neighbours)


def _issue_with_url(opened: OpenRelease, url: str) -> QueryIssue:
    """Returns the issue of an open release with this URL. Raises UsageError if the index does not have it."""
    if not is_on_github(url) and repository_in_release(opened.release, url) is None:
        raise UsageError(
            f"{url} is not an address on github.com, and release {opened.release.name} has no issue with "
            "this address. Titler finds only issues of github.com.",
            "Give an issue as https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER.\n"
            'To search with a text instead: titler similar "TEXT"',
        )
    return opened.index.find(url)


def candidates_everywhere(
    opened: OpenRelease, query_issues: Sequence[QueryIssue], neighbours: int
) -> Sequence[Hits | None]:
    """Searches all repositories once, for several issues or texts together. Returns the candidates of each:
    the issues that may be similar to it. `similar_to` takes them as its argument `candidates`.

    The candidates are valid only for queries without `since`. If an earlier version of Titler made the index,
    it cannot be searched in this way, and the candidates of each issue or text are None.
    """
    if isinstance(opened.index, SegmentedIndex) and query_issues:
        return opened.index.hits_everywhere(query_issues, neighbours)
    return [None] * len(query_issues)


def similar_to(
    opened: OpenRelease,
    query: SimilarQuery,
    query_issue: QueryIssue,
    neighbours: int,
    candidates: Hits | None = None,
) -> list[dict[str, Any]]:
    """Returns the issues of an open release that are most similar to `query_issue`, which is the issue or the
    text of `query`. The result has the same form as the result of `similar`. `candidates` is the result of
    `candidates_everywhere` for this issue or text, or None if it was not computed before. Raises UsageError
    if the release has no issue of the repository `query.repo`."""
    release, index, settings = opened.release, opened.index, opened.settings
    named = repository_name(query.repo) if query.repo else None
    own = query_issue.repo if query.same_repo or not query.everywhere else None
    search_request = Search(
        index.repository(named) if named else own,
        not (named or query.same_repo),
        neighbours,
        query.since,
    )
    words = _words(opened, query_issue)
    limit = settings.index.near_duplicate_distance or release.facts["near_duplicate_distance"]
    return [
        _result_row(row, limit, settings.similar.min_probability, words)
        for row in index.similar(query_issue, search_request, candidates)
    ]


def _result_row(
    row: dict[str, Any], near_duplicate_distance: float, min_probability: float, words: Mapping[int, str]
) -> dict[str, Any]:
    """Converts a row of an index to an issue in the result of `similar`. `words` maps each term of the query
    to the word that it was made from."""
    probability, terms = row["probability"], row["terms"]
    in_common = None if terms is None else ", ".join(words[term] for term in terms if term in words)
    return {
        "issue_url": row["issue_url"],
        "title": row["title"],
        "distance": row["distance"],
        "near_duplicate": row["distance"] < near_duplicate_distance,
        "list": row["list"],
        "probability": probability,
        "suggested": None if probability is None else probability >= min_probability,
        "words_in_common": in_common,
        **{name: row[name] for name in ("title_overlap", "age_days", "similar_text", "group_size")},
    }


def _words(opened: OpenRelease, query_issue: QueryIssue) -> Mapping[int, str]:
    """Returns a dict that maps each term of the query to the word that it was made from."""
    if query_issue.day is None:
        return query_issue.words
    return term_words(*opened.title_and_body(query_issue.day, query_issue.issue_id))


def text_query(opened: OpenRelease, query: SimilarQuery) -> QueryIssue:
    """Converts a text, or the draft of an issue, to the form in which it is compared with issues. The text or
    draft counts as opened at the end of the release's last day. Raises UsageError if it has no word of the
    model's vocabulary."""
    predictor = opened.predictor
    body_ids, title_ids = predictor.vectors([query.text]), predictor.title_ids([query.title or ""])
    if not predictor.has_known_words(body_ids, title_ids).all():
        raise UsageError(
            "The text contains no word of the model's vocabulary, so no similar issues can be found.",
            'Give a longer text: titler similar "TEXT"\nOr give the URL of an issue: titler similar URL',
        )
    vectors = predictor.embed_vectors(body_ids, title_ids if query.title is not None else None)
    title, body = query.title_and_body
    last_day = date.fromisoformat(opened.release.plan.days[-1].day)
    return QueryIssue(
        vectors[0],
        issue_terms([title], [body]),
        midnight(last_day + timedelta(days=1)),
        words=term_words(title, body),
    )
