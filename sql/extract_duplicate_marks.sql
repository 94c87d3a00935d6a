-- Grain: one row per event of a comment on an issue that may call the issue a duplicate of another one.
--
-- The statement only finds comments with a word such as "duplicate" and something like a reference to an
-- issue. `pipeline/text/duplicate_marks.py` reads them, and keeps few. The pattern of the words must find
-- whatever that module can read. Comments on pull requests are left out. Column said_by is the first that
-- applies: bot, author (who opened the issue), member (of the project) or other. It is NULL where GH Archive
-- lacks author_association, as it does since 2025-10-07, unless a bot or the author wrote the comment.
-- Values may be missing (NULL): the stage `extract` counts the marks that lack a required value.
WITH commented AS (
  SELECT
    id AS event_id,
    JSON_VALUE(payload, '$.comment.html_url') AS comment_url,
    SAFE_CAST(JSON_QUERY(payload, '$.issue.id') AS INT64) AS issue_id,
    JSON_VALUE(payload, '$.issue.html_url') AS issue_url,
    repo.name AS repo,
    SAFE_CAST(JSON_QUERY(payload, '$.issue.number') AS INT64) AS number,
    JSON_VALUE(payload, '$.comment.user.login') AS author,
    JSON_VALUE(payload, '$.comment.user.type') AS account_type,
    JSON_VALUE(payload, '$.issue.user.login') AS issue_author,
    JSON_VALUE(payload, '$.comment.author_association') AS association,
    created_at,
    JSON_VALUE(payload, '$.comment.body') AS body
  FROM
    `githubarchive.day.20*`
  WHERE
    _TABLE_SUFFIX BETWEEN @first_suffix AND @last_suffix
    AND type = 'IssueCommentEvent'
    AND REGEXP_CONTAINS(JSON_VALUE(payload, '$.comment.body'), r'(?i)dup|doublon|дубл|重[复複]|중복')
    AND REGEXP_CONTAINS(JSON_VALUE(payload, '$.comment.body'), r'(?i)(#|gh-|(issue|bug|ticket)\s[a-z.\s]*|/issues/)[0-9]')
    AND JSON_VALUE(payload, '$.action') = 'created'
    AND JSON_QUERY(payload, '$.issue.pull_request') IS NULL
)
SELECT
  event_id,
  comment_url,
  issue_id,
  issue_url,
  repo,
  number,
  author,
  CASE
    WHEN account_type = 'Bot' OR REGEXP_CONTAINS(author, r'(?i)(\[bot\]|[-_](ro)?bot)$')
      THEN 'bot'
    WHEN author = issue_author
      THEN 'author'
    WHEN association IN ('OWNER', 'MEMBER', 'COLLABORATOR')
      THEN 'member'
    WHEN association IS NOT NULL
      THEN 'other'
  END AS said_by,
  created_at,
  body
FROM
  commented
WHERE
  TRUE
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY created_at, issue_id) = 1
ORDER BY
  created_at,
  event_id
