-- Grain: one row per issue_id of the current release with a poor title.
--
-- Lists the issues whose authors should be offered a title first. A title that says nothing, or nothing about
-- the body, costs maintainers time, and nobody finds the issue again. The article that Titler grew out of
-- finds poor issues in the same way. The suggestion is empty if the model gave none.
--
-- Column reason: why the title is poor, the first of these that applies. templated: it begins with the
--   placeholder of a template ([BUG], bug:, Feature request, <title>, Describe the bug), and the rest of the
--   title, if there is any, is vague. vague: it has one or two words, or only words that fit any issue. far:
--   the title and a confident suggestion have no word of four letters or more in common
-- Column predicted_title: see title_predictions
-- Column number: see title_predictions
--
-- The rest of the title is `own` below. Words are not counted in languages that write no blanks between them.
-- They are compared by their first four letters, so that `crash` and `crashes` match. A suggestion is
-- confident from a confidence of 0.5: on average (geometric mean), the model gave each token at least as much
-- probability as all other tokens together. Without a confident suggestion, titles are vague or templated.
WITH shown AS (
  SELECT
    t.issue_id,
    t.issue_url,
    t.repo,
    t.title,
    CASE
      WHEN r.titles_withheld IS NULL OR t.model != r.model THEN t.predicted_title
      ELSE ''
    END AS predicted_title,
    t.confidence,
    t.probability,
    t.abstained OR (r.titles_withheld IS NOT NULL AND t.model = r.model) AS abstained,
    t.source_day,
    t.model,
    t.model_version,
    t.batch_id,
    t.body_excerpt,
    r.release_id,
    REGEXP_REPLACE(
      LOWER(t.title),
      CONCAT(
        r'^(?:[^\p{L}\p{N}\[({<]*(?:',
        r'[\[({<][^\])}>]*\b(?:bug|feature|enhancement|improvement|request|question|issue|help|support|proposal|task|idea|discussion|',
        r'title|summary|description|describe|insert|name)\b[^\])}>]*[\])}>]',
        r'|(?:bug|bug report|bugfix|feature|feature request|enhancement|improvement|request|question|issue|help|support|proposal|task|idea|',
        r'discussion|title|summary|description)\s*:',
        r'|(?:feature request|bug report|issue report|(?:issue|your|a|short|descriptive) title|title (?:here|of (?:the )?(?:issue|bug))|',
        r'describe (?:the|your|a) (?:bug|issue|problem|feature)|',
        r'(?:an? )?(?:short|brief|clear|clear and concise|concise) (?:description|summary)(?: of (?:what )?(?:the|your) (?:bug|issue|problem))?|',
        r'no title|untitled|steps to reproduce|expected behaviou?r|actual behaviou?r)\b',
        r')[^\p{L}\p{N}\[({<]*)+'
      ),
      ''
    ) AS own,
    ARRAY_TO_STRING(REGEXP_EXTRACT_ALL(LOWER(t.predicted_title), r'\b[a-z]{4}'), '|') AS beginnings
  FROM
    title_predictions_v1 AS t
  INNER JOIN
    release_members_v1 AS m
    ON m.table_name = 'title_predictions_v1' AND m.day = t.source_day AND m.batch_id = t.batch_id
  INNER JOIN
    releases_v1 AS r
    ON r.release_id = m.release_id
  LEFT JOIN
    superseded_openings_v1 AS o
    ON o.release_id = m.release_id AND o.day = t.source_day AND o.issue_id = t.issue_id
  WHERE
    r.status = 'current'
    AND o.issue_id IS NULL
),
judged AS (
  SELECT
    issue_id,
    issue_url,
    repo,
    title,
    predicted_title,
    confidence,
    probability,
    source_day,
    model,
    model_version,
    batch_id,
    release_id,
    body_excerpt,
    own != LOWER(title) AS has_placeholder,
    (
      ARRAY_LENGTH(REGEXP_EXTRACT_ALL(own, r'[^\t-\r\x{85}\p{Z}]*[\p{L}\p{N}][^\t-\r\x{85}\p{Z}]*')) <= 2
      AND NOT REGEXP_CONTAINS(own, r'[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]{2}')
    )
    OR REGEXP_CONTAINS(
      CONCAT(own, ' '),
      CONCAT(
        r'^[^\p{L}\p{N}]*(?:(?:',
        r'errors?|bugs?|help|issues?|problems?|questions?|crash|crash(?:es|ed|ing)|updates?|updated|tests?|testing|fix|fixed|failures?|fail|',
        r'fail(?:s|ed|ing)|broken|broke|work|work(?:s|ed|ing)|wrong|trouble|urgent|requests?|feature|thing|things|something|anything|nothing|',
        r'not|no|doesn|don|didn|isn|can|cannot|won|t|s|m|ve|is|are|am|be|was|does|do|did|has|have|had|get|got|getting|gets|need|needs|want|',
        r'i|it|its|this|that|there|here|you|we|my|me|your|someone|anyone|anybody|somebody|a|an|the|some|any|all|new|another|strange|weird|big|small|',
        r'and|or|with|in|on|of|to|for|at|after|when|while|why|how|what|where|please|pls|plz|hi|hello|hey|thanks|again|still|just|only|now|went|use',
        r')[^\p{L}\p{N}]+)*$'
      )
    ) AS says_little,
    NOT abstained
    AND confidence >= 0.5
    AND beginnings != ''
    AND REGEXP_CONTAINS(own, r'\b[a-z]{4}')
    AND NOT REGEXP_CONTAINS(own, CONCAT(r'\b(?:', beginnings, ')')) AS is_far
  FROM
    shown
)
SELECT
  issue_id,
  issue_url,
  repo,
  title,
  predicted_title,
  confidence,
  probability,
  CASE
    WHEN says_little AND NOT has_placeholder THEN 'vague'
    WHEN says_little THEN 'templated'
    ELSE 'far'
  END AS reason,
  source_day,
  model,
  model_version,
  batch_id,
  release_id,
  SAFE_CAST(REGEXP_EXTRACT(issue_url, r'/([0-9]+)$') AS INT64) AS number,
  body_excerpt
FROM
  judged
WHERE
  says_little
  OR is_far
