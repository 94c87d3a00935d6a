-- Grain: one row per issue_id and rank that occurs more than once in a batch of similar_issues_v1.
SELECT
  s.batch_id,
  s.issue_id,
  s.rank,
  COUNT(*) AS found
FROM
  similar_issues_v1 AS s
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'similar_issues_v1' AND m.batch_id = s.batch_id
WHERE
  m.release_id = @release
GROUP BY
  s.batch_id,
  s.issue_id,
  s.rank
HAVING
  COUNT(*) > 1
