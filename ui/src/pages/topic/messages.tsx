// Browsing the records of a topic.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Fragment } from "preact";
import { Json } from "../../components/sql-text.tsx";
import { Badge, Button, Card, Copy, Empty, Failure, Field, Loading, Status } from "../../components/parts.tsx";
import { ApiError, get, url } from "../../lib/api.ts";
import { bytes, count, time } from "../../lib/format.ts";
import { indented } from "../../lib/json.ts";
import { save } from "../../lib/download.ts";
import { route } from "../../lib/router.ts";
import type { Message, MessagePage, Payload, TopicDetail } from "../../lib/types.ts";

const LIVE_MS = 1000;
const PAGE = 50;

interface Query { from: string; offset: string; timestamp: string; partition: string; filter: string; isolation: string }

function parameters(query: Query, next?: Record<string, number>): string {
  const p = new URLSearchParams({ limit: String(PAGE), isolation: query.isolation });
  if (query.partition) p.set("partition", query.partition);
  if (query.filter) p.set("filter", query.filter);
  if (next) p.set("next", Object.entries(next).map(([partition, offset]) => `${partition}:${offset}`).join());
  p.set("from", query.from === "offset" ? `offset:${query.offset || 0}` : query.from === "timestamp" ? `timestamp:${new Date(query.timestamp).getTime() || 0}` : query.from);
  return p.toString();
}

const oneLine = (payload: Payload) => (payload.text === null ? "" : payload.text.replace(/\s+/g, " "));

const pretty = (payload: Payload): string => (payload.format === "json" ? indented(payload.text ?? "") : (payload.text ?? ""));

function Body({ payload, label }: { payload: Payload; label: string }) {
  if (payload.format === "null") return <p class="faint">{label} is null{label === "Value" ? ": a tombstone" : ""}</p>;
  if (payload.format === "empty") return <p class="faint">{label} is empty</p>;
  return payload.format === "json" || payload.format === "avro" ? <Json text={pretty(payload)} /> : <pre class="code wrapped" tabIndex={0} aria-label={label}>{payload.text}</pre>;
}

function Detail({ message }: { message: Message }) {
  return (
    <div class="message-detail">
      <div class="cols">
        <div class="stack" style={{ gap: 10 }}>
          <div class="row"><h3>Value</h3><Badge tone="accent">{message.value.format}</Badge><span class="faint small">{bytes(message.value.bytes)}</span>{message.value.truncated && <Badge tone="warn">shown in part</Badge>}{message.value.text && <Copy text={pretty(message.value)}>Copy</Copy>}</div>
          <Body payload={message.value} label="Value" />
        </div>
        <div class="stack" style={{ gap: 10 }}>
          <h3>Key</h3>
          <Body payload={message.key} label="Key" />
          <h3>Headers</h3>
          {message.headers.length ? <dl class="pairs">{message.headers.map((h, i) => [<dt key={i} class="mono">{h.key}</dt>, <dd key={`${i}v`} class="mono">{h.value ?? <i class="faint">null</i>}</dd>])}</dl> : <p class="faint">none</p>}
          <h3>Record</h3>
          <dl class="pairs">
            <dt>Timestamp</dt><dd>{time(message.timestamp, true)} <span class="faint small">{message.timestamp_type}</span></dd>
            <dt>Transaction</dt><dd>{message.transaction === "none" ? "none" : <Status state={message.transaction} />}</dd>
            {message.producer_id !== undefined && <><dt>Producer</dt><dd>{message.producer_id}</dd></>}
            <dt>Compression</dt><dd>{message.compression}</dd>
          </dl>
        </div>
      </div>
    </div>
  );
}

