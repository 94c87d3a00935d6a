-- Grain: one row per neighbour with a wrong distance or rank.
--
-- A distance is wrong if it is not between 0 and 2, or is smaller than the distance at the rank before. The
-- ranks of an issue must be 1, 2, 3 and so on. The tolerance of 1e-6 is the rounding error of an angular
-- distance in single precision.
WITH ranked AS (
  SELECT
    s.batch_id,
    s.issue_id,
    s.rank,
    s.distance,
    LAG(s.rank) OVER (PARTITION BY s.batch_id, s.issue_id ORDER BY s.rank) AS rank_before,
    LAG(s.distance) OVER (PARTITION BY s.batch_id, s.issue_id ORDER BY s.rank) AS distance_before
  FROM
    similar_issues_v1 AS s
  INNER JOIN
    release_members_v1 AS m
    ON m.table_name = 'similar_issues_v1' AND m.batch_id = s.batch_id
  WHERE
    m.release_id = @release
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
