-- Grain: one row per prediction that abstained but has a title, or that did not abstain but has no title.
SELECT
  t.batch_id,
  t.issue_id,
  t.predicted_title,
  t.abstained
FROM
  title_predictions_v1 AS t
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'title_predictions_v1' AND m.batch_id = t.batch_id
WHERE
  m.release_id = @release
  AND (TRIM(t.predicted_title) = '') != t.abstained
