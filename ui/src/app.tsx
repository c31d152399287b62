// The frame around the pages: navigation, connection, keys.
import type { ComponentChildren } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { Icon, Logo, type IconName } from "./components/icons.tsx";
import { Palette } from "./components/palette.tsx";
import { Button, Dialog, Empty, Loading, Toasts } from "./components/parts.tsx";
import { useResource } from "./lib/api.ts";
import { connection } from "./lib/live.ts";
import { go, href, route } from "./lib/router.ts";
import { theme, toggleTheme } from "./lib/theme.ts";
import type { Overview } from "./lib/types.ts";
import { AccessPage } from "./pages/access.tsx";
import { GroupPage } from "./pages/group.tsx";
import { GroupsPage } from "./pages/groups.tsx";
import { JobPage } from "./pages/job/index.tsx";
import { JobsPage } from "./pages/jobs.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { TopicPage } from "./pages/topic/index.tsx";
import { TopicsPage } from "./pages/topics.tsx";

// The editor is half of the bundle: only its page loads it.
const SqlPage = lazy(() => import("./pages/sql/index.tsx"));

export const PAGES: { id: string; label: string; icon: IconName; key: string }[] = [
  { id: "overview", label: "Overview", icon: "overview", key: "o" },
  { id: "sql", label: "SQL", icon: "sql", key: "s" },
  { id: "jobs", label: "Jobs", icon: "jobs", key: "j" },
  { id: "topics", label: "Topics", icon: "topics", key: "t" },
  { id: "groups", label: "Groups", icon: "groups", key: "g" },
  { id: "access", label: "Access", icon: "access", key: "a" },
];

function page(parts: string[]): ComponentChildren {
  const [area = "overview", name, tab] = parts;
  switch (area) {
    case "overview": return <OverviewPage />;
    case "sql": return <Suspense fallback={<Loading />}><SqlPage /></Suspense>;
    case "jobs": return name ? <JobPage key={name} id={name} tab={tab ?? "graph"} /> : <JobsPage />;
    case "topics": return name ? <TopicPage key={name} name={name} tab={tab ?? "messages"} /> : <TopicsPage />;
    case "groups": return name ? <GroupPage key={name} name={name} /> : <GroupsPage />;
    case "access": return <AccessPage tab={name ?? "acls"} />;
    default: return <div class="page"><Empty icon="search" title="There is no such page"><a href="#/overview">Go to the overview</a></Empty></div>;
  }
}

function Side({ onFind }: { onFind: () => void }) {
  const area = route.value.parts[0] ?? "overview";
  const about = useResource<Overview>("/api/v1/overview", 60_000).data;
  const running = connection.tick.value?.jobs.RUNNING;
  const online = connection.online.value;
  return (
    <div class="side">
      <a class="brand" href="#/overview"><Logo /><span>Millstream</span></a>
      <button type="button" class="find" onClick={onFind} title="Find a page, topic, group or job"><Icon name="search" /><span>Find…</span><kbd>Ctrl K</kbd></button>
      <nav class="nav" aria-label="Main">
        {PAGES.map((p) => (
          <a key={p.id} href={href(p.id)} aria-current={area === p.id ? "page" : undefined} title={p.label}>
            <Icon name={p.icon} /><span>{p.label}</span>
            {p.id === "jobs" && running ? <span class="count">{running}</span> : null}
          </a>
        ))}
      </nav>
      <div class="foot">
        <span class={`conn ${online ? "" : "off"}`} title={online ? "Live" : "Not connected"}><i /><span class="words">{online ? "Live" : "Reconnecting…"}</span></span>
        <div class="row" style={{ justifyContent: "space-between" }}>
          <span class="words">{about ? `Version ${about.version}` : ""}</span>
          <Button kind="quiet" small icon={theme.value === "dark" ? "sun" : "moon"} aria-label={`Switch to the ${theme.value === "dark" ? "light" : "dark"} theme`} onClick={toggleTheme} />
        </div>
      </div>
    </div>
  );
}

const Keys = ({ onClose }: { onClose: () => void }) => (
  <Dialog title="Keyboard shortcuts" onClose={onClose}>
    <div class="body">
      <dl class="pairs">
        <dt><kbd>Ctrl</kbd> <kbd>K</kbd> or <kbd>/</kbd></dt><dd>Find a page, topic, group or job</dd>
        {PAGES.map((p) => [<dt key={p.id}><kbd>g</kbd> <kbd>{p.key}</kbd></dt>, <dd key={`${p.id}d`}>{p.label}</dd>])}
        <dt><kbd>Ctrl</kbd> <kbd>Enter</kbd></dt><dd>SQL: run the statement at the cursor, or the selection</dd>
        <dt><kbd>Ctrl</kbd> <kbd>Shift</kbd> <kbd>Enter</kbd></dt><dd>SQL: run everything</dd>
        <dt><kbd>Ctrl</kbd> <kbd>E</kbd></dt><dd>SQL: explain the statement</dd>
        <dt><kbd>t</kbd></dt><dd>Switch between dark and light</dd>
        <dt><kbd>?</kbd></dt><dd>This list</dd>
      </dl>
    </div>
  </Dialog>
);

const isTyping = (target: EventTarget | null) => target instanceof Element && Boolean(target.closest("input, textarea, select, [contenteditable], .cm-editor"));

function useKeys(open: (what: "find" | "keys") => void): void {
  useEffect(() => {
    let afterG = 0;
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        open("find");
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const target = Date.now() - afterG < 1200 && PAGES.find((p) => p.key === event.key);
      if (target) go(href(target.id));
      else if (event.key === "/") { event.preventDefault(); open("find"); }
      else if (event.key === "?") open("keys");
      else if (event.key === "t") toggleTheme();
      afterG = event.key === "g" && !target ? Date.now() : 0;
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

export function App() {
  const [open, setOpen] = useState<"find" | "keys">();
  useKeys(setOpen);
  const parts = route.value.parts;
  useEffect(() => { scrollTo(0, 0); }, [parts[0], parts[1]]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <div class="frame">
        <header class="side-wrap" style={{ display: "contents" }}><Side onFind={() => setOpen("find")} /></header>
        <main class="main" id="main" tabIndex={-1} style={{ outline: "none" }}>
          {!connection.online.value && <div class="lost" role="alert"><i />The connection to the server is lost. What you see is the last known state; reconnecting…</div>}
          {page(parts)}
        </main>
      </div>
      {open === "find" && <Palette onClose={() => setOpen(undefined)} />}
      {open === "keys" && <Keys onClose={() => setOpen(undefined)} />}
      <Toasts />
    </>
  );
}
