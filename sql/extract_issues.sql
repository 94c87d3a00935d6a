-- Grain: one row per issue_id, from its earliest `opened` event. Ties are decided by the event id.
--
-- Text is as its author wrote it: JSON_VALUE returns a string without JSON's quotes and escapes, and NULL for
-- a JSON null. Numbers are read with JSON_QUERY, which returns a string with its quotes, so that a string is
-- not accepted as a number. The result has all opened issues. The parameters min_* and max_* only decide
-- which of them are `trainable`. @word is a regular expression that matches each word of a text. An event that
-- lacks a required value is in the result of extract_malformed.sql instead, and so is one with a number where
-- text belongs, or with a time that does not fit into nanoseconds since 1970, which readers of Parquet files
-- use. An issue with a `pull_request` is a pull request as the issues API shows it. GH Archive should have none
-- under IssuesEvent. The wildcard must not be `day.*`: the data set has views, and a wildcard that matches a
-- view fails.
WITH opened AS (
  SELECT
    SAFE_CAST(JSON_QUERY(payload, '$.issue.id') AS INT64) AS issue_id,
    IF(JSON_QUERY(payload, '$.issue.html_url') LIKE '"%', JSON_VALUE(payload, '$.issue.html_url'), NULL)
      AS issue_url,
    repo.name AS repo,
    SAFE_CAST(JSON_QUERY(payload, '$.issue.number') AS INT64) AS number,
    actor.login AS author,
    IF(JSON_QUERY(payload, '$.issue.title') LIKE '"%', JSON_VALUE(payload, '$.issue.title'), NULL) AS title,
    JSON_VALUE(payload, '$.issue.body') AS body,
    COALESCE(JSON_QUERY(payload, '$.issue.body') LIKE '"%', TRUE) AS has_text_body,
    created_at,
    id AS event_id,
    JSON_VALUE(payload, '$.issue.author_association') AS author_association
  FROM
    `githubarchive.day.20*`
  WHERE
    _TABLE_SUFFIX BETWEEN @first_suffix AND @last_suffix
    AND type = 'IssuesEvent'
    AND JSON_VALUE(payload, '$.action') = 'opened'
    AND JSON_QUERY(payload, '$.issue.pull_request') IS NULL
)
SELECT
  issue_id,
  issue_url,
  repo,
  number,
  author,
  title,
  body,
  created_at,
  event_id,
  body IS NOT NULL
  AND ARRAY_LENGTH(REGEXP_EXTRACT_ALL(COALESCE(body, ''), @word)) >= @min_body_words
  AND ARRAY_LENGTH(REGEXP_EXTRACT_ALL(title, @word)) >= @min_title_words
  AND LENGTH(title) <= @max_title_characters
  AND LENGTH(COALESCE(body, '')) <= @max_body_characters AS trainable,
  author_association
FROM
  opened
WHERE
  issue_id IS NOT NULL
  AND issue_url IS NOT NULL
  AND repo IS NOT NULL
  AND number IS NOT NULL
  AND title IS NOT NULL
  AND has_text_body
  AND created_at > TIMESTAMP '1970-01-01 00:00:00+00:00'
  AND created_at < TIMESTAMP '2262-01-01 00:00:00+00:00'
  AND event_id IS NOT NULL
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY issue_id ORDER BY created_at, SAFE_CAST(event_id AS INT64), event_id) = 1
ORDER BY
  created_at,
  issue_id
