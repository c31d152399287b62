// Cutting a text into statements, as the command line does: at semicolons outside of strings, comments, quoted names and
// `BEGIN … END` of a statement set.

export interface Span { from: number; to: number; text: string }

const SKIPPED = /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*(?:'|$)|`[^`]*(?:`|$)|"[^"]*(?:"|$)|;|[A-Za-z_]\w*/g;

export function split(text: string): Span[] {
  const spans: Span[] = [];
  let from = 0;
  let words: string[] = [];
  let inSet = false;
  const push = (to: number) => {
    const raw = text.slice(from, to);
    const lead = raw.length - raw.trimStart().length;
    const trimmed = raw.trim();
    if (words.length) spans.push({ from: from + lead, to: from + lead + trimmed.length, text: trimmed });
    words = [];
    inSet = false;
  };
  for (const match of text.matchAll(SKIPPED)) {
    const token = match[0];
    if (/^[A-Za-z_]/.test(token)) {
      if (words.length < 5) words.push(token.toUpperCase());
      const head = words.join(" ");
      if (/^((EXECUTE|EXPLAIN|COMPILE AND EXECUTE|COMPILE PLAN.*) )STATEMENT SET BEGIN$/.test(head)) inSet = true;
      else if (inSet && token.toUpperCase() === "END") inSet = false;
    } else if (token === ";" && !inSet) {
      push(match.index);
      from = match.index + 1;
    }
  }
  push(text.length);
  return spans;
}

/** The statement that a position is in, or the one before it. */
export function statementAt(text: string, position: number): Span | undefined {
  const spans = split(text);
  return spans.find((s) => position <= s.to + 1) ?? spans.at(-1);
}

/** The first place that an error message names, as an offset in the statement. */
export function errorSpan(message: string, statement: string): { from: number; to: number } | undefined {
  const at = /line (\d+),? column (\d+)(?: to line (\d+),? column (\d+))?/i.exec(message);
  if (!at) return undefined;
  const lines = statement.split("\n");
  const offset = (line: number, column: number) => Math.min(statement.length, lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0) + column);
  const from = offset(Number(at[1]), Number(at[2]) - 1);
  if (at[3]) return { from, to: offset(Number(at[3]), Number(at[4])) };
  const word = /^[\w.$]+|^`[^`]*`|^'[^']*'|^\S/.exec(statement.slice(from))?.[0] ?? " ";
  return { from, to: Math.min(statement.length, from + word.length) };
}
