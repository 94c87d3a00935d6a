-- Grain: one row per issue_id and rank of the current release.
--
-- An issue whose opening was recorded on two days has the neighbours of its earliest opening.
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
  r.release_id
FROM
  similar_issues_v1 AS s
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'similar_issues_v1' AND m.day = s.source_day AND m.batch_id = s.batch_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
LEFT JOIN
  superseded_openings_v1 AS o
  ON o.release_id = m.release_id AND o.day = s.source_day AND o.issue_id = s.issue_id
WHERE
  r.status = 'current'
  AND o.issue_id IS NULL
