-- Grain: one row per event_id that occurs more than once in a new batch of duplicate_marks_v1.
SELECT
  batch_id,
  event_id,
  COUNT(*) AS found
FROM
  duplicate_marks_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
GROUP BY
  batch_id,
  event_id
HAVING
  COUNT(*) > 1
