-- Grain: one row per script in which authors write their titles.
--
-- Titler does not store an issue's language, so this counts scripts instead. A title counts for the first
-- script below of which it has a letter, otherwise for `Latin or none`. So English and German are one row. A
-- title has a letter of a script if it differs once these letters are removed.
-- Column abstained is the share (0 to 1) of issues without a predicted title. Many of them have no body: these
-- are the share without_body.
WITH scripts AS (
  SELECT
    CASE
      WHEN REGEXP_REPLACE(title, '[ぁ-ゖァ-ヺ]', '') != title THEN 'Japanese'
      WHEN REGEXP_REPLACE(title, '[ㄱ-ㅎㅏ-ㅣ가-힣]', '') != title THEN 'Korean'
      WHEN REGEXP_REPLACE(title, '[㐀-䶿一-鿿]', '') != title THEN 'Chinese'
      WHEN REGEXP_REPLACE(title, '[Ѐ-ӿ]', '') != title THEN 'Cyrillic'
      WHEN REGEXP_REPLACE(title, '[ء-ي]', '') != title THEN 'Arabic'
      WHEN REGEXP_REPLACE(title, '[Ά-ώ]', '') != title THEN 'Greek'
      WHEN REGEXP_REPLACE(title, '[א-ת]', '') != title THEN 'Hebrew'
      WHEN REGEXP_REPLACE(title, '[ก-ฮ]', '') != title THEN 'Thai'
      WHEN REGEXP_REPLACE(title, '[अ-ह]', '') != title THEN 'Devanagari'
      ELSE 'Latin or none'
    END AS script,
    abstained,
    body_excerpt IS NULL OR body_excerpt = '' AS is_without_body
  FROM
    title_predictions
)
SELECT
  script,
  COUNT(*) AS issues,
  COUNTIF(abstained) / COUNT(*) AS abstained,
  COUNTIF(is_without_body) / COUNT(*) AS without_body
FROM
  scripts
GROUP BY
  script
ORDER BY
  issues DESC,
  script
