-- Grain: one row per batch that the release names more than once: its rows would show twice.
SELECT
  table_name,
  batch_id,
  COUNT(*) AS found
FROM
  release_members_v1
WHERE
  release_id = @release
GROUP BY
  table_name,
  batch_id
HAVING
  COUNT(*) > 1
