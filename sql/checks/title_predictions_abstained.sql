-- Grain: one row per new prediction that abstained but has a title, or that did not abstain but has no title.
SELECT
  batch_id,
  issue_id,
  predicted_title,
  abstained
FROM
  title_predictions_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
  AND (TRIM(predicted_title) = '') != abstained
