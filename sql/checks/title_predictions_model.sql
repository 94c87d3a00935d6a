-- Grain: one row per new prediction whose model or vocabulary is not that of its batch.
--
-- The model of a batch is that of the release, or an earlier champion whose titles the release keeps (setting
-- release.retitle_days). Releases of earlier versions of Titler do not name the model of a batch. All their
-- batches have the model of the release.
SELECT
  t.batch_id,
  t.issue_id,
  t.model,
  t.model_version
FROM
  title_predictions_v1 AS t
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'title_predictions_v1' AND m.day = t.source_day AND m.batch_id = t.batch_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
WHERE
  m.release_id = @release
  AND t.source_day IN UNNEST(@days)
  AND t.batch_id IN UNNEST(@batches)
  AND (
    t.model != COALESCE(m.model, r.model)
    OR (t.model = r.model AND (t.model_version != r.model_version OR t.vocabulary != r.vocabulary))
  )
