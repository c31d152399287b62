// What the texts of plans say: names of vertices, the clause of a statement that an operator comes from, EXPLAIN as a tree.

/** "HashAggregate[3] -> Calc" → "HashAggregate → Calc". */
export function plainName(name: string): string {
  return name.replace(/\[\d+\]/g, "").replace(/\s*->\s*/g, " → ").trim();
}

/** A description without what says nothing to a reader: numbers of nodes, the default catalog. */
export function brief(description: string): string {
  return description.replace(/\[\d+\]:/g, "").replace(/default_catalog, default_database, /g, "").replace(/table=\[\[([^\]]*)\]\]/g, "$1").trim();
}

/** The operator that a description begins with, in small letters. */
export function kindOf(description: string): string {
  return /[A-Za-z]+/.exec(description.replace(/^\[?\d+\]?:?\s*/, ""))?.[0]?.toLowerCase() ?? "";
}

const CLAUSES: [RegExp, RegExp][] = [
  [/^(source|tablesource|scan|kafka|datagen|filesystem|watermark)/, /\b(FROM|JOIN)\b[\s\S]*?(?=\b(WHERE|GROUP|HAVING|ORDER|LIMIT|UNION)\b|;|$)/i],
  [/^(sink|print|blackhole|committer)/, /\bINSERT\s+(INTO|OVERWRITE)\s+[^\s(]+/i],
  [/^(.*aggregate|window.*|group.*)/, /\bGROUP\s+BY\b[\s\S]*?(?=\b(HAVING|ORDER|LIMIT|UNION)\b|;|$)/i],
  [/join/, /\b(\w+\s+)?(LEFT|RIGHT|FULL|INNER|CROSS)?\s*(OUTER\s+)?JOIN\b[\s\S]*?(?=\b(WHERE|GROUP|HAVING|ORDER|LIMIT|UNION)\b|;|$)/i],
  [/^(rank|sort|limit|.*topn|deduplicate)/, /\b(ORDER\s+BY|ROW_NUMBER)\b[\s\S]*?(?=\bWHERE\b|;|$)/i],
  [/match/, /\bMATCH_RECOGNIZE\b[\s\S]*/i],
  [/^over/, /\bOVER\b\s*(\([\s\S]*?\)|\w+)/i],
  [/^(filter)/, /\bWHERE\b[\s\S]*?(?=\b(GROUP|HAVING|ORDER|LIMIT|UNION)\b|;|$)/i],
  [/^(calc|project)/, /\bSELECT\b[\s\S]*?(?=\bFROM\b|;|$)/i],
];

/** The range of `sql` that an operator of this kind comes from. */
export function clauseOf(sql: string | undefined, kind: string): [number, number] | undefined {
  if (!sql || !kind) return undefined;
  const pattern = CLAUSES.find(([operator]) => operator.test(kind))?.[1];
  const found = pattern?.exec(sql);
  return found ? [found.index, found.index + found[0].trimEnd().length] : undefined;
}

export interface PlanNodeText { id: string; text: string; operator: string; detail: string; inputs: string[] }

/**
 * The tree under a heading of EXPLAIN's text, as a graph. A line that repeats another ("(reuse_id=[1])", "Reused(…)") is the
 * same node.
 */
export function explainGraph(text: string): PlanNodeText[] {
  const sections = text.split(/^== (.+) ==$/m);
  const wanted = ["Optimized Execution Plan", "Optimized Physical Plan", "Abstract Syntax Tree"];
  const at = wanted.map((name) => sections.findIndex((part) => part.startsWith(name))).find((i) => i >= 0);
  const lines = (at === undefined ? text : (sections[at + 1] ?? "")).split("\n").filter((line) => line.trim());
  const nodes: PlanNodeText[] = [];
  const stack: { depth: number; node: PlanNodeText }[] = [];
  const reusable = new Map<string, PlanNodeText>();
  for (const line of lines) {
    const depth = /^[\s:|+-]*/.exec(line)![0].length;
    const body = line.slice(depth).trim();
    const reused = /^Reused\(reference_id=\[(\d+)\]\)/.exec(body);
    const operator = /^[A-Za-z_]+/.exec(body)?.[0] ?? body.slice(0, 20);
    let node = reused ? reusable.get(reused[1]!) : undefined;
    if (!node) {
      node = { id: String(nodes.length), text: body, operator, detail: body.slice(operator.length).replace(/\(reuse_id=\[\d+\]\)/, "").replace(/^\(|\)$/g, ""), inputs: [] };
      nodes.push(node);
      const id = /\(reuse_id=\[(\d+)\]\)/.exec(body)?.[1];
      if (id) reusable.set(id, node);
    }
    while (stack.length && stack.at(-1)!.depth >= depth) stack.pop();
    stack.at(-1)?.node.inputs.push(node.id);
    stack.push({ depth, node });
  }
  return nodes;
}

/** Operators that need their rows by key: an exchange stands before them, also where the parallelism stays the same. */
const KEYED = /^(?!Local).*(Aggregate|Join|Rank|Deduplicate|Over|Match|Normalize|Sort|Limit|Materializ)/;

interface ChainInput { id: string; name: string; parallelism: number }

/**
 * Operators that hand rows to each other without an exchange, as Flink chains them: each run of operators with one input and one reader and
 * the same parallelism is one card of the graph. Gives the ids of each chain in the order of the data flow.
 */
export function chains(vertices: ChainInput[], nodes: { id: string; inputs?: { id: string; ship_strategy: string }[] }[]): string[][] {
  const parallelism = new Map(vertices.map((v) => [v.id, v.parallelism]));
  const names = new Map(vertices.map((v) => [v.id, v.name]));
  const inputs = new Map(nodes.map((n) => [n.id, (n.inputs ?? []).filter((i) => parallelism.has(i.id))]));
  const readers = new Map<string, number>();
  for (const list of inputs.values()) for (const input of list) readers.set(input.id, (readers.get(input.id) ?? 0) + 1);
  const chainOf = new Map<string, string[]>();
  const found: string[][] = [];
  for (const { id } of vertices) {
    const own = inputs.get(id) ?? [];
    const before = own.length === 1 && own[0]!.ship_strategy === "FORWARD" && !KEYED.test(names.get(id)!) ? own[0]!.id : undefined;
    const chain = before !== undefined && readers.get(before) === 1 && parallelism.get(before) === parallelism.get(id) ? chainOf.get(before) : undefined;
    if (chain?.at(-1) === before && chain) chain.push(id);
    else found.push([id]);
    chainOf.set(id, chain ?? found.at(-1)!);
  }
  return found;
}

const PLAIN = /^(Calc|Exchange|WatermarkAssigner|DropUpdateBefore|ConstraintEnforcer|StreamRecordTimestampInserter|SinkInput)\b/;

/** What a chain is about: its operators without those that only reshape rows. */
export function chainTitle(names: string[]): string {
  const telling = names.filter((name) => !PLAIN.test(name));
  return (telling.length ? telling : names.slice(0, 1)).join(" → ");
}
