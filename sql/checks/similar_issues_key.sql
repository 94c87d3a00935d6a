-- Grain: one row per issue_id and rank that occurs more than once in a new batch of similar_issues_v1.
SELECT
  batch_id,
  issue_id,
  rank,
  COUNT(*) AS found
FROM
  similar_issues_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
GROUP BY
  batch_id,
  issue_id,
  rank
HAVING
  COUNT(*) > 1
