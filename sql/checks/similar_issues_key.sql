-- Grain: one row per issue_id, list and rank that occurs more than once in a batch of similar_issues_v2.
SELECT
  s.batch_id,
  s.issue_id,
  s.list,
  s.rank,
  COUNT(*) AS found
FROM
  similar_issues_v2 AS s
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'similar_issues_v2' AND m.batch_id = s.batch_id
WHERE
  m.release_id = @release
GROUP BY
  s.batch_id,
  s.issue_id,
  s.list,
  s.rank
HAVING
  COUNT(*) > 1
