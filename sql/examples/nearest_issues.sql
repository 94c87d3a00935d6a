-- Grain: one row per issue, for the ten issues of the current release that are nearest to @issue_url.
--
-- Runs on BigQuery only. VECTOR_SEARCH uses the vector index if there is one (settings warehouse.embeddings
-- and warehouse.vector_index). The search also finds the issue itself and batches of other retained releases,
-- so it asks for 100 neighbours, of which the query returns ten.
SELECT
  e.issue_url,
  e.title,
  found.distance
FROM
  VECTOR_SEARCH(
    TABLE embeddings_v1,
    'embedding',
    (
      SELECT
        issue_id,
        embedding
      FROM
        embeddings
      WHERE
        issue_url = @issue_url
    ),
    query_column_to_search => 'embedding',
    top_k => 100,
    distance_type => 'COSINE'
  ) AS found
INNER JOIN
  embeddings AS e
  ON e.issue_id = found.base.issue_id AND e.batch_id = found.base.batch_id
WHERE
  e.issue_id != found.query.issue_id
ORDER BY
  found.distance,
  e.issue_id
LIMIT 10
