-- Grain: one row per comment that calls an issue a duplicate of itself.
SELECT
  d.batch_id,
  d.event_id,
  d.repo,
  d.number
FROM
  duplicate_marks_v1 AS d
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'duplicate_marks_v1' AND m.batch_id = d.batch_id
WHERE
  m.release_id = @release
  AND LOWER(d.duplicate_of_repo) = LOWER(d.repo)
  AND d.duplicate_of_number = d.number
