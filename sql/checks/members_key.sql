-- Grain: one row per batch that the release lists more than once, so that its rows would appear twice.
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
