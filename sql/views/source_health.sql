-- Grain: one row per source day of the current release.
SELECT
  h.day,
  h.hours_found,
  h.hours_missing,
  h.events,
  h.malformed,
  h.issues,
  h.trainable,
  h.usual_events,
  h.verdict,
  h.usual_issues,
  h.compared_with,
  h.reason,
  h.malformed_issues,
  h.hours_unreadable,
  h.events_per_hour,
  h.hour_sources,
  h.hour_digests,
  h.late_hours_missing,
  h.batch_id,
  r.release_id
FROM
  source_health_v1 AS h
INNER JOIN
  release_members_v1 AS m
  ON m.table_name = 'source_health_v1' AND m.day = h.day AND m.batch_id = h.batch_id
INNER JOIN
  releases_v1 AS r
  ON r.release_id = m.release_id
WHERE
  r.status = 'current'
