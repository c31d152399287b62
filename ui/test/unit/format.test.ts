import assert from "node:assert/strict";
import { test } from "node:test";
import { csv } from "../../src/lib/download.ts";
import { bytes, count, duration, short } from "../../src/lib/format.ts";
import { brief, chains, chainTitle, clauseOf, explainGraph, kindOf, plainName } from "../../src/lib/plan.ts";

test("numbers, sizes and durations", () => {
  assert.deepEqual([0, 7, 0.4, 999, 1000, 12_345, 9_999_999, -1500].map(short), ["0", "7", "0.4", "999", "1.00 k", "12.3 k", "10.0 M", "−1.50 k"]);
  assert.deepEqual([0, 1023, 1024, 1_572_864].map(bytes), ["0 B", "1023 B", "1.00 KiB", "1.50 MiB"]);
  assert.deepEqual([0, 999, 1500, 61_000, 3_600_000, 90_061_000].map(duration), ["0 ms", "999 ms", "1.5 s", "1 min 1 s", "1 h", "1 d 1 h"]);
  assert.deepEqual([count(1234567), count(undefined), bytes(-1)], ["1,234,567", "–", "–"]);
});

test("CSV quotes what needs it", () => {
  assert.equal(csv(["a", "b"], [["1", null], ['say "hi"', "x,y"]]), 'a,b\r\n1,\r\n"say ""hi""","x,y"\r\n');
});

const SQL = "INSERT INTO out SELECT k, COUNT(*) FROM t WHERE a > 1 GROUP BY k";

test("operators point at their clause", () => {
  const clause = (kind: string) => SQL.slice(...clauseOf(SQL, kind)!);
  assert.equal(clause(kindOf("[3]:GroupAggregate(groupBy=[k])")), "GROUP BY k");
  assert.equal(clause("tablesourcescan"), "FROM t");
  assert.equal(clause("sink"), "INSERT INTO out");
  assert.equal(clauseOf(SQL, "unheardof"), undefined);
});

test("plans become graphs, shared nodes once", () => {
  const plan = "== Optimized Execution Plan ==\nJoin(where=[a = b])\n:- Exchange(distribution=[hash[a]])(reuse_id=[1])\n:  +- TableSourceScan(table=[[t]])\n+- Calc(select=[b])\n   +- Reused(reference_id=[1])\n";
  const nodes = explainGraph(plan);
  assert.deepEqual(nodes.map((n) => [n.operator, n.inputs]), [["Join", ["1", "3"]], ["Exchange", ["2"]], ["TableSourceScan", []], ["Calc", ["1"]]]);
  assert.equal(plainName("Source: t[1] -> Calc[2]"), "Source: t → Calc");
  assert.equal(brief("[1]:TableSourceScan(table=[[default_catalog, default_database, t]], fields=[a])"), "TableSourceScan(t, fields=[a])");
});

test("operators without an exchange between them are one card", () => {
  const vertices = ["a", "b", "c", "d", "e"].map((id) => ({ id, name: id, parallelism: id === "e" ? 1 : 2 }));
  const input = (id: string, ship_strategy = "FORWARD") => [{ id, ship_strategy }];
  const nodes = [{ id: "a" }, { id: "b", inputs: input("a") }, { id: "c", inputs: input("b", "HASH") }, { id: "d", inputs: input("c") }, { id: "e", inputs: input("d") }];
  assert.deepEqual(chains(vertices, nodes), [["a", "b"], ["c", "d"], ["e"]]);
  // A vertex that two others read from ends its chain.
  assert.deepEqual(chains(vertices.slice(0, 3), [{ id: "a" }, { id: "b", inputs: input("a") }, { id: "c", inputs: input("a") }]), [["a"], ["b"], ["c"]]);
  assert.deepEqual(chains([{ id: "a", name: "Calc", parallelism: 2 }, { id: "b", name: "GroupAggregate", parallelism: 2 }], nodes.slice(0, 2)), [["a"], ["b"]]);
  assert.equal(chainTitle(["TableSourceScan", "Calc", "WatermarkAssigner"]), "TableSourceScan");
  assert.equal(chainTitle(["Calc", "GroupAggregate", "Sink: sums"]), "GroupAggregate → Sink: sums");
});
