-- Grain: one row per issue_id that occurs more than once in a new batch of embeddings_v1.
SELECT
  batch_id,
  issue_id,
  COUNT(*) AS found
FROM
  embeddings_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
GROUP BY
  batch_id,
  issue_id
HAVING
  COUNT(*) > 1
