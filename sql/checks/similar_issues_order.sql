-- Grain: one row per neighbour in a new batch with a wrong distance or rank.
--
-- A distance is wrong if it is not between 0 and 2, or is smaller than the distance at the rank before. The
-- ranks of an issue must be 1, 2, 3 and so on. The tolerance of 1e-6 is the rounding error of an angular
-- distance in single precision.
WITH ranked AS (
  SELECT
    batch_id,
    issue_id,
    rank,
    distance,
    LAG(rank) OVER (PARTITION BY batch_id, issue_id ORDER BY rank) AS rank_before,
    LAG(distance) OVER (PARTITION BY batch_id, issue_id ORDER BY rank) AS distance_before
  FROM
    similar_issues_v1
  WHERE
    source_day IN UNNEST(@days)
    AND batch_id IN UNNEST(@batches)
)
SELECT
  batch_id,
  issue_id,
  rank,
  distance,
  distance_before
FROM
  ranked
WHERE
  NOT (distance >= 0 AND distance <= 2.000001)
  OR distance < COALESCE(distance_before, distance) - 0.000001
  OR rank != COALESCE(rank_before, 0) + 1
