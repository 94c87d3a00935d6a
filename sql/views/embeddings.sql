-- Grain: one row per issue_id of the current release; empty if the setting warehouse.embeddings is off.
--
-- An issue whose opening was recorded on two days has the embedding of its earliest opening.
--
-- Column embedding_model: the model that trained the embedding network, which the release's model has taken
-- Column number: see title_predictions
SELECT
  e.issue_id,
  t.issue_url,
  t.repo,
  t.title,
  e.embedding,
  e.source_day,
  r.model,
  r.model_version,
  COALESCE(m.model, r.model) AS embedding_model,
  e.batch_id,
  r.release_id,
  SAFE_CAST(REGEXP_EXTRACT(t.issue_url, r'/([0-9]+)$') AS INT64) AS number
FROM
  embeddings_v1 AS e
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'embeddings_v1' AND m.day = e.source_day AND m.batch_id = e.batch_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
INNER JOIN
  release_members_v1 AS n
  ON n.table_name = 'title_predictions_v1' AND n.release_id = m.release_id AND n.day = m.day
INNER JOIN
  title_predictions_v1 AS t
  ON t.source_day = e.source_day AND t.batch_id = n.batch_id AND t.issue_id = e.issue_id
LEFT JOIN
  superseded_openings_v1 AS o
  ON o.release_id = m.release_id AND o.day = e.source_day AND o.issue_id = e.issue_id
WHERE
  r.status = 'current'
  AND o.issue_id IS NULL
