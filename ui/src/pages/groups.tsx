// Consumer groups with their lag.
import { useState } from "preact/hooks";
import { Card, DataTable, Empty, Failure, Loading, Page, Search, Status } from "../components/parts.tsx";
import { useResource } from "../lib/api.ts";
import { count } from "../lib/format.ts";
import { href } from "../lib/router.ts";
import type { GroupRow } from "../lib/types.ts";

export function GroupsPage() {
  const groups = useResource<{ groups: GroupRow[] }>("/api/v1/groups", 4000);
  const [text, setText] = useState("");
  const all = groups.data?.groups ?? [];
  const rows = all.filter((g) => g.group.toLowerCase().includes(text.toLowerCase()));
  return (
    <Page title="Consumer groups">
      <Failure error={groups.error} />
      <div class="row"><Search value={text} onInput={setText} label="Filter groups" /></div>
      <Card>
        {groups.loading ? <Loading /> : !rows.length
          ? <Empty icon="groups" title={all.length ? "No group matches" : "No consumer groups yet"}><p>A group appears when a consumer with a <code>group.id</code> joins or commits offsets. Jobs commit theirs with <code>properties.group.id</code> at every checkpoint.</p></Empty>
          : <DataTable label="Consumer groups" rows={rows} rowKey={(g) => g.group} link={(g) => href("groups", g.group)} sort="group" columns={[
              { id: "group", label: "Group", sort: (g) => g.group, cell: (g) => <a class="name" href={href("groups", g.group)}>{g.group}</a> },
              { id: "state", label: "State", sort: (g) => g.state, cell: (g) => <Status state={g.state} /> },
              { id: "type", label: "Type", sort: (g) => g.type, cell: (g) => <span class="soft">{g.type}</span> },
              { id: "members", label: "Members", right: true, sort: (g) => g.members, cell: (g) => count(g.members) },
              { id: "topics", label: "Topics", right: true, sort: (g) => g.topics, cell: (g) => count(g.topics) },
              { id: "lag", label: "Lag", right: true, sort: (g) => g.lag, cell: (g) => <b style={{ fontWeight: 580 }}>{count(g.lag)}</b> },
            ]} />}
      </Card>
    </Page>
  );
}
