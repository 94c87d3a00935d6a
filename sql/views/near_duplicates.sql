-- Grain: one row per pair of an issue of the current release and an older issue that it probably duplicates.
--
-- Start triage with this list: pairs of issues in one repository, with the titles of both. The pairs are a
-- subset of the view similar_issues. An issue whose opening was recorded on two days has the near-duplicates
-- of its earliest opening.
--
-- Column suggested: see similar_issues
-- Column number: see title_predictions
WITH similar AS (
  SELECT
    issue_id,
    issue_url,
    similar_issue_id,
    similar_issue_url,
    similar_title,
    distance,
    same_repo,
    near_duplicate,
    source_day,
    batch_id,
    probability
  FROM
    similar_issues_v2
  WHERE
    list = 'repository'
  UNION ALL
  SELECT
    issue_id,
    issue_url,
    similar_issue_id,
    similar_issue_url,
    similar_title,
    distance,
    same_repo,
    near_duplicate,
    source_day,
    batch_id,
    CAST(NULL AS FLOAT64) AS probability
  FROM
    similar_issues_v1
)
SELECT
  s.issue_id,
  s.issue_url,
  t.title,
  t.repo,
  t.created_at,
  s.similar_issue_id,
  s.similar_issue_url,
  s.similar_title,
  s.distance,
  s.source_day,
  s.batch_id,
  r.release_id,
  s.probability,
  s.probability >= r.min_probability AS suggested,
  SAFE_CAST(REGEXP_EXTRACT(s.issue_url, r'/([0-9]+)$') AS INT64) AS number,
  t.body_excerpt
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
INNER JOIN
  release_members_v1 AS n
  ON n.table_name = 'title_predictions_v1' AND n.release_id = m.release_id AND n.day = m.day
INNER JOIN
  title_predictions_v1 AS t
  ON t.source_day = s.source_day AND t.batch_id = n.batch_id AND t.issue_id = s.issue_id
LEFT JOIN
  superseded_openings_v1 AS o
  ON o.release_id = m.release_id AND o.day = s.source_day AND o.issue_id = s.issue_id
WHERE
  r.status = 'current'
  AND s.near_duplicate
  AND s.same_repo
  AND o.issue_id IS NULL
