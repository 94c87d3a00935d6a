-- Grain: one row per pair that occurs more than once in a new batch of duplicate_pairs_v1.
SELECT
  batch_id,
  issue_id,
  similar_issue_id,
  COUNT(*) AS found
FROM
  duplicate_pairs_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
GROUP BY
  batch_id,
  issue_id,
  similar_issue_id
HAVING
  COUNT(*) > 1
