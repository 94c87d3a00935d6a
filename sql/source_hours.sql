-- Grain: one row per hour of the day (UTC) that has events in the source days @first_suffix to @last_suffix.
--
-- The cheapest way to see what a day has: reads the column created_at only.
SELECT
  EXTRACT(HOUR FROM created_at) AS hour,
  COUNT(*) AS events
FROM
  `githubarchive.day.20*`
WHERE
  _TABLE_SUFFIX BETWEEN @first_suffix AND @last_suffix
GROUP BY
  hour
