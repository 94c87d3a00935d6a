-- Grain: one row per hour of the day (UTC) that has events in the source days @first_suffix to @last_suffix.
--
-- The query reads only the column created_at, so it is the cheapest way to count the events of a day. Events
-- without a plausible time are not counted. sql/extract_issues.sql says which times are plausible.
SELECT
  EXTRACT(HOUR FROM created_at) AS hour,
  COUNT(*) AS events
FROM
  `githubarchive.day.20*`
WHERE
  _TABLE_SUFFIX BETWEEN @first_suffix AND @last_suffix
  AND created_at > TIMESTAMP '1970-01-01 00:00:00+00:00'
  AND created_at < TIMESTAMP '2262-01-01 00:00:00+00:00'
GROUP BY
  hour
