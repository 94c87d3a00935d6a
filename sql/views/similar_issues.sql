-- Grain: one row per issue_id, list and rank of the current release.
--
-- An issue has two lists: of its own repository (repository), and of all repositories (everywhere). An issue
-- whose opening was recorded on two days has the lists of its earliest opening. A release of an earlier version of
-- Titler has the second list only, ordered by distance, without a probability and without the reasons.
--
-- Column suggested: whether the probability is at least the release's min_probability
-- Column repo: owner/name of the issue's repository, from its address
-- Column number: see title_predictions
WITH similar AS (
  SELECT
    issue_id,
    issue_url,
    rank,
    similar_issue_id,
    similar_issue_url,
    similar_title,
    distance,
    same_repo,
    near_duplicate,
    source_day,
    batch_id,
    list,
    probability,
    words_in_common,
    title_overlap,
    age_days,
    similar_text,
    group_size
  FROM
    similar_issues_v2
  UNION ALL
  SELECT
    issue_id,
    issue_url,
    rank,
    similar_issue_id,
    similar_issue_url,
    similar_title,
    distance,
    same_repo,
    near_duplicate,
    source_day,
    batch_id,
    'everywhere' AS list,
    CAST(NULL AS FLOAT64) AS probability,
    CAST(NULL AS STRING) AS words_in_common,
    CAST(NULL AS FLOAT64) AS title_overlap,
    CAST(NULL AS INT64) AS age_days,
    CAST(NULL AS STRING) AS similar_text,
    CAST(NULL AS INT64) AS group_size
  FROM
    similar_issues_v1
)
SELECT
  s.issue_id,
  s.issue_url,
  s.rank,
  s.similar_issue_id,
  s.similar_issue_url,
  s.similar_title,
  s.distance,
  s.same_repo,
  s.near_duplicate,
  s.source_day,
  r.model,
  r.model_version,
  s.batch_id,
  r.release_id,
  s.list,
  s.probability,
  s.probability >= r.min_probability AS suggested,
  s.words_in_common,
  s.title_overlap,
  s.age_days,
  s.similar_text,
  s.group_size,
  REGEXP_EXTRACT(s.issue_url, r'^https://github\.com/([^/]+/[^/]+)/') AS repo,
  SAFE_CAST(REGEXP_EXTRACT(s.issue_url, r'/([0-9]+)$') AS INT64) AS number
FROM
  similar AS s
INNER JOIN
  release_members_v1 AS m
  ON m.table_name IN ('similar_issues_v1', 'similar_issues_v2')
  AND m.day = s.source_day
  AND m.batch_id = s.batch_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
LEFT JOIN
  superseded_openings_v1 AS o
  ON o.release_id = m.release_id AND o.day = s.source_day AND o.issue_id = s.issue_id
WHERE
  r.status = 'current'
  AND o.issue_id IS NULL
