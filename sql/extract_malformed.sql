-- Grain: one row per `opened` event of an issue that lacks a value which issues_v1 requires.
--
-- This query is the counterpart of extract_issues.sql, which reads the events that have all required values.
WITH opened AS (
  SELECT
    id AS event_id,
    CASE
      WHEN id IS NULL
        THEN 'opened issue: the event has no id'
      WHEN created_at IS NULL
        THEN 'opened issue: the event has no created_at'
      WHEN created_at <= TIMESTAMP '1970-01-01 00:00:00+00:00' OR created_at >= TIMESTAMP '2262-01-01 00:00:00+00:00'
        THEN 'opened issue: created_at is not between 1970 and 2262'
      WHEN SAFE_CAST(JSON_QUERY(payload, '$.issue.id') AS INT64) IS NULL
        THEN
          IF(
            SAFE_CAST(JSON_QUERY(payload, '$.issue') AS INT64) IS NOT NULL,
            'opened issue: issue is a number, as in events from before 2015',
            'opened issue: issue.id is not a whole number'
          )
      WHEN SAFE_CAST(JSON_QUERY(payload, '$.issue.number') AS INT64) IS NULL
        THEN 'opened issue: issue.number is not a whole number'
      WHEN NOT COALESCE(JSON_QUERY(payload, '$.issue.html_url') LIKE '"%', FALSE)
        THEN
          IF(
            JSON_VALUE(payload, '$.issue.html_url') IS NULL,
            'opened issue: issue.html_url is missing',
            'opened issue: issue.html_url is not text'
          )
      WHEN NOT COALESCE(JSON_QUERY(payload, '$.issue.title') LIKE '"%', FALSE)
        THEN
          IF(
            JSON_VALUE(payload, '$.issue.title') IS NULL,
            'opened issue: issue.title is missing',
            'opened issue: issue.title is not text'
          )
      WHEN JSON_QUERY(payload, '$.issue.body') NOT LIKE '"%'
        THEN 'opened issue: issue.body is not text'
      WHEN repo.name IS NULL
        THEN 'opened issue: repo.name is missing'
    END AS reason,
    payload
  FROM
    `githubarchive.day.20*`
  WHERE
    _TABLE_SUFFIX BETWEEN @first_suffix AND @last_suffix
    AND type = 'IssuesEvent'
    AND JSON_VALUE(payload, '$.action') = 'opened'
    AND JSON_QUERY(payload, '$.issue.pull_request') IS NULL
)
SELECT
  event_id,
  reason,
  payload AS text
FROM
  opened
WHERE
  reason IS NOT NULL