export function MessagesTab({ topic, written }: { topic: TopicDetail; written: number }) {
  const [query, setQuery] = useState<Query>({ from: "latest", offset: "", timestamp: "", partition: route.peek().query.get("partition") ?? "", filter: "", isolation: "read_uncommitted" });
  const [pages, setPages] = useState<MessagePage[]>([]);
  const [live, setLive] = useState(false);
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const [open, setOpen] = useState(new Set<string>());
  const running = useRef<AbortController | undefined>(undefined);
  const fetchPage = useCallback(async (next?: Record<string, number>) => {
    running.current?.abort();
    const control = (running.current = new AbortController());
    setBusy(true);
    try {
      const page = await get<MessagePage>(`${url`/api/v1/topics/${topic.name}/messages`}?${parameters(query, next)}`, control.signal);
      setPages((old) => (next ? [...old, page] : [page]));
      setError(undefined);
    } catch (caught) {
      if (caught instanceof ApiError) setError(caught);
    }
    if (running.current === control) setBusy(false);
  }, [topic.name, query]);
  // What is typed is asked for after a pause.
  useEffect(() => {
    const timer = setTimeout(() => void fetchPage(), 250);
    return () => clearTimeout(timer);
  }, [fetchPage, written]);
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => document.hidden || void fetchPage(), LIVE_MS);
    return () => clearInterval(timer);
  }, [live, fetchPage]);
  useEffect(() => () => running.current?.abort(), []);

  const set = (change: Partial<Query>) => setQuery({ ...query, ...change });
  const messages = pages.flatMap((page) => page.messages);
  const last = pages.at(-1);
  const scanned = pages.reduce((sum, page) => sum + page.scanned, 0);
  const toggle = (id: string) => setOpen((old) => { const now = new Set(old); if (!now.delete(id)) now.add(id); return now; });
  return (
    <Card>
      <div class="messages-bar">
        <Field label="Start at"><select class="input" value={query.from} onChange={(e) => set({ from: e.currentTarget.value })}><option value="latest">Newest</option><option value="earliest">Oldest</option><option value="offset">Offset</option><option value="timestamp">Time</option></select></Field>
        {query.from === "offset" && <Field label="Offset"><input class="input mono" type="number" min="0" value={query.offset} onInput={(e) => set({ offset: e.currentTarget.value })} /></Field>}
        {query.from === "timestamp" && <div style={{ width: 205 }}><Field label="Time"><input class="input" type="datetime-local" step="1" style={{ width: 205 }} value={query.timestamp} onInput={(e) => set({ timestamp: e.currentTarget.value })} /></Field></div>}
        <Field label="Partition"><select class="input" value={query.partition} onChange={(e) => set({ partition: e.currentTarget.value })}><option value="">All</option>{topic.partitions.map((p) => <option key={p.partition} value={p.partition}>{p.partition}</option>)}</select></Field>
        <Field label="Show"><select class="input" value={query.isolation} onChange={(e) => set({ isolation: e.currentTarget.value })}><option value="read_uncommitted">Everything</option><option value="read_committed">Committed only</option></select></Field>
        <Field label="Filter" grow><input class="input mono" value={query.filter} placeholder="text in key or value, or value.user.id = 42" spellcheck={false} onInput={(e) => set({ filter: e.currentTarget.value })} /></Field>
        <Button icon={live ? "pause" : "play"} aria-pressed={live} onClick={() => { if (!live) set({ from: "latest" }); setLive(!live); }}>{live ? "Live" : "Follow"}</Button>
        <Button icon="refresh" aria-label="Read again" onClick={() => void fetchPage()} />
        <Button icon="download" aria-label="Export as JSON" disabled={!messages.length} onClick={() => save(`${topic.name}.json`, JSON.stringify(messages, null, 2), "application/json")} />
      </div>
      {error && <div class="body"><Failure error={error} /></div>}
      {!last && !error ? <Loading /> : !messages.length ? (
        <Empty icon="topics" title={query.filter ? "No record matches" : "No records"}><p>{query.filter ? `${count(scanned)} records were searched.` : "Produce one, or start a job that writes here."}</p></Empty>
      ) : (
        <div class="table-wrap" tabIndex={0} role="region" aria-label="Messages">
          <table class="table messages">
            <thead><tr><th scope="col" style={{ width: 36 }}><span class="sr">Details</span></th><th scope="col" class="r" style={{ width: 84 }}>Partition</th><th scope="col" class="r" style={{ width: 104 }}>Offset</th><th scope="col" style={{ width: 172 }}>Time</th><th scope="col" style={{ width: "18%" }}>Key</th><th scope="col">Value</th><th scope="col" style={{ width: 112 }}>Transaction</th></tr></thead>
            <tbody>
              {messages.map((message) => {
                const id = `${message.partition}:${message.offset}`;
                const isOpen = open.has(id);
                return (
                  <Fragment key={id}>
                    <tr class={`link ${isOpen ? "open" : ""}`} onClick={() => toggle(id)}>
                      <td><Button kind="quiet" small icon={isOpen ? "minus" : "plus"} aria-label={`Details of offset ${message.offset} in partition ${message.partition}`} aria-expanded={isOpen} onClick={(e) => { e.stopPropagation(); toggle(id); }} /></td>
                      <td class="r">{message.partition}</td>
                      <td class="r">{count(message.offset)}</td>
                      <td class="num">{time(message.timestamp)}</td>
                      <td class="clip">{message.key.text === null ? <span class="faint">null</span> : oneLine(message.key)}</td>
                      <td class="clip">{message.value.text === null ? <span class="faint">null</span> : oneLine(message.value)}</td>
                      <td>{message.transaction === "none" ? <span class="faint">–</span> : <Status state={message.transaction} />}</td>
                    </tr>
                    {isOpen && <tr><td colSpan={7} style={{ padding: 0 }}><Detail message={message} /></td></tr>}
                  </Fragment>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {last && messages.length > 0 && (
        <div class="body row">
          {last.next && !last.exhausted && <Button busy={busy && !live} onClick={() => void fetchPage(last.next)}>{query.from === "latest" ? "Older records" : "More records"}</Button>}
          <span class="faint small">{count(messages.length)} shown, {count(scanned)} read{last.exhausted ? "; there are no more" : ""}</span>
        </div>
      )}
    </Card>
  );
}

