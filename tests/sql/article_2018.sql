-- Grain: one row per `opened` event of an issue. The query of the article of 2018, for comparison; only tests run it.
SELECT
  url,
  REGEXP_REPLACE(title, r'\s{2,}', ' ') AS title,
  REGEXP_REPLACE(body, r'\s{2,}', ' ') AS body
FROM (
  SELECT
    JSON_EXTRACT(payload, '$.issue.html_url') AS url,
    LOWER(TRIM(REGEXP_REPLACE(JSON_EXTRACT(payload, '$.issue.title'), r'\\n|\(|\)|\[|\]|#|\*|`', ' '))) AS title,
    LOWER(TRIM(REGEXP_REPLACE(JSON_EXTRACT(payload, '$.issue.body'), r'\\n|\(|\)|\[|\]|#|\*|`', ' '))) AS body
  FROM
    `githubarchive.day.2017*`
  WHERE
    _TABLE_SUFFIX BETWEEN '0101' AND '1231'
    AND type = 'IssuesEvent'
    AND JSON_EXTRACT(payload, '$.action') = '"opened"'
)
WHERE
  ARRAY_LENGTH(SPLIT(body, ' ')) >= 6
  AND ARRAY_LENGTH(SPLIT(title, ' ')) >= 3
  AND LENGTH(title) <= 400
  AND LENGTH(body) <= 2000
