-- Grain: one row per issue_id of the retained release @release, like title_predictions for the current one.
--
-- An issue whose opening was recorded on two days has the prediction of its earliest opening.
SELECT
  t.issue_id,
  t.issue_url,
  t.repo,
  t.title,
  t.predicted_title,
  t.confidence,
  t.abstained,
  t.created_at,
  t.source_day,
  t.model,
  t.model_version,
  t.vocabulary,
  t.mlflow_run,
  t.issues_batch,
  t.batch_id,
  m.release_id
FROM
  title_predictions_v1 AS t
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'title_predictions_v1' AND m.batch_id = t.batch_id
WHERE
  m.release_id = @release
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY t.issue_id ORDER BY t.created_at, m.day) = 1
