-- Grain: one row per event_id of the current release: a comment that calls an issue a duplicate of another one.
--
-- A comment that was recorded on two days is shown once, with its earlier day. Days that a version of Titler
-- without duplicate marks has extracted have none. A query on one day reads the marks of all days, which are
-- few.
SELECT
  d.event_id,
  d.comment_url,
  d.issue_id,
  d.issue_url,
  d.repo,
  d.number,
  d.duplicate_of_repo,
  d.duplicate_of_number,
  d.author,
  d.said_by,
  d.created_at,
  d.source,
  d.source_day,
  d.batch_id,
  r.release_id
FROM
  duplicate_marks_v1 AS d
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'duplicate_marks_v1' AND m.day = d.source_day AND m.batch_id = d.batch_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
WHERE
  r.status = 'current'
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY d.event_id ORDER BY d.source_day) = 1
