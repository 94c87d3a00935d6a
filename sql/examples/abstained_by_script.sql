-- Grain: one row per script in which authors write their titles.
--
-- Titler does not store an issue's language, so this counts scripts instead. A title counts for the first
-- script below of which it has a letter, otherwise for `Latin or none`. So English and German are one row.
-- Column abstained is the share (0 to 1) of issues without a predicted title.
WITH scripts AS (
  SELECT
    CASE
      WHEN REGEXP_CONTAINS(title, r'[\p{Hiragana}\p{Katakana}]') THEN 'Japanese'
      WHEN REGEXP_CONTAINS(title, r'\p{Hangul}') THEN 'Korean'
      WHEN REGEXP_CONTAINS(title, r'\p{Han}') THEN 'Chinese'
      WHEN REGEXP_CONTAINS(title, r'\p{Cyrillic}') THEN 'Cyrillic'
      WHEN REGEXP_CONTAINS(title, r'\p{Arabic}') THEN 'Arabic'
      WHEN REGEXP_CONTAINS(title, r'\p{Greek}') THEN 'Greek'
      WHEN REGEXP_CONTAINS(title, r'\p{Hebrew}') THEN 'Hebrew'
      WHEN REGEXP_CONTAINS(title, r'\p{Thai}') THEN 'Thai'
      WHEN REGEXP_CONTAINS(title, r'\p{Devanagari}') THEN 'Devanagari'
      ELSE 'Latin or none'
    END AS script,
    abstained
  FROM
    title_predictions
)
SELECT
  script,
  COUNT(*) AS issues,
  COUNTIF(abstained) / COUNT(*) AS abstained
FROM
  scripts
GROUP BY
  script
ORDER BY
  issues DESC,
  script
