-- Grain: one row per duplicate mark of the current release whose two issues are in the release.
--
-- The rank is that in the list of the repository, or in the list of all repositories if the two issues are in
-- different ones. Rank and distance are NULL if the other issue is not in that list of the marked one. So the
-- share of rows with a rank says how many duplicates that people found are found by Titler, too.
SELECT
  d.issue_url,
  marked.title,
  other.issue_url AS duplicate_of_url,
  other.title AS duplicate_of_title,
  d.said_by,
  s.rank,
  s.distance
FROM
  duplicate_marks AS d
INNER JOIN
  title_predictions AS marked
  ON marked.issue_id = d.issue_id
INNER JOIN
  title_predictions AS other
  ON other.issue_url = CONCAT(
    'https://github.com/', d.duplicate_of_repo, '/issues/', CAST(d.duplicate_of_number AS STRING)
  )
LEFT JOIN
  similar_issues AS s
  ON s.issue_id = marked.issue_id AND s.similar_issue_id = other.issue_id
  AND s.list = CASE WHEN s.same_repo THEN 'repository' ELSE 'everywhere' END
ORDER BY
  d.created_at,
  d.event_id
