-- Grain: one row per comment of a new batch that calls an issue a duplicate of itself.
SELECT
  batch_id,
  event_id,
  repo,
  number
FROM
  duplicate_marks_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
  AND LOWER(duplicate_of_repo) = LOWER(repo)
  AND duplicate_of_number = number
