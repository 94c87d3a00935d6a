-- Grain: one row per issue_id whose prediction differs between two retained releases, @before and @after.
--
-- If no retained release has one of these names, the query fails and says so. A different confidence or model
-- version is not a change. If a release withholds its model's titles, every row of this model has abstained.
-- Titles that the release keeps from earlier models are shown.
--
-- Column issue_id: see title_predictions
-- Column issue_url: see title_predictions
-- Column source_day: the source day of the issue in @after, or in @before if the issue is not in @after
-- Column title: the author's title in @after, or in @before if the issue is not in @after
-- Column title_before: the author's title in @before; NULL if the issue is not in @before
-- Column change: the first of these that applies. added: only in @after. removed: only in @before. abstains:
--   the model abstains in @after only. titled: the model abstains in @before only. retitled: the predicted title differs
-- Column predicted_before: the predicted title in @before; NULL if the issue is not in @before
-- Column predicted_after: the predicted title in @after; NULL if the issue is not in @after
-- Column confidence_before: the confidence in @before; NULL if the issue is not in @before
-- Column confidence_after: the confidence in @after; NULL if the issue is not in @after
-- Column model_version_before: the version of the model that predicted the title in @before
-- Column model_version_after: the version of the model that predicted the title in @after
WITH requested_before AS (
  SELECT
    CASE
      WHEN COUNT(*) = 1 THEN @before
      ELSE ERROR(
        CONCAT('No retained release is named ', COALESCE(@before, 'NULL'), '. The view releases lists the names.')
      )
    END AS release_id
  FROM
    releases_v1
  WHERE
    release_id = @before
),
requested_after AS (
  SELECT
    CASE
      WHEN COUNT(*) = 1 THEN @after
      ELSE ERROR(
        CONCAT('No retained release is named ', COALESCE(@after, 'NULL'), '. The view releases lists the names.')
      )
    END AS release_id
  FROM
    releases_v1
  WHERE
    release_id = @after
),
earlier AS (
  SELECT
    t.issue_id,
    t.issue_url,
    t.source_day,
    t.title,
    CASE
      WHEN r.titles_withheld IS NULL OR t.model != r.model THEN t.predicted_title
      ELSE ''
    END AS predicted_title,
    t.confidence,
    t.abstained OR (r.titles_withheld IS NOT NULL AND t.model = r.model) AS abstained,
    t.model_version
  FROM
    title_predictions_v1 AS t
  INNER JOIN
    release_members_v1 AS m
    ON m.table_name = 'title_predictions_v1' AND m.day = t.source_day AND m.batch_id = t.batch_id
  INNER JOIN
    requested_before AS q
    ON q.release_id = m.release_id
  INNER JOIN
    releases_v1 AS r
    ON r.release_id = m.release_id
  LEFT JOIN
    superseded_openings_v1 AS o
    ON o.release_id = m.release_id AND o.day = t.source_day AND o.issue_id = t.issue_id
  WHERE
    o.issue_id IS NULL
),
later AS (
  SELECT
    t.issue_id,
    t.issue_url,
    t.source_day,
    t.title,
    CASE
      WHEN r.titles_withheld IS NULL OR t.model != r.model THEN t.predicted_title
      ELSE ''
    END AS predicted_title,
    t.confidence,
    t.abstained OR (r.titles_withheld IS NOT NULL AND t.model = r.model) AS abstained,
    t.model_version
  FROM
    title_predictions_v1 AS t
  INNER JOIN
    release_members_v1 AS m
    ON m.table_name = 'title_predictions_v1' AND m.day = t.source_day AND m.batch_id = t.batch_id
  INNER JOIN
    requested_after AS q
    ON q.release_id = m.release_id
  INNER JOIN
    releases_v1 AS r
    ON r.release_id = m.release_id
  LEFT JOIN
    superseded_openings_v1 AS o
    ON o.release_id = m.release_id AND o.day = t.source_day AND o.issue_id = t.issue_id
  WHERE
    o.issue_id IS NULL
)
SELECT
  COALESCE(l.issue_id, e.issue_id) AS issue_id,
  COALESCE(l.issue_url, e.issue_url) AS issue_url,
  COALESCE(l.source_day, e.source_day) AS source_day,
  COALESCE(l.title, e.title) AS title,
  e.title AS title_before,
  CASE
    WHEN e.issue_id IS NULL THEN 'added'
    WHEN l.issue_id IS NULL THEN 'removed'
    WHEN l.abstained AND NOT e.abstained THEN 'abstains'
    WHEN e.abstained AND NOT l.abstained THEN 'titled'
    ELSE 'retitled'
  END AS change,
  e.predicted_title AS predicted_before,
  l.predicted_title AS predicted_after,
  e.confidence AS confidence_before,
  l.confidence AS confidence_after,
  e.model_version AS model_version_before,
  l.model_version AS model_version_after
FROM
  earlier AS e
FULL OUTER JOIN
  later AS l
  ON l.issue_id = e.issue_id
WHERE
  e.issue_id IS NULL
  OR l.issue_id IS NULL
  OR e.abstained != l.abstained
  OR e.predicted_title != l.predicted_title
