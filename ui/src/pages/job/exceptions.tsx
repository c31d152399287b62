// What went wrong in a job, newest first.
import { Badge, Card, Empty, Failure, Loading } from "../../components/parts.tsx";
import { url, useResource } from "../../lib/api.ts";
import { ago, plural, time } from "../../lib/format.ts";
import type { JobExceptions } from "../../lib/types.ts";

export function ExceptionsTab({ id }: { id: string }) {
  const exceptions = useResource<JobExceptions>(`${url`/jobs/${id}/exceptions`}?maxExceptions=50`, 3000);
  const entries = exceptions.data?.exceptionHistory?.entries ?? [];
  if (!exceptions.data) return exceptions.error ? <Failure error={exceptions.error} /> : <Card><Loading /></Card>;
  if (!entries.length) return <Card><Empty icon="check" title="No exceptions"><p>Nothing has failed since this job was started.</p></Empty></Card>;
  return (
    <div class="stack">
      <p class="soft">{plural(entries.length, "failure")}, newest first.</p>
      {[...entries].sort((a, b) => b.timestamp - a.timestamp).map((entry) => (
        <Card key={`${entry.timestamp}${entry.exceptionName}`} title={entry.exceptionName.split(".").at(-1)} actions={<span class="row soft small">{entry.taskName && <Badge>{entry.taskName}</Badge>}<span title={time(entry.timestamp, true)}>{time(entry.timestamp)} · {ago(entry.timestamp)}</span></span>}>
          <div class="body"><pre class="code wrapped" tabIndex={0} aria-label="Stack trace">{entry.stacktrace}</pre></div>
        </Card>
      ))}
    </div>
  );
}
