// Small parts that every page uses.
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../lib/api.ts";
import { go } from "../lib/router.ts";
import { Icon, type IconName } from "./icons.tsx";

type Kind = "" | "primary" | "danger" | "quiet" | "danger primary";

export function Button(props: { kind?: Kind; small?: boolean; icon?: IconName; busy?: boolean } & Omit<JSX.IntrinsicElements["button"], "icon">) {
  const { kind = "", small, icon, busy, children, class: extra, ...rest } = props;
  const iconOnly = icon && !children;
  const classes = ["button", kind, small && "small", iconOnly && "icon", extra].filter(Boolean).join(" ");
  return (
    <button type="button" class={classes} {...rest} disabled={rest.disabled || busy} aria-busy={busy || undefined}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

const TONES: Record<string, string> = {
  RUNNING: "ok", FINISHED: "info", COMPLETED: "ok", Stable: "ok", FAILED: "bad", FAILING: "bad", RESTARTING: "warn", CANCELLING: "warn", CANCELED: "", CREATED: "info", INITIALIZING: "info", IN_PROGRESS: "info", Empty: "", Dead: "bad", PreparingRebalance: "warn", CompletingRebalance: "warn", Assigning: "warn", Reconciling: "warn", committed: "ok", aborted: "bad", open: "warn", ALLOW: "ok", DENY: "bad", Allow: "ok", Deny: "bad", SUSPENDED: "warn",
};

/** A state in its colour: "PreparingRebalance" → "Preparing rebalance". */
export function Status({ state }: { state: string }) {
  const words = state.replace(/_/g, " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return (
    <span class={`badge ${TONES[state] ?? ""}`}>
      <i class={state === "RUNNING" ? "live" : ""} />
      {words.charAt(0).toUpperCase() + words.slice(1)}
    </span>
  );
}

export const Badge = ({ tone = "", children }: { tone?: string; children: ComponentChildren }) => <span class={`badge ${tone}`}>{children}</span>;

export function Empty(props: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={props.icon} />
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}

export function Notice({ tone = "", children }: { tone?: "" | "bad" | "warn"; children: ComponentChildren }) {
  return (
    <div class={`notice ${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <Icon name={tone ? "warn" : "info"} />
      <div class="grow">{children}</div>
    </div>
  );
}

export const Failure = ({ error }: { error?: Error }) => (error ? <Notice tone="bad"><pre>{error.message}</pre></Notice> : null);

export const Loading = ({ lines = 4 }: { lines?: number }) => (
  <div class="stack" style={{ padding: 16, gap: 12 }} role="status" aria-label="Loading">
    {Array.from({ length: lines }, (_, i) => <div class="skeleton" key={i} style={{ width: `${90 - i * 13}%` }} />)}
  </div>
);

export function Page(props: { title: string; crumb?: ComponentChildren; badge?: ComponentChildren; note?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren }) {
  useEffect(() => {
    document.title = `${props.title} · Millstream`;
  }, [props.title]);
  return (
    <div class="page">
      <div class="head">
        <div class="titles">
          {props.crumb && <nav class="crumb" aria-label="Breadcrumb">{props.crumb}</nav>}
          <div><h1>{props.title}</h1>{props.badge}</div>
          {props.note}
        </div>
        <div class="row">{props.actions}</div>
      </div>
      {props.children}
    </div>
  );
}

export function Card(props: { title?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <section class={`card ${props.class ?? ""}`}>
      {(props.title || props.actions) && (
        <header>
          <h2 class="grow">{props.title}</h2>
          {props.actions}
        </header>
      )}
      {props.children}
    </section>
  );
}

export interface TileProps { label: string; value: ComponentChildren; note?: ComponentChildren; title?: string }
export const Tiles = ({ tiles, small }: { tiles: TileProps[]; small?: boolean }) => (
  <dl class={`tiles ${small ? "small" : ""}`}>
    {tiles.map((tile) => (
      <div class="tile" key={tile.label} title={tile.title}>
        <dt>{tile.label}</dt>
        <dd>{tile.value}{tile.note != null && <div class="note">{tile.note}</div>}</dd>
      </div>
    ))}
  </dl>
);

export const Search = ({ value, onInput, label }: { value: string; onInput: (value: string) => void; label: string }) => (
  <div class="search">
    <Icon name="search" />
    <input class="input" type="search" value={value} placeholder={label} aria-label={label} onInput={(e) => onInput(e.currentTarget.value)} />
  </div>
);

export function Segments<T extends string>(props: { value: T; options: readonly (readonly [T, string])[]; label: string; onChange: (value: T) => void; small?: boolean }) {
  return (
    <div class={`segments ${props.small ? "small" : ""}`} role="group" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <button type="button" key={value} aria-pressed={props.value === value} onClick={() => props.onChange(value)}>{text}</button>
      ))}
    </div>
  );
}

export function Field(props: { label: string; hint?: string; children: ComponentChildren; grow?: boolean }) {
  return (
    <label class={`field ${props.grow ? "grow" : ""}`}>
      <span>{props.label}</span>
      {props.children}
      {props.hint && <small>{props.hint}</small>}
    </label>
  );
}

/** Links between the views of a page. */
export function Tabs({ tabs, current, label }: { tabs: { id: string; label: string; href: string; note?: ComponentChildren }[]; current: string; label: string }) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map((tab) => (
        <a key={tab.id} href={tab.href} aria-current={tab.id === current ? "page" : undefined}>{tab.label}{tab.note}</a>
      ))}
    </nav>
  );
}

export function Copy({ text, children }: { text: string; children?: ComponentChildren }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text).catch(() => undefined);
    setDone(true);
    setTimeout(() => setDone(false), 1200);
  };
  return (
    <button type="button" class="copy" onClick={copy} title="Copy" aria-label={`Copy ${text}`}>
      {children ?? text}
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}

// ---- dialogs -------------------------------------------------------------------------------------------------------

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current!;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog ref={ref} class={props.wide ? "wide" : ""} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); props.onClose(); }} onClick={(e) => e.target === ref.current && props.onClose()}>
      <header>
        <h2 id={id}>{props.title}</h2>
        <Button kind="quiet" small icon="close" aria-label="Close" onClick={props.onClose} />
      </header>
      {props.children}
    </dialog>
  );
}

/** A dialog with a form that is sent to the server; stays open and shows why if that fails. */
export function FormDialog(props: { title: string; submit: string; danger?: boolean; wide?: boolean; disabled?: boolean; onClose: () => void; onSubmit: () => Promise<unknown>; children: ComponentChildren; extra?: ComponentChildren }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await props.onSubmit();
    } catch (caught) {
      setError(caught as Error);
    }
    setBusy(false);
  };
  return (
    <Dialog title={props.title} onClose={props.onClose} wide={props.wide}>
      <form onSubmit={submit}>
        <div class="body">{props.children}<Failure error={error} /></div>
        <footer>
          {props.extra}
          <Button onClick={props.onClose}>Cancel</Button>
          <Button kind={props.danger ? "danger primary" : "primary"} type="submit" busy={busy} disabled={props.disabled}>{props.submit}</Button>
        </footer>
      </form>
    </Dialog>
  );
}

/** Asks before something that cannot be taken back; `typed` must be typed in first. */
export function Confirm(props: { title: string; text: ComponentChildren; action: string; typed?: string; onClose: () => void; onConfirm: () => Promise<unknown> }) {
  const [typed, setTyped] = useState("");
  return (
    <FormDialog title={props.title} submit={props.action} danger onClose={props.onClose} onSubmit={props.onConfirm} disabled={props.typed !== undefined && typed !== props.typed}>
      <div>{props.text}</div>
      {props.typed !== undefined && (
        <Field label={`Type ${props.typed} to confirm`}>
          <input class="input mono" value={typed} onInput={(e) => setTyped(e.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </Field>
      )}
    </FormDialog>
  );
}

// ---- toasts --------------------------------------------------------------------------------------------------------

const toasts = signal<{ id: number; text: string; bad: boolean }[]>([]);
let lastToast = 0;

export function toast(text: string, bad = false): void {
  lastToast += 1;
  const id = lastToast;
  toasts.value = [...toasts.value.slice(-4), { id, text, bad }];
  setTimeout(() => close(id), bad ? 12_000 : 4_500);
}

const close = (id: number) => (toasts.value = toasts.value.filter((t) => t.id !== id));

/** Runs an action of a button; its failure is a toast. */
export async function attempt(action: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await action();
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(error instanceof ApiError ? error.message : String(error), true);
    return false;
  }
}

export const Toasts = () => (
  <div class="toasts" role="status" aria-live="polite">
    {toasts.value.map((t) => (
      <div key={t.id} class={`toast ${t.bad ? "bad" : ""}`}>
        <p>{t.text}</p>
        <Button kind="quiet" small icon="close" aria-label="Dismiss" onClick={() => close(t.id)} />
      </div>
    ))}
  </div>
);

// ---- tables --------------------------------------------------------------------------------------------------------

export interface Column<T> {
  id: string;
  label: string;
  right?: boolean;
  /** What rows are sorted by; a column without it cannot be sorted. */
  sort?: (row: T) => string | number;
  cell: (row: T) => ComponentChildren;
}

export function DataTable<T>(props: { columns: Column<T>[]; rows: T[]; rowKey: (row: T) => string; link?: (row: T) => string; sort?: string; descending?: boolean; label: string }) {
  const [sort, setSort] = useState({ id: props.sort ?? "", descending: props.descending ?? false });
  const by = props.columns.find((column) => column.id === sort.id)?.sort;
  const rows = by ? [...props.rows].sort((a, b) => compare(by(a), by(b)) * (sort.descending ? -1 : 1)) : props.rows;
  return (
    <div class="table-wrap" tabIndex={0} role="region" aria-label={props.label}>
      <table class="table">
        <thead>
          <tr>
            {props.columns.map((column) => {
              const active = column.id === sort.id;
              return (
                <th key={column.id} class={column.right ? "r" : ""} scope="col" aria-sort={active ? (sort.descending ? "descending" : "ascending") : undefined}>
                  {column.sort
                    ? <button type="button" onClick={() => setSort({ id: column.id, descending: active ? !sort.descending : Boolean(column.right) })}>{column.label}<span class="arrow" aria-hidden="true">{active ? (sort.descending ? "▼" : "▲") : ""}</span></button>
                    : column.label || <span class="sr">Actions</span>}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={props.rowKey(row)} class={props.link ? "link" : ""} onClick={(e) => { if (props.link && !(e.target as Element).closest("a, button, input")) go(props.link(row)); }}>
              {props.columns.map((column) => <td key={column.id} class={column.right ? "r" : ""}>{column.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function compare(a: string | number, b: string | number): number {
  if (typeof a === "string" && typeof b === "string") return a.localeCompare(b, "en", { numeric: true });
  return Number(a) - Number(b);
}
