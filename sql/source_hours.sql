-- Grain: one row per UTC hour of the source days that has events.
--
-- The cheapest look at a day: of its columns only created_at is read.
SELECT
  EXTRACT(HOUR FROM created_at) AS hour,
  COUNT(*) AS events
FROM
  `githubarchive.day.20*`
WHERE
  _TABLE_SUFFIX BETWEEN @first_suffix AND @last_suffix
GROUP BY
  hour
