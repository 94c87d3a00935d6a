-- Grain: one row per event_id that occurs more than once in a batch of duplicate_marks_v1.
SELECT
  d.batch_id,
  d.event_id,
  COUNT(*) AS found
FROM
  duplicate_marks_v1 AS d
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'duplicate_marks_v1' AND m.batch_id = d.batch_id
WHERE
  m.release_id = @release
GROUP BY
  d.batch_id,
  d.event_id
HAVING
  COUNT(*) > 1
