-- Grain: one row per issue_id of the current release.
--
-- Empty where embeddings are kept in the lake alone.
SELECT
  e.issue_id,
  e.embedding,
  m.day AS source_day,
  r.model,
  r.model_version,
  e.batch_id,
  r.release_id
FROM
  embeddings_v1 AS e
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'embeddings_v1' AND m.batch_id = e.batch_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
WHERE
  r.status = 'current'
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY e.issue_id ORDER BY m.day) = 1
