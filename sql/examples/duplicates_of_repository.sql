-- Grain: one row per issue of the repository @repo that is probably a duplicate, and the older issue.
--
-- The most probable duplicates come first. A probability is the chance that a maintainer would mark the pair.
SELECT
  s.issue_url,
  t.title,
  s.similar_issue_url,
  s.similar_title,
  s.probability,
  s.words_in_common,
  s.age_days
FROM
  similar_issues AS s
INNER JOIN
  title_predictions AS t
  ON t.issue_id = s.issue_id
WHERE
  s.repo = @repo
  AND s.list = 'repository'
  AND s.suggested
ORDER BY
  s.probability DESC,
  s.issue_id,
  s.rank
LIMIT 100
