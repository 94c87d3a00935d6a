-- Grain: one row per neighbour in a new batch that was opened later than its issue. Neighbours must be older.
--
-- Reads the opening times since the first day that has a new batch: a neighbour of an earlier day is older.
-- If an opening was recorded twice, the earliest one counts, as everywhere in the release.
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
    AND t.source_day >= @first_day
    AND o.issue_id IS NULL
)
SELECT
  s.batch_id,
  s.issue_id,
  s.rank,
  s.similar_issue_id,
  i.created_at,
  n.created_at AS similar_created_at
FROM
  similar_issues_v2 AS s
INNER JOIN
  opened AS i
  ON i.source_day = s.source_day AND i.issue_id = s.issue_id
INNER JOIN
  opened AS n
  ON n.issue_id = s.similar_issue_id
WHERE
  s.source_day IN UNNEST(@days)
  AND s.batch_id IN UNNEST(@batches)
  AND n.created_at > i.created_at
