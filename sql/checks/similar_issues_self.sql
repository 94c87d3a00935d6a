-- Grain: one row per issue of a new batch that is listed as its own neighbour.
SELECT
  batch_id,
  issue_id,
  rank
FROM
  similar_issues_v2
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
  AND similar_issue_id = issue_id
