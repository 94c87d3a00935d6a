-- Grain: one row per neighbour that was opened later than its issue. Neighbours must be older.
--
-- If an opening was recorded twice, with two times, the check is lenient: it compares the latest time of the
-- issue with the earliest time of the neighbour.
WITH opened AS (
  SELECT
    t.issue_id,
    MIN(t.created_at) AS earliest,
    MAX(t.created_at) AS latest
  FROM
    title_predictions_v1 AS t
  INNER JOIN
    release_members_v1 AS m
    ON m.table_name = 'title_predictions_v1' AND m.batch_id = t.batch_id
  WHERE
    m.release_id = @release
  GROUP BY
    t.issue_id
)
SELECT
  s.batch_id,
  s.issue_id,
  s.rank,
  s.similar_issue_id,
  i.latest AS created_at,
  n.earliest AS similar_created_at
FROM
  similar_issues_v2 AS s
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'similar_issues_v2' AND m.batch_id = s.batch_id
INNER JOIN
  opened AS i
  ON i.issue_id = s.issue_id
INNER JOIN
  opened AS n
  ON n.issue_id = s.similar_issue_id
WHERE
  m.release_id = @release
  AND n.earliest > i.latest
