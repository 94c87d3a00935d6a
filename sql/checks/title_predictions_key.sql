-- Grain: one row per issue_id that occurs more than once in a batch of title_predictions_v1.
SELECT
  t.batch_id,
  t.issue_id,
  COUNT(*) AS found
FROM
  title_predictions_v1 AS t
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'title_predictions_v1' AND m.batch_id = t.batch_id
WHERE
  m.release_id = @release
GROUP BY
  t.batch_id,
  t.issue_id
HAVING
  COUNT(*) > 1
