-- Grain: one row per issue_id, list and rank that occurs more than once in a new batch of similar_issues_v2.
SELECT
  batch_id,
  issue_id,
  list,
  rank,
  COUNT(*) AS found
FROM
  similar_issues_v2
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
GROUP BY
  batch_id,
  issue_id,
  list,
  rank
HAVING
  COUNT(*) > 1
