// Cutting a text into statements, as the command line does: at semicolons outside of strings, comments, quoted names and
// `BEGIN … END` of a statement set.

import type { Diagnostic } from "../../lib/api.ts";

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

/** A part of a statement that an error is about, as offsets in its text. */
export interface ErrorMark { from: number; to: number; primary: boolean; text: string }

/** Where in a statement the errors are. The place at fault carries the message and its hint, the others their labels. */
export function errorMarks(diagnostics: Diagnostic[], statement: string): ErrorMark[] {
  const lines = statement.split("\n");
  const starts = lines.map((_, i) => lines.slice(0, i).reduce((sum, line) => sum + line.length + 1, 0));
  // Columns count characters, offsets count UTF-16 units.
  const offset = (line: number, column: number) => {
    const text = lines[line - 1];
    return text === undefined ? statement.length : starts[line - 1]! + [...text].slice(0, column - 1).join("").length;
  };
  return diagnostics.flatMap(({ message, hint, spans = [] }) => spans.map((span) => ({
    from: offset(span.line, span.column),
    to: offset(span.end_line, span.end_column),
    primary: span.primary,
    text: span.primary ? [message, span.label, hint].filter(Boolean).join("\n") : span.label ?? message,
  })));
}
