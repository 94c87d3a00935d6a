-- Grain: one row per new prediction with a confidence that is not between 0 and 1, or not a number.
SELECT
  batch_id,
  issue_id,
  confidence
FROM
  title_predictions_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
  AND NOT (confidence >= 0 AND confidence <= 1)
