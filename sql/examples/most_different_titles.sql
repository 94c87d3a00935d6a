-- Grain: one row per issue of the current release whose predicted title has few words of the author's title.
--
-- Leaves out issues whose own title is vague: see poor_titles_by_repository.
-- The issues whose two titles differ most come first, and of those the suggestions of which the model is most
-- confident. A word is a run of characters that are neither white space nor ASCII punctuation. In scripts
-- without blanks between words (Chinese, Japanese, Thai), every character counts as a word. Column
-- shared_words is the share of the predicted title's distinct words that are in the author's title, too.
WITH words AS (
  SELECT DISTINCT
    t.issue_id,
    word
  FROM
    title_predictions AS t
  CROSS JOIN
    UNNEST(
      REGEXP_EXTRACT_ALL(LOWER(t.title), '[一-鿿ぁ-ヿก-๛]|[^[:space:][:punct:]一-鿿ぁ-ヿก-๛]+')
    ) AS word
),
predicted_words AS (
  SELECT DISTINCT
    t.issue_id,
    word
  FROM
    title_predictions AS t
  CROSS JOIN
    UNNEST(
      REGEXP_EXTRACT_ALL(LOWER(t.predicted_title), '[一-鿿ぁ-ヿก-๛]|[^[:space:][:punct:]一-鿿ぁ-ヿก-๛]+')
    ) AS word
),
shares AS (
  SELECT
    p.issue_id,
    COUNT(w.word) / COUNT(*) AS shared_words
  FROM
    predicted_words AS p
  LEFT JOIN
    words AS w
    ON w.issue_id = p.issue_id AND w.word = p.word
  GROUP BY
    p.issue_id
)
SELECT
  t.issue_url,
  t.title,
  t.predicted_title,
  s.shared_words,
  t.confidence
FROM
  title_predictions AS t
INNER JOIN
  shares AS s
  ON s.issue_id = t.issue_id
WHERE
  NOT t.abstained
  AND t.issue_id NOT IN (SELECT issue_id FROM poor_titles WHERE reason = 'vague')
ORDER BY
  s.shared_words,
  t.confidence DESC,
  t.issue_id
LIMIT 20
