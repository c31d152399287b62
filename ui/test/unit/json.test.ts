import assert from "node:assert/strict";
import { test } from "node:test";
import { indented } from "../../src/lib/json.ts";

test("indentation changes nothing but space", () => {
  assert.equal(indented('{"id":7896645425468494843,"a":[1,{"b":"x, {y}: \\"z\\""}],"e":{},"f":[ ]}'), '{\n  "id": 7896645425468494843,\n  "a": [\n    1,\n    {\n      "b": "x, {y}: \\"z\\""\n    }\n  ],\n  "e": {},\n  "f": []\n}');
  assert.deepEqual(["17", '"a b"', "null", ""].map(indented), ["17", '"a b"', "null", ""]);
});
