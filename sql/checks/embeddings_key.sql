-- Grain: one row per issue_id that occurs more than once in a batch of embeddings_v1.
SELECT
  e.batch_id,
  e.issue_id,
  COUNT(*) AS found
FROM
  embeddings_v1 AS e
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'embeddings_v1' AND m.batch_id = e.batch_id
WHERE
  m.release_id = @release
GROUP BY
  e.batch_id,
  e.issue_id
HAVING
  COUNT(*) > 1
