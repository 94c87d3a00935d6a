-- Grain: one row per prediction with a confidence that is not between 0 and 1, or not a number.
SELECT
  t.batch_id,
  t.issue_id,
  t.confidence
FROM
  title_predictions_v1 AS t
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'title_predictions_v1' AND m.batch_id = t.batch_id
WHERE
  m.release_id = @release
  AND NOT (t.confidence >= 0 AND t.confidence <= 1)
