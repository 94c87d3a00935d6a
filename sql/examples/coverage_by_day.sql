-- Grain: one row per source day of the current release, the newest first.
--
-- Column events_compared is the day's number of events, divided by the median of the days that it was compared
-- with, and issues_compared the same for issues; NULL if there were too few such days. events_missing is how many
-- fewer events than usual there are; a negative number means more. Late in 2025, GH Archive
-- lacks most events, and so do the days that are compared: look at `events`, too.
SELECT
  day,
  verdict,
  hours_found,
  events,
  events / NULLIF(usual_events, 0) AS events_compared,
  usual_events - events AS events_missing,
  issues,
  issues / NULLIF(usual_issues, 0) AS issues_compared,
  malformed,
  reason
FROM
  source_health
ORDER BY
  day DESC
LIMIT 100
