import assert from "node:assert/strict";
import { test } from "node:test";
import { errorMarks, split, statementAt } from "../../src/pages/sql/statements.ts";

const texts = (sql: string) => split(sql).map((s) => s.text);

test("statements end at semicolons outside of strings, names and comments", () => {
  assert.deepEqual(texts("SELECT 1; SELECT ';' AS a;\n-- a; comment\nSELECT `b;c` /* ; */ FROM t"), ["SELECT 1", "SELECT ';' AS a", "-- a; comment\nSELECT `b;c` /* ; */ FROM t"]);
  assert.deepEqual(texts("SELECT 'it''s; fine'; ;; -- nothing"), ["SELECT 'it''s; fine'"]);
  assert.deepEqual(texts(""), []);
});

test("a statement set is one statement", () => {
  const set = "EXECUTE STATEMENT SET BEGIN\nINSERT INTO a SELECT 1;\nINSERT INTO b SELECT 2;\nEND";
  assert.deepEqual(texts(`${set}; SELECT 1`), [set, "SELECT 1"]);
  assert.deepEqual(texts("BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END;"), ["BEGIN STATEMENT SET", "INSERT INTO a SELECT 1", "END"]);
});

test("the statement at the cursor", () => {
  const sql = "SELECT 1;\n\nSELECT 2;\n";
  assert.equal(statementAt(sql, 3)?.text, "SELECT 1");
  assert.equal(statementAt(sql, 10)?.text, "SELECT 2");
  assert.equal(statementAt(sql, sql.length)?.text, "SELECT 2");
  assert.deepEqual({ ...statementAt(sql, 12) }, { from: 11, to: 19, text: "SELECT 2" });
});

test("errors are marked where the server's spans say", () => {
  const sql = "SELECT '🦀' AS a,\n  nonsense FROM t";
  const span = (primary: boolean, line: number, column: number, end_column: number, label?: string) => ({ primary, line, column, end_line: line, end_column, label });
  const diagnostic = { code: "UNKNOWN_COLUMN", kind: "input", message: "there is no column", hint: "did you mean 'n'?", spans: [span(true, 2, 3, 11), span(false, 1, 8, 11, "a text")] };
  assert.deepEqual(errorMarks([diagnostic], sql), [
    { from: 20, to: 28, primary: true, text: "there is no column\ndid you mean 'n'?" },
    { from: 7, to: 11, primary: false, text: "a text" },
  ]);
  assert.equal(sql.slice(20, 28), "nonsense");
  assert.deepEqual(errorMarks([{ code: "X", kind: "input", message: "m", spans: [span(true, 9, 1, 2)] }], sql), [{ from: sql.length, to: sql.length, primary: true, text: "m" }]);
  assert.deepEqual(errorMarks([{ code: "X", kind: "input", message: "the disk is full" }], sql), []);
});
