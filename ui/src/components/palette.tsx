// Ctrl-K: every page, topic, group and job by name.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { PAGES } from "../app.tsx";
import { useResource } from "../lib/api.ts";
import { go, href } from "../lib/router.ts";
import type { GroupRow, JobSummary, TopicRow } from "../lib/types.ts";
import { Icon, type IconName } from "./icons.tsx";

interface Target { label: string; kind: string; icon: IconName; to: string }
const SHOWN_MAX = 40;

/** Whether the letters of `wanted` come in this order; contiguous matches and early ones score higher. */
export function score(text: string, wanted: string): number {
  const hay = text.toLowerCase();
  const needle = wanted.toLowerCase();
  const at = hay.indexOf(needle);
  if (at >= 0) return 1000 - at;
  let from = 0;
  for (const letter of needle) {
    from = hay.indexOf(letter, from) + 1;
    if (from === 0) return -1;
  }
  return 100 - from;
}

export function Palette({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const topics = useResource<{ topics: TopicRow[] }>("/api/v1/topics").data;
  const groups = useResource<{ groups: GroupRow[] }>("/api/v1/groups").data;
  const jobs = useResource<{ jobs: JobSummary[] }>("/jobs/overview").data;
  useEffect(() => dialog.current!.showModal(), []);

  const targets = useMemo<Target[]>(() => [
    ...PAGES.map((p) => ({ label: p.label, kind: "Page", icon: p.icon, to: href(p.id) })),
    ...(jobs?.jobs ?? []).map((j) => ({ label: j.name, kind: `Job · ${j.state.toLowerCase()}`, icon: "jobs" as const, to: href("jobs", j.jid) })),
    ...(topics?.topics ?? []).map((t) => ({ label: t.name, kind: "Topic", icon: "topics" as const, to: href("topics", t.name) })),
    ...(groups?.groups ?? []).map((g) => ({ label: g.group, kind: "Group", icon: "groups" as const, to: href("groups", g.group) })),
  ], [topics, groups, jobs]);
  const found = useMemo(() => {
    if (!text) return targets.slice(0, SHOWN_MAX);
    const scored = targets.map((target) => [score(target.label, text), target] as const).filter(([s]) => s >= 0);
    return scored.sort((a, b) => b[0] - a[0]).slice(0, SHOWN_MAX).map(([, target]) => target);
  }, [targets, text]);
  const at = Math.min(chosen, Math.max(0, found.length - 1));

  const pick = (target?: Target) => {
    if (!target) return;
    onClose();
    go(target.to);
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const next = (at + step + found.length) % Math.max(1, found.length);
      setChosen(next);
      list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      pick(found[at]);
    }
  };
  return (
    <dialog ref={dialog} class="palette" aria-label="Find" onCancel={(e) => { e.preventDefault(); onClose(); }} onClick={(e) => e.target === dialog.current && onClose()}>
      <input class="input" autofocus placeholder="Find a page, topic, group or job" aria-label="Find a page, topic, group or job" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant={found.length ? `palette-${at}` : undefined} value={text} onInput={(e) => { setText(e.currentTarget.value); setChosen(0); }} onKeyDown={onKey} />
      <ul id="palette-list" ref={list} role="listbox" aria-label="Results">
        {found.map((target, i) => (
          <li key={target.to} id={`palette-${i}`} role="option" aria-selected={i === at} onClick={() => pick(target)} onMouseMove={() => setChosen(i)}>
            <Icon name={target.icon} />{target.label}<small>{target.kind}</small>
          </li>
        ))}
      </ul>
      {!found.length && <p class="faint" style={{ padding: "0 18px 16px" }}>Nothing has this name.</p>}
    </dialog>
  );
}
