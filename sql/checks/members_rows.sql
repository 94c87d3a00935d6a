-- Grain: one row per new batch of the release whose row count in the warehouse differs from its manifest.
WITH held AS (
  SELECT
    'title_predictions_v1' AS table_name,
    batch_id,
    COUNT(*) AS found
  FROM
    title_predictions_v1
  WHERE
    source_day IN UNNEST(@days)
  GROUP BY
    batch_id
  UNION ALL
  SELECT
    'similar_issues_v1' AS table_name,
    batch_id,
    COUNT(*) AS found
  FROM
    similar_issues_v1
  WHERE
    source_day IN UNNEST(@days)
  GROUP BY
    batch_id
  UNION ALL
  SELECT
    'similar_issues_v2' AS table_name,
    batch_id,
    COUNT(*) AS found
  FROM
    similar_issues_v2
  WHERE
    source_day IN UNNEST(@days)
  GROUP BY
    batch_id
  UNION ALL
  SELECT
    'source_health_v1' AS table_name,
    batch_id,
    COUNT(*) AS found
  FROM
    source_health_v1
  WHERE
    day IN UNNEST(@days)
  GROUP BY
    batch_id
  UNION ALL
  SELECT
    'embeddings_v1' AS table_name,
    batch_id,
    COUNT(*) AS found
  FROM
    embeddings_v1
  WHERE
    source_day IN UNNEST(@days)
  GROUP BY
    batch_id
  UNION ALL
  SELECT
    'duplicate_marks_v1' AS table_name,
    batch_id,
    COUNT(*) AS found
  FROM
    duplicate_marks_v1
  WHERE
    source_day IN UNNEST(@days)
  GROUP BY
    batch_id
  UNION ALL
  SELECT
    'duplicate_pairs_v1' AS table_name,
    batch_id,
    COUNT(*) AS found
  FROM
    duplicate_pairs_v1
  WHERE
    source_day IN UNNEST(@days)
  GROUP BY
    batch_id
)
SELECT
  m.table_name,
  m.day,
  m.batch_id,
  m.rows AS expected,
  COALESCE(h.found, 0) AS found
FROM
  release_members_v1 AS m
LEFT JOIN
  held AS h
  ON h.table_name = m.table_name AND h.batch_id = m.batch_id
WHERE
  m.release_id = @release
  AND m.batch_id IN UNNEST(@batches)
  AND m.table_name IN (
    'title_predictions_v1',
    'similar_issues_v1',
    'similar_issues_v2',
    'source_health_v1',
    'embeddings_v1',
    'duplicate_marks_v1',
    'duplicate_pairs_v1'
  )
  AND m.rows != COALESCE(h.found, 0)
