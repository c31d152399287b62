// The editor: CodeMirror with Flink's keywords, completion from the catalog, and errors under their place.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type Completion, type CompletionContext } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { SQLDialect, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { ErrorMark } from "./statements.ts";

const FLINK_WORDS = "add after all alter analyze and any array as asc at before begin between by case cast catalog catalogs changelog_mode clear column columns comment compile constraint create cross cumulate current cursor data database databases default define delete dense_rank desc describe descriptor distinct distribution drain drop else end enforced escape estimated_cost except execute exists explain extended extract false fetch filter first following for from full function functions global group grouping having hop if ignore in inner insert intersect interval into is jar jars job jobs join json_execution_plan key language last lateral left like limit load local match_recognize materialized measures metadata minus model models module modules natural not null nulls of offset on one only option or order ordinality outer over overwrite partition partitions past pattern per plan_advice position preceding precision primary procedures quit range recursive remove rename reset respect right rollup row row_number rows savepoint savepoints select session set sets show similar skip statement stop system_time table tables tablesample temporary then ties to true try_cast tumble unbounded union unique unknown unload unnest update use using values view views virtual watermark when where window with within without zone";
const FLINK_TYPES = "array bigint binary boolean bytes char date day dec decimal double float hour int integer map minute month multiset numeric raw second smallint string time timestamp timestamp_ltz tinyint varbinary varchar variant year";

const flink = SQLDialect.define({
  keywords: FLINK_WORDS,
  types: FLINK_TYPES,
  identifierQuotes: "`",
  backslashEscapes: false,
  hashComments: false,
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--code-type)" },
  { tag: tags.string, color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--code-comment)", fontStyle: "italic" },
  { tag: tags.special(tags.string), color: "var(--code-fn)" },
]);

const look = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "transparent" },
  ".cm-content": { fontFamily: "var(--mono)", fontSize: "13px", lineHeight: "1.6", caretColor: "var(--accent)", padding: "10px 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--faint)", border: "none", fontFamily: "var(--mono)", fontSize: "11.5px", paddingRight: "6px" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 26%, transparent) !important" },
  ".cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--accent) 26%, transparent) !important", outline: "none" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", border: "1px solid var(--line-strong)", borderRadius: "8px", boxShadow: "var(--shadow-high)", overflow: "hidden" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono) !important", fontSize: "12px", maxHeight: "260px !important" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "3px 10px !important" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent-soft) !important", color: "var(--text) !important" },
  ".cm-completionDetail": { color: "var(--faint)", fontStyle: "normal", marginLeft: "14px" },
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--accent)", fontWeight: "600" },
  ".cm-diagnostic-info": { borderLeft: "3px solid var(--accent)", padding: "6px 10px", whiteSpace: "pre-wrap", maxWidth: "560px", fontSize: "12px" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)", padding: "6px 10px", whiteSpace: "pre-wrap", maxWidth: "560px", fontFamily: "var(--mono)", fontSize: "12px" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)" },
  ".cm-placeholder": { color: "var(--faint)" },
});

export interface Vocabulary { tables: { name: string; columns: { name: string; type: string }[] }[]; functions: string[] }

export interface Editor { view: EditorView; setVocabulary: (words: Vocabulary) => void; mark: (marks: ErrorMark[]) => void; clearMarks: () => void }

/** Tables, and the columns of those that the text mentions, functions; keywords come from the language. */
function complete(words: () => Vocabulary) {
  return (context: CompletionContext) => {
    const typed = context.matchBefore(/[\w`.$]+/);
    if (!typed && !context.explicit) return null;
    const { tables, functions } = words();
    const text = context.state.doc.toString().toLowerCase();
    const qualifier = /(?:^|[.`])([\w$]+)`?\.[\w$`]*$/.exec(typed?.text ?? "")?.[1]?.toLowerCase();
    const columnsOf = tables.filter((t) => (qualifier ? t.name.toLowerCase() === qualifier || new RegExp(`\\b${escape(t.name.toLowerCase())}\`?\\s+(as\\s+)?${escape(qualifier)}\\b`).test(text) : text.includes(t.name.toLowerCase())));
    const columns = columnsOf.flatMap((t) => t.columns.map((c): Completion => ({ label: c.name, type: "property", detail: `${c.type} · ${t.name}`, boost: 4 })));
    const from = typed ? typed.from + (typed.text.lastIndexOf(".") + 1) : context.pos;
    const others = qualifier ? [] : [
      ...tables.map((t): Completion => ({ label: t.name, type: "type", detail: "table", boost: 3 })),
      ...functions.map((f): Completion => ({ label: f, type: "function", detail: "function", apply: `${f}(` })),
    ];
    return { from, options: [...columns, ...others], validFor: /^[\w$]*$/ };
  };
}

const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

export function createEditor(parent: HTMLElement, text: string, actions: { run: () => void; runAll: () => void; explain: () => void; changed: (text: string) => void }): Editor {
  let vocabulary: Vocabulary = { tables: [], functions: [] };
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
  const language = new Compartment();
  const key = (k: string, action: () => void) => ({ key: k, preventDefault: true, run: () => { action(); return true; } });
  const state = EditorState.create({
    doc: text,
    extensions: [
      EditorView.cspNonce.of(nonce),
      Prec.highest(keymap.of([key("Mod-Enter", actions.run), key("Mod-Shift-Enter", actions.runAll), key("Mod-e", actions.explain)])),
      lineNumbers(), highlightActiveLineGutter(), highlightActiveLine(), highlightSpecialChars(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightSelectionMatches(),
      autocompletion({ icons: false, maxRenderedOptions: 60 }),
      language.of([sql({ dialect: flink, upperCaseKeywords: true }), flink.language.data.of({ autocomplete: complete(() => vocabulary) })]),
      syntaxHighlighting(colours), look, EditorView.lineWrapping,
      placeholder("SELECT * FROM …   Ctrl+Enter runs the statement at the cursor"),
      EditorView.contentAttributes.of({ "aria-label": "SQL statements" }),
      keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
      EditorView.updateListener.of((update) => { if (update.docChanged) actions.changed(update.state.doc.toString()); }),
    ],
  });
  const view = new EditorView({ state, parent });
  return {
    view,
    setVocabulary: (words) => (vocabulary = words),
    mark: (marks) => {
      const { length } = view.state.doc;
      const inside = marks.filter(({ from }) => from < length);
      view.dispatch(setDiagnostics(view.state, inside.map(({ from, to, primary, text }) => ({ from, to: Math.min(length, Math.max(to, from + 1)), severity: primary ? "error" : "info", message: text }))));
    },
    clearMarks: () => view.dispatch(setDiagnostics(view.state, [])),
  };
}
