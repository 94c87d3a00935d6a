-- Grain: one row per kept release; the one with status `current` is what the other views show.
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
