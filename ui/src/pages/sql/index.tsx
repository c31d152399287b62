// The SQL editor: statements above, their live results below, the catalog at the side.
import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../components/parts.tsx";
import { ago } from "../../lib/format.ts";
import { catalog, readCatalog, SchemaBrowser } from "./catalog.tsx";
import { createEditor, type Editor } from "./editor.ts";
import { EXAMPLES } from "./examples.ts";
import { Results } from "./results.tsx";
import { history, run } from "./runs.ts";
import { split, statementAt, type Span } from "./statements.ts";

const DRAFT = "millstream.draft";
/** Statements after which the catalog is another one. */
const CHANGES_CATALOG = /^\s*(CREATE|DROP|ALTER|USE|BEGIN|LOAD|UNLOAD)\b/i;
type Side = "schema" | "examples" | "history";

export default function SqlPage() {
  const box = useRef<HTMLDivElement>(null);
  const main = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  const [side, setSide] = useState<Side>("schema");
  const [sideShown, setSideShown] = useState(false);
  const [busy, setBusy] = useState(false);

  const runSpans = async (spans: Span[], prefix = "") => {
    setBusy(true);
    editor.current?.clearMarks();
    for (const span of spans) {
      const result = run(prefix + span.text);
      // The last one may run forever; those before it decide what it means.
      if (span === spans.at(-1)) setBusy(false);
      const { ok, message, marks } = await result;
      if (CHANGES_CATALOG.test(span.text)) void readCatalog();
      if (!ok) {
        const shift = span.from - prefix.length;
        const placed = marks?.map((mark) => ({ ...mark, from: Math.max(span.from, mark.from + shift), to: mark.to + shift }));
        if (placed?.length) editor.current?.mark(placed);
        else if (message) editor.current?.mark([{ from: span.from, to: span.to, primary: true, text: message }]);
        break;
      }
    }
    setBusy(false);
  };
  /** The selection, or the statement at the cursor. */
  const chosen = (): Span[] => {
    const { state } = editor.current!.view;
    const { from, to, head } = state.selection.main;
    if (from < to) return split(state.sliceDoc(from, to)).map((s) => ({ ...s, from: s.from + from, to: s.to + from }));
    const span = statementAt(state.doc.toString(), head);
    return span ? [span] : [];
  };
  const actions = {
    run: () => void runSpans(chosen()),
    runAll: () => void runSpans(split(editor.current!.view.state.doc.toString())),
    explain: () => {
      const spans = chosen().slice(0, 1);
      void runSpans(spans, /^\s*EXPLAIN\b/i.test(spans[0]?.text ?? "") ? "" : "EXPLAIN ");
    },
  };
  const latest = useRef(actions);
  latest.current = actions;

  useEffect(() => {
    document.title = "SQL · Millstream";
    editor.current = createEditor(box.current!, localStorage.getItem(DRAFT) ?? EXAMPLES[2]!.sql, {
      run: () => latest.current.run(), runAll: () => latest.current.runAll(), explain: () => latest.current.explain(),
      changed: (text) => localStorage.setItem(DRAFT, text),
    });
    editor.current.view.focus();
    return () => editor.current?.view.destroy();
  }, []);
  const words = catalog.value;
  useEffect(() => {
    if (words) editor.current?.setVocabulary({ tables: words.tables.map((t) => ({ name: t.name, columns: t.columns ?? [] })), functions: words.functions });
  }, [words]);

  const insert = (text: string) => {
    const view = editor.current!.view;
    view.dispatch(view.state.replaceSelection(text));
    view.focus();
    setSideShown(false);
  };
  const load = (text: string) => {
    const view = editor.current!.view;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.trimEnd().length } });
    view.focus();
    setSideShown(false);
  };
  return (
    <div class="page full">
      <h1 class="sr">SQL</h1>
      <div class="sql">
        <aside class={`sql-side ${sideShown ? "shown" : ""}`} aria-label="Catalog, examples and history">
          <div class="tabs">
            <div role="tablist" aria-label="Side panel" style={{ display: "flex" }}>{(["schema", "examples", "history"] as const).map((s) => <button type="button" role="tab" key={s} aria-selected={side === s} onClick={() => setSide(s)}>{s[0]!.toUpperCase() + s.slice(1)}</button>)}</div>
            <span class="grow" /><Button kind="quiet" small icon="close" class="only-narrow" aria-label="Close the panel" onClick={() => setSideShown(false)} />
          </div>
          {side === "schema" && <SchemaBrowser onInsert={insert} />}
          {side === "examples" && <ul class="panel snippets">{EXAMPLES.map((e) => <li key={e.title}><button type="button" onClick={() => { load(e.sql); latest.current.runAll(); }}><b>{e.title}</b><p>{e.about}</p></button></li>)}</ul>}
          {side === "history" && <ul class="panel snippets">{history.value.map((h) => <li key={h.at + h.sql}><button type="button" onClick={() => insert(`${h.sql};\n`)}><code class={h.failed ? "bad" : ""}>{h.sql}</code><p>{h.failed ? "failed " : ""}{ago(h.at)}</p></button></li>)}{!history.value.length && <li class="faint" style={{ padding: 8 }}>What you run is kept here, in this browser.</li>}</ul>}
        </aside>
        <div class="sql-main" ref={main}>
          <div class="sql-bar">
            <Button class="only-narrow" icon="database" aria-label="Catalog, examples and history" onClick={() => setSideShown(true)} />
            <Button kind="primary" icon="play" busy={busy} onClick={actions.run} title="Run the statement at the cursor, or the selection">Run <kbd>Ctrl ↵</kbd></Button>
            <Button onClick={actions.runAll} disabled={busy}>Run all</Button>
            <Button icon="plan" onClick={actions.explain} disabled={busy}>Explain</Button>
            <span class="grow" />
            {words && <span class="faint small nowrap">{words.current.catalog}.{words.current.database}</span>}
          </div>
          <div class="sql-editor"><div ref={box} /></div>
          <Sash main={main} />
          <section class="sql-result" aria-label="Results"><Results /></section>
        </div>
      </div>
    </div>
  );
}

/** The bar between editor and results; also moved with the arrow keys. */
function Sash({ main }: { main: { current: HTMLDivElement | null } }) {
  const [share, setShare] = useState(44);
  const set = (next: number) => {
    const bounded = Math.min(80, Math.max(15, next));
    setShare(bounded);
    main.current?.style.setProperty("--editor", `${bounded}%`);
  };
  const onMove = (event: PointerEvent) => {
    const frame = main.current!.getBoundingClientRect();
    if ((event.currentTarget as Element).hasPointerCapture(event.pointerId)) set(((event.clientY - frame.top - 49) / frame.height) * 100);
  };
  return (
    <div
      class="sash" role="separator" aria-orientation="horizontal" aria-label="Height of the editor" aria-valuenow={Math.round(share)} aria-valuemin={15} aria-valuemax={80} tabIndex={0}
      onPointerDown={(e) => e.currentTarget.setPointerCapture(e.pointerId)} onPointerMove={onMove}
      onKeyDown={(e) => { const step = { ArrowUp: -4, ArrowDown: 4 }[e.key]; if (step) { e.preventDefault(); set(share + step); } }}
    />
  );
}
