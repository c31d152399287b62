import assert from "node:assert/strict";
import { test } from "node:test";
import { CHANGES_MAX, Fold, ROWS_MAX } from "../../src/pages/sql/fold.ts";
import type { Row } from "../../src/pages/sql/session.ts";

const kinds = { "+I": "INSERT", "-U": "UPDATE_BEFORE", "+U": "UPDATE_AFTER", "-D": "DELETE" } as const;
const row = (text: string): Row => {
  const [op, ...fields] = text.split(" ");
  return { kind: kinds[op as keyof typeof kinds], fields };
};
const table = (changes: string[]) => {
  const fold = new Fold();
  fold.apply(changes.map(row));
  return fold.table().map((fields) => fields.join(" "));
};

test("an updated row keeps its place", () => {
  assert.deepEqual(table(["+I a 1", "+I b 1", "-U a 1", "+U a 2"]), ["a 2", "b 1"]);
});

test("deleted rows leave, equal rows are counted apart", () => {
  assert.deepEqual(table(["+I a", "+I a", "+I b", "-D a"]), ["a", "b"]);
  assert.deepEqual(table(["+I a", "-D a", "-D a", "+I c"]), ["c"]);
});

test("a table that was compacted goes on", () => {
  const fold = new Fold();
  fold.apply(["+I a 1", "+I b 1", "-D a 1"].map(row));
  assert.equal(fold.table().length, 1);
  fold.apply(["-U b 1", "+U b 2", "+I c 1"].map(row));
  assert.deepEqual(fold.table().map((f) => f.join(" ")), ["b 2", "c 1"]);
});

test("rows and changes are bounded", () => {
  const fold = new Fold();
  fold.apply(Array.from({ length: ROWS_MAX + 5 }, (_, i) => row(`+I ${i}`)));
  assert.equal(fold.table().length, ROWS_MAX);
  assert.equal(fold.changes.length, CHANGES_MAX);
  assert.deepEqual([fold.dropped, fold.received], [5, ROWS_MAX + 5]);
});
