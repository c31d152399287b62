// Who may do what: ACLs and SCRAM users of the broker.
import { useState } from "preact/hooks";
import { Badge, Button, Card, Confirm, DataTable, Empty, Failure, Field, FormDialog, Loading, Notice, Page, Search, Status, Tabs, toast } from "../components/parts.tsx";
import { post, put, remove, url, useResource } from "../lib/api.ts";
import { count } from "../lib/format.ts";
import type { Acl, User } from "../lib/types.ts";

const RESOURCES = ["TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const OPERATIONS = ["ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE"];

export function AccessPage({ tab }: { tab: string }) {
  const acls = useResource<{ acls: Acl[]; enabled: boolean }>("/api/v1/acls", 10_000);
  const users = useResource<{ users: User[] }>("/api/v1/users", 10_000);
  const tabs = [
    { id: "acls", label: "ACLs", href: "#/access/acls", note: acls.data?.acls.length ? <Badge>{acls.data.acls.length}</Badge> : null },
    { id: "users", label: "Users", href: "#/access/users", note: users.data?.users.length ? <Badge>{users.data.users.length}</Badge> : null },
  ];
  const [creating, setCreating] = useState(false);
  const isAcls = tab !== "users";
  return (
    <Page title="Access" actions={<Button kind="primary" icon="plus" disabled={isAcls && acls.data?.enabled === false} onClick={() => setCreating(true)}>{isAcls ? "Create ACL" : "Create user"}</Button>}>
      <Tabs tabs={tabs} current={isAcls ? "acls" : "users"} label="Access" />
      {isAcls ? <Acls acls={acls} /> : <Users users={users} />}
      {creating && (isAcls
        ? <CreateAcl onClose={() => setCreating(false)} reload={acls.reload} />
        : <EditUser onClose={() => setCreating(false)} reload={users.reload} />)}
    </Page>
  );
}

type Reloading<T> = ReturnType<typeof useResource<T>>;

function Acls({ acls }: { acls: Reloading<{ acls: Acl[]; enabled: boolean }> }) {
  const [text, setText] = useState("");
  const [removing, setRemoving] = useState<Acl>();
  const rows = (acls.data?.acls ?? []).filter((a) => Object.values(a).join(" ").toLowerCase().includes(text.toLowerCase()));
  return (
    <>
      <Failure error={acls.error} />
      {acls.data && !acls.data.enabled && <Notice>ACLs are not in force: the broker has no authorizer. Set <code>authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer</code> and a listener with authentication to use them.</Notice>}
      <div class="row"><Search value={text} onInput={setText} label="Filter ACLs" /></div>
      <Card>
        {acls.loading ? <Loading /> : !rows.length ? <Empty icon="access" title="No ACLs"><p>An ACL allows or denies an operation on a topic, group or the cluster to a principal such as <code>User:alice</code>.</p></Empty> : (
          <DataTable label="ACLs" rows={rows} rowKey={(a) => Object.values(a).join("|")} sort="principal" columns={[
            { id: "principal", label: "Principal", sort: (a) => a.principal, cell: (a) => <span class="name mono">{a.principal}</span> },
            { id: "permission", label: "Permission", sort: (a) => a.permission, cell: (a) => <Status state={a.permission} /> },
            { id: "operation", label: "Operation", sort: (a) => a.operation, cell: (a) => a.operation },
            { id: "resource", label: "Resource", sort: (a) => a.resource + a.name, cell: (a) => <span><span class="soft">{a.resource}</span> <span class="mono">{a.name}</span>{a.pattern === "PREFIXED" && <> <Badge>prefix</Badge></>}</span> },
            { id: "host", label: "Host", sort: (a) => a.host, cell: (a) => <span class="mono">{a.host}</span> },
            { id: "remove", label: "", right: true, cell: (a) => <Button kind="quiet" small icon="trash" aria-label={`Delete the ACL of ${a.principal} on ${a.name}`} onClick={() => setRemoving(a)} /> },
          ]} />
        )}
      </Card>
      {removing && <Confirm title="Delete the ACL" action="Delete ACL" text={<p><b>{removing.principal}</b> is no longer {removing.permission === "ALLOW" ? "allowed" : "denied"} to {removing.operation} on {removing.resource} <b>{removing.name}</b>.</p>} onClose={() => setRemoving(undefined)} onConfirm={async () => { await remove("/api/v1/acls", removing); toast("ACL deleted"); setRemoving(undefined); await acls.reload(); }} />}
    </>
  );
}

function CreateAcl({ onClose, reload }: { onClose: () => void; reload: () => void }) {
  const [acl, setAcl] = useState<Acl>({ resource: "TOPIC", name: "", pattern: "LITERAL", principal: "User:", host: "*", operation: "READ", permission: "ALLOW" });
  const set = (change: Partial<Acl>) => setAcl({ ...acl, ...change });
  const choice = (key: keyof Acl, label: string, values: string[]) => (
    <Field label={label}><select class="input" value={acl[key]} onChange={(e) => set({ [key]: e.currentTarget.value })}>{values.map((v) => <option key={v}>{v}</option>)}</select></Field>
  );
  const submit = async () => {
    await post("/api/v1/acls", { ...acl, name: acl.resource === "CLUSTER" ? "kafka-cluster" : acl.name });
    toast("ACL created");
    reload();
    onClose();
  };
  return (
    <FormDialog title="Create an ACL" submit="Create ACL" onClose={onClose} onSubmit={submit}>
      <div class="form-row">
        <Field label="Principal"><input class="input mono" required value={acl.principal} pattern="[^:]+:.+" autofocus onInput={(e) => set({ principal: e.currentTarget.value })} /></Field>
        <Field label="Host"><input class="input mono" required value={acl.host} onInput={(e) => set({ host: e.currentTarget.value })} /></Field>
      </div>
      <div class="form-row">{choice("permission", "Permission", ["ALLOW", "DENY"])}{choice("operation", "Operation", OPERATIONS)}</div>
      <div class="form-row">{choice("resource", "Resource", RESOURCES)}{choice("pattern", "Pattern", ["LITERAL", "PREFIXED"])}</div>
      {acl.resource !== "CLUSTER" && <Field label="Name" hint="* means all."><input class="input mono" required value={acl.name} onInput={(e) => set({ name: e.currentTarget.value })} /></Field>}
    </FormDialog>
  );
}

function Users({ users }: { users: Reloading<{ users: User[] }> }) {
  const [editing, setEditing] = useState<string>();
  const [removing, setRemoving] = useState<User>();
  const rows = users.data?.users ?? [];
  return (
    <>
      <Failure error={users.error} />
      <Card>
        {users.loading ? <Loading /> : !rows.length ? <Empty icon="key" title="No users"><p>Users with a SCRAM password can sign in to listeners with SASL. Passwords are kept as salted hashes.</p></Empty> : (
          <DataTable label="Users" rows={rows} rowKey={(u) => u.user} sort="user" columns={[
            { id: "user", label: "User", sort: (u) => u.user, cell: (u) => <span class="name">{u.user}</span> },
            { id: "mechanisms", label: "Credentials", cell: (u) => <span class="row">{u.mechanisms.map((m) => <Badge key={m.mechanism}>{m.mechanism}, {count(m.iterations)} iterations</Badge>)}</span> },
            { id: "actions", label: "", right: true, cell: (u) => <><Button kind="quiet" small icon="key" aria-label={`Change the password of ${u.user}`} onClick={() => setEditing(u.user)} /><Button kind="quiet" small icon="trash" aria-label={`Delete ${u.user}`} onClick={() => setRemoving(u)} /></> },
          ]} />
        )}
      </Card>
      {editing && <EditUser name={editing} onClose={() => setEditing(undefined)} reload={users.reload} />}
      {removing && <Confirm title="Delete the user" action="Delete user" text={<p><b>{removing.user}</b> can no longer sign in. Open connections stay until they authenticate again.</p>} onClose={() => setRemoving(undefined)} onConfirm={async () => { await remove(url`/api/v1/users/${removing.user}`); toast(`User ${removing.user} deleted`); setRemoving(undefined); await users.reload(); }} />}
    </>
  );
}

function EditUser({ name, onClose, reload }: { name?: string; onClose: () => void; reload: () => void }) {
  const [user, setUser] = useState(name ?? "");
  const [password, setPassword] = useState("");
  const [mechanism, setMechanism] = useState("SCRAM-SHA-512");
  const submit = async () => {
    await put(url`/api/v1/users/${user}`, { mechanism, password });
    toast(name ? "Password changed" : `User ${user} created`);
    reload();
    onClose();
  };
  return (
    <FormDialog title={name ? `Change the password of ${name}` : "Create a user"} submit={name ? "Change password" : "Create user"} onClose={onClose} onSubmit={submit}>
      {!name && <Field label="Name"><input class="input" required autofocus value={user} autocomplete="off" onInput={(e) => setUser(e.currentTarget.value)} /></Field>}
      <Field label="Password"><input class="input" type="password" required autocomplete="new-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} /></Field>
      <Field label="Mechanism"><select class="input" value={mechanism} onChange={(e) => setMechanism(e.currentTarget.value)}><option>SCRAM-SHA-512</option><option>SCRAM-SHA-256</option></select></Field>
    </FormDialog>
  );
}
