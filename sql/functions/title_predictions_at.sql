-- Grain: one row per issue_id of the retained release @release, like title_predictions for the current one.
--
-- If no retained release has this name, the query fails and says so.
--
-- An issue whose opening was recorded on two days has the prediction of its earliest opening. If the release
-- withholds its model's titles (column titles_withheld of the view releases), every row of this model has
-- abstained. Titles that the release keeps from earlier models are shown.
--
-- Column predicted_title: see title_predictions
-- Column abstained: see title_predictions
-- Column number: see title_predictions
WITH requested AS (
  SELECT
    CASE
      WHEN COUNT(*) = 1 THEN @release
      ELSE ERROR(
        CONCAT('No retained release is named ', COALESCE(@release, 'NULL'), '. The view releases lists the names.')
      )
    END AS release_id
  FROM
    releases_v1
  WHERE
    release_id = @release
)
SELECT
  t.issue_id,
  t.issue_url,
  t.repo,
  t.title,
  CASE
    WHEN r.titles_withheld IS NULL OR t.model != r.model THEN t.predicted_title
    ELSE ''
  END AS predicted_title,
  t.confidence,
  t.abstained OR (r.titles_withheld IS NOT NULL AND t.model = r.model) AS abstained,
  t.probability,
  t.created_at,
  t.source_day,
  t.model,
  t.model_version,
  t.vocabulary,
  t.mlflow_run,
  t.issues_batch,
  t.batch_id,
  m.release_id,
  SAFE_CAST(REGEXP_EXTRACT(t.issue_url, r'/([0-9]+)$') AS INT64) AS number,
  t.body_excerpt,
  t.author_association
FROM
  title_predictions_v1 AS t
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'title_predictions_v1' AND m.day = t.source_day AND m.batch_id = t.batch_id
INNER JOIN
  requested AS q
  ON q.release_id = m.release_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
LEFT JOIN
  superseded_openings_v1 AS o
  ON o.release_id = m.release_id AND o.day = t.source_day AND o.issue_id = t.issue_id
WHERE
  o.issue_id IS NULL
