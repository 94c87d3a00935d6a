-- Grain: one row per pair of a new batch with a wrong older issue or probability.
--
-- The older issue is wrong if it is the issue itself or of a later day, and the probability if it is not
-- between 0.1 and 1.
-- Links lead to older issues only, so clusters have no circles, and their oldest issue is the canonical one.
-- The check duplicate_pairs_younger compares the times of the same day.
SELECT
  batch_id,
  issue_id,
  similar_issue_id,
  source_day,
  similar_day,
  probability
FROM
  duplicate_pairs_v1
WHERE
  source_day IN UNNEST(@days)
  AND batch_id IN UNNEST(@batches)
  AND (
    similar_issue_id = issue_id
    OR similar_day > source_day
    OR NOT (probability >= 0.1 AND probability <= 1)
  )
