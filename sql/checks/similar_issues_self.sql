-- Grain: one row per issue that is listed as its own neighbour.
SELECT
  s.batch_id,
  s.issue_id,
  s.rank
FROM
  similar_issues_v2 AS s
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'similar_issues_v2' AND m.batch_id = s.batch_id
WHERE
  m.release_id = @release
  AND s.similar_issue_id = s.issue_id
