// SQL and JSON in colours, without an editor.
import type { ComponentChildren } from "preact";

const KEYWORDS = new Set("SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT OFFSET INSERT INTO OVERWRITE VALUES CREATE TABLE VIEW DATABASE CATALOG FUNCTION TEMPORARY IF NOT EXISTS WITH AS JOIN LEFT RIGHT FULL INNER OUTER CROSS ON AND OR IN IS NULL BETWEEN LIKE CASE WHEN THEN ELSE END UNION ALL INTERSECT EXCEPT DISTINCT WATERMARK FOR INTERVAL PRIMARY KEY ENFORCED SYSTEM_TIME OF OVER PARTITION ROWS RANGE PRECEDING FOLLOWING CURRENT ROW DESCRIPTOR LATERAL UNNEST METADATA VIRTUAL SET RESET SHOW DESCRIBE EXPLAIN USE DROP ALTER EXECUTE STATEMENT BEGIN DESC ASC TUMBLE HOP CUMULATE SESSION MATCH_RECOGNIZE DEFINE PATTERN MEASURES CAST TRY_CAST TRUE FALSE".split(" "));
const TYPES = new Set("STRING INT INTEGER BIGINT SMALLINT TINYINT DOUBLE FLOAT DECIMAL BOOLEAN DATE TIME TIMESTAMP TIMESTAMP_LTZ BYTES VARCHAR CHAR ARRAY MAP MULTISET SECOND MINUTE HOUR DAY MONTH YEAR".split(" "));
const TOKENS = /(--[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^']|'')*')|(\b\d+(?:\.\d+)?\b)|([A-Za-z_][\w$]*)|(`[^`]*`)/g;

function classOf(match: RegExpMatchArray): string {
  if (match[1]) return "t-c";
  if (match[2]) return "t-s";
  if (match[3]) return "t-n";
  const word = match[4]?.toUpperCase() ?? "";
  return KEYWORDS.has(word) ? "t-k" : TYPES.has(word) ? "t-t" : "";
}

function coloured(text: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index > at) parts.push(text.slice(at, match.index));
    const kind = classOf(match);
    parts.push(kind ? <span class={kind}>{match[0]}</span> : match[0]);
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

/** `hit` is a range that stands out. */
export function Sql({ text, hit }: { text: string; hit?: [number, number] }) {
  const parts = hit ? [coloured(text.slice(0, hit[0])), <span class="t-hit">{coloured(text.slice(...hit))}</span>, coloured(text.slice(hit[1]))] : coloured(text);
  return <pre class="code wrapped" tabIndex={0} aria-label="SQL">{parts}</pre>;
}

const JSON_TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

export function Json({ text }: { text: string }) {
  const parts: ComponentChildren[] = [];
  let at = 0;
  for (const match of text.matchAll(JSON_TOKENS)) {
    parts.push(text.slice(at, match.index));
    const kind = match[1] ? (match[2] ? "t-p" : "t-s") : match[3] ? "t-k" : "t-n";
    parts.push(<span class={kind}>{match[1] ?? match[0]}</span>, match[2] ?? "");
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return <pre class="code wrapped" tabIndex={0} aria-label="JSON">{parts}</pre>;
}
