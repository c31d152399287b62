import assert from "node:assert/strict";
import { test } from "node:test";
import { errorSpan, split, statementAt } from "../../src/pages/sql/statements.ts";

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

test("the place of an error is found in its message", () => {
  const sql = "SELECT a,\n  nonsense FROM t";
  assert.deepEqual(errorSpan("From line 2, column 3 to line 2, column 10: Column 'nonsense' not found", sql), { from: 12, to: 20 });
  assert.deepEqual(errorSpan('Encountered "nonsense" at line 2, column 3.', sql), { from: 12, to: 20 });
  assert.equal(errorSpan("the disk is full", sql), undefined);
});
