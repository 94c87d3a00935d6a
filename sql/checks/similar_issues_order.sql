-- Grain: one row per neighbour in a new batch with a wrong distance, probability or rank.
--
-- A distance is wrong if it is not between 0 and 2, and a probability if it is not between 0 and 1, or is
-- higher than the probability at the rank before. The ranks of a list must be 1, 2, 3 and so on. The
-- tolerance of 1e-6 is the rounding error of an angular distance in single precision.
WITH ranked AS (
  SELECT
    batch_id,
    issue_id,
    list,
    rank,
    distance,
    probability,
    LAG(rank) OVER (PARTITION BY batch_id, issue_id, list ORDER BY rank) AS rank_before,
    LAG(probability) OVER (PARTITION BY batch_id, issue_id, list ORDER BY rank) AS probability_before
  FROM
    similar_issues_v2
  WHERE
    source_day IN UNNEST(@days)
    AND batch_id IN UNNEST(@batches)
)
SELECT
  batch_id,
  issue_id,
  list,
  rank,
  distance,
  probability,
  probability_before
FROM
  ranked
WHERE
  NOT (distance >= 0 AND distance <= 2.000001)
  OR NOT (probability >= 0 AND probability <= 1)
  OR probability > COALESCE(probability_before, 1)
  OR rank != COALESCE(rank_before, 0) + 1
