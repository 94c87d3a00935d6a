-- Grain: one row per retained release; the other views show the release with status `current`.
SELECT
  release_id,
  status,
  published_at,
  published_by,
  model,
  model_version,
  vocabulary,
  mlflow_run,
  days,
  issues,
  index_items,
  recall_at_10,
  accepted
FROM
  releases_v1
