-- Grain: one row per pair of a new batch whose older issue was opened later than the other one.
--
-- Compares the opening times of pairs of one day: an issue of an earlier day is older. If an opening was
-- recorded twice, the earliest one counts, as everywhere in the release.
WITH opened AS (
  SELECT
    t.issue_id,
    t.source_day,
    t.created_at
  FROM
    title_predictions_v1 AS t
  INNER JOIN
    release_members_v1 AS m
    ON m.table_name = 'title_predictions_v1' AND m.day = t.source_day AND m.batch_id = t.batch_id
  LEFT JOIN
    superseded_openings_v1 AS o
    ON o.release_id = m.release_id AND o.day = t.source_day AND o.issue_id = t.issue_id
  WHERE
    m.release_id = @release
    AND t.source_day IN UNNEST(@days)
    AND o.issue_id IS NULL
)
SELECT
  p.batch_id,
  p.issue_id,
  p.similar_issue_id,
  i.created_at,
  n.created_at AS similar_created_at
FROM
  duplicate_pairs_v1 AS p
INNER JOIN
  opened AS i
  ON i.source_day = p.source_day AND i.issue_id = p.issue_id
INNER JOIN
  opened AS n
  ON n.source_day = p.similar_day AND n.issue_id = p.similar_issue_id
WHERE
  p.source_day IN UNNEST(@days)
  AND p.batch_id IN UNNEST(@batches)
  AND p.similar_day = p.source_day
  AND n.created_at > i.created_at
