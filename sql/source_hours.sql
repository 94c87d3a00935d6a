-- Grain: one row per hour of the day (UTC) that has events in the source days @first_suffix to @last_suffix.
--
-- The query reads only the column created_at, so it is the cheapest way to count the events of a day.
SELECT
  EXTRACT(HOUR FROM created_at) AS hour,
  COUNT(*) AS events
FROM
  `githubarchive.day.20*`
WHERE
  _TABLE_SUFFIX BETWEEN @first_suffix AND @last_suffix
GROUP BY
  hour
