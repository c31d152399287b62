// The schema browser. It is filled by SHOW and DESCRIBE over the editor's own session, so it shows what statements see.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../../components/icons.tsx";
import { Button, Notice } from "../../components/parts.tsx";
import { ask, reason } from "./session.ts";

export interface TableInfo { catalog: string; database: string; name: string; isView: boolean; columns?: { name: string; type: string }[] }
export interface Catalog { current: { catalog: string; database: string }; databases: { catalog: string; name: string }[]; tables: TableInfo[]; functions: string[] }

export const catalog = signal<Catalog | undefined>(undefined);
export const catalogError = signal<string | undefined>(undefined);

const first = (rows: (string | null)[][]) => rows.map((r) => r[0] ?? "");
const quoted = (...names: string[]) => names.map((n) => `\`${n.replace(/`/g, "``")}\``).join(".");
let reading: Promise<void> | undefined;

/** Reads the catalog again; calls while one is running share it. */
export function readCatalog(): Promise<void> {
  reading ??= read().then(() => { catalogError.value = undefined; }).catch((error) => { catalogError.value = reason(error); }).finally(() => (reading = undefined));
  return reading;
}

async function read(): Promise<void> {
  const [currentCatalog = ""] = first(await ask("SHOW CURRENT CATALOG"));
  const [currentDatabase = ""] = first(await ask("SHOW CURRENT DATABASE"));
  const databases: Catalog["databases"] = [];
  const tables: TableInfo[] = [];
  for (const name of first(await ask("SHOW CATALOGS"))) {
    for (const database of first(await ask(`SHOW DATABASES FROM ${quoted(name)}`).catch(async () => (name === currentCatalog ? await ask("SHOW DATABASES") : [])))) {
      databases.push({ catalog: name, name: database });
      const views = new Set(first(await ask(`SHOW VIEWS FROM ${quoted(name, database)}`).catch(() => [])));
      const all = first(await ask(`SHOW TABLES FROM ${quoted(name, database)}`).catch(() => []));
      tables.push(...all.map((table) => ({ catalog: name, database, name: table, isView: views.has(table) })));
    }
  }
  const functions = catalog.peek()?.functions.length ? catalog.peek()!.functions : first(await ask("SHOW FUNCTIONS").catch(() => []));
  catalog.value = { current: { catalog: currentCatalog, database: currentDatabase }, databases, tables, functions };
  // Columns of the tables that a person will most likely name next.
  for (const table of tables.filter((t) => t.catalog === currentCatalog && t.database === currentDatabase).slice(0, 40)) await describe(table);
}

export async function describe(table: TableInfo): Promise<void> {
  if (table.columns) return;
  const rows = await ask(`DESCRIBE ${quoted(table.catalog, table.database, table.name)}`).catch(() => []);
  const columns = rows.map((r) => ({ name: r[0] ?? "", type: r[1] ?? "" }));
  const now = catalog.peek();
  if (!now) return;
  const same = (t: TableInfo) => t.catalog === table.catalog && t.database === table.database && t.name === table.name;
  catalog.value = { ...now, tables: now.tables.map((t) => (same(t) ? { ...t, columns } : t)) };
}

export function SchemaBrowser({ onInsert }: { onInsert: (text: string) => void }) {
  useEffect(() => void (catalog.peek() ?? readCatalog()), []);
  const now = catalog.value;
  return (
    <div class="panel tree">
      <div class="row" style={{ justifyContent: "space-between", padding: "0 4px 6px" }}><h2 class="small soft">Catalogs</h2><Button kind="quiet" small icon="refresh" aria-label="Read the catalog again" onClick={() => void readCatalog()} /></div>
      {catalogError.value && <Notice tone="bad">{catalogError.value}</Notice>}
      {!now ? !catalogError.value && <div class="skeleton" style={{ margin: 8 }} /> : (
        <ul>
          {now.databases.map((db) => <Database key={`${db.catalog}.${db.name}`} db={db} now={now} onInsert={onInsert} />)}
        </ul>
      )}
    </div>
  );
}

function Database({ db, now, onInsert }: { db: Catalog["databases"][number]; now: Catalog; onInsert: (text: string) => void }) {
  const isCurrent = db.catalog === now.current.catalog && db.name === now.current.database;
  const [open, setOpen] = useState(isCurrent);
  const tables = now.tables.filter((t) => t.catalog === db.catalog && t.database === db.name);
  return (
    <li>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} title={`${db.catalog}.${db.name}`}><Icon name="chevron" class="chev" /><Icon name="database" /><span class="label-text">{db.catalog === "default_catalog" ? db.name : `${db.catalog}.${db.name}`}</span><span class="type">{tables.length}</span></button>
      {open && <ul>{tables.map((t) => <Table key={t.name} table={t} onInsert={onInsert} />)}{!tables.length && <li class="faint small" style={{ padding: "4px 8px" }}>No tables. CREATE TABLE makes one.</li>}</ul>}
    </li>
  );
}

function Table({ table, onInsert }: { table: TableInfo; onInsert: (text: string) => void }) {
  const [open, setOpen] = useState(false);
  const toggle = () => {
    if (!open) void describe(table);
    setOpen(!open);
  };
  return (
    <li>
      <button type="button" aria-expanded={open} onClick={toggle} title={table.name}><Icon name="chevron" class="chev" /><Icon name={table.isView ? "view" : "table"} /><span class="label-text">{table.name}</span></button>
      {open && (
        <ul>
          {table.columns?.map((c) => <li key={c.name}><button type="button" title={`${c.name} ${c.type}; click to insert`} onClick={() => onInsert(c.name)}><span class="label-text">{c.name}</span><span class="type">{c.type}</span></button></li>)}
          <li><button type="button" class="soft" onClick={() => onInsert(`SELECT * FROM \`${table.name}\`;\n`)}><Icon name="play" /><span class="label-text">Query</span></button></li>
        </ul>
      )}
    </li>
  );
}
