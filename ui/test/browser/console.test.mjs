// Walks through every page and action in a real browser against a real server.
//
//   MILLSTREAM=target/debug/millstream npm run browser
//
// Chromium is taken from CHROMIUM or /usr/bin/chromium. Pictures of each page go to SHOTS (default: ui/shots).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const root = resolve(import.meta.dirname, "../../..");
const binary = resolve(process.env.MILLSTREAM ?? join(root, "target/debug/millstream"));
const shots = resolve(process.env.SHOTS ?? join(root, "ui/shots"));
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = Number(process.env.PATIENCE ?? 60_000);
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Free ports of loopback. */
async function ports(count) {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => done(server));
  })));
  const found = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return found;
}

const data = mkdtempSync(join(tmpdir(), "millstream-ui-"));
let rest;
let child;
let browser;
let page;
let base;
const problems = [];

/** Starts the server and waits until the page is served. */
async function serve(addresses) {
  const [kafka, restPort, gateway, metrics] = addresses;
  child = spawn(binary, ["serve", "--data-dir", data, "--kafka", `127.0.0.1:${kafka}`, "-D", `rest.port=${restPort}`, "-D", `sql-gateway.endpoint.rest.port=${gateway}`, "-D", `metrics.reporter.prom.port=${metrics}`, "-D", "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "-D", "super.users=User:ANONYMOUS", "-D", "execution.checkpointing.interval=500 ms"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  base = `http://127.0.0.1:${restPort}`;
  const end = Date.now() + PATIENCE;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const answer = await fetch(`${base}/api/v1/overview`).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > end) throw new Error("the server does not answer");
    await new Promise((done) => setTimeout(done, 100));
  }
}

const stop = () => new Promise((done) => {
  if (child.exitCode !== null) return done();
  child.once("exit", done);
  child.kill("SIGTERM");
});

async function api(method, path, body) {
  const answer = await fetch(base + path, { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : undefined, headers: answer.headers };
}

before(async () => {
  mkdirSync(shots, { recursive: true });
  rest = await ports(4);
  await serve(rest);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: "dark" });
  page.setDefaultTimeout(PATIENCE);
  page.on("console", (message) => message.type() === "error" && problems.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("response", (answer) => answer.status() >= 400 && problems.push(`${answer.status()} ${answer.url()}`));
});

after(async () => {
  await browser?.close();
  if (child) await stop();
  rmSync(data, { recursive: true, force: true });
});

const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
const open = (hash) => page.goto(`${base}/#/${hash}`);
const seen = (text) => page.getByText(text).first().waitFor();
const dialog = () => page.getByRole("dialog");

/** No serious finding of axe, and a picture. */
async function inspect(name) {
  await page.screenshot({ path: join(shots, `${name}.png`) });
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
  assert.deepEqual(serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")}`), [], name);
}

/** What the browser complained about, once. */
function clean(expected = []) {
  const unexpected = problems.filter((problem) => !expected.some((pattern) => pattern.test(problem)));
  problems.length = 0;
  assert.deepEqual(unexpected, []);
}

async function write(sql) {
  const editor = page.locator(".cm-content");
  await editor.click();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(sql);
}

const ORDERS = `CREATE TABLE orders (id BIGINT, customer INT, amount INT, ts AS LOCALTIMESTAMP, WATERMARK FOR ts AS ts)
WITH ('connector' = 'datagen', 'rows-per-second' = '50', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '100000000',
  'fields.customer.min' = '1', 'fields.customer.max' = '5', 'fields.amount.min' = '1', 'fields.amount.max' = '9');
CREATE TABLE sums (customer INT, total BIGINT, PRIMARY KEY (customer) NOT ENFORCED)
WITH ('connector' = 'upsert-kafka', 'topic' = 'sums', 'key.format' = 'json', 'value.format' = 'json');
CREATE TABLE copies (id BIGINT, customer INT, amount INT)
WITH ('connector' = 'kafka', 'topic' = 'copies', 'properties.group.id' = 'copier', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
`;

test("the bundle is served with its headers", async () => {
  const index = await fetch(`${base}/`);
  assert.match(index.headers.get("content-security-policy"), /script-src 'self';/);
  assert.doesNotMatch(await index.text(), /__CSP_NONCE__/);
  const script = await fetch(`${base}/assets/app.js`);
  const again = await fetch(`${base}/assets/app.js`, { headers: { "if-none-match": script.headers.get("etag") } });
  assert.deepEqual([script.status, script.headers.get("content-encoding"), again.status], [200, "gzip", 304]);
  const foreign = await fetch(`${base}/api/v1/topics`, { method: "POST", headers: { origin: "http://elsewhere.example", "content-type": "application/json" }, body: '{"name":"x"}' });
  assert.equal(foreign.status, 403);
});

test("the overview shows an empty server", async () => {
  await open("overview");
  await heading("Overview");
  await seen("No job has been started yet");
  await inspect("overview-empty");
  clean();
});

test("a topic is created, filled, browsed and changed", async () => {
  await open("topics");
  await page.getByRole("button", { name: "Create topic" }).click();
  await dialog().getByLabel(/^Name/).fill("letters");
  await dialog().getByLabel("Partitions").fill("2");
  await dialog().getByLabel("Retention").selectOption({ label: "7 days" });
  await inspect("topic-create");
  await dialog().getByRole("button", { name: "Create topic" }).click();
  await heading("letters");
  await page.getByRole("button", { name: "Produce" }).click();
  await dialog().getByLabel(/^Key/).fill("k1");
  await dialog().getByLabel(/^Value/).fill('{"user": {"id": 42}, "text": "hello"}');
  await dialog().getByLabel(/^Headers/).fill("trace=abc");
  await dialog().getByRole("button", { name: "Produce" }).click();
  await seen(/Written to partition/);
  for (let i = 0; i < 5; i += 1) await api("POST", "/api/v1/topics/letters/messages", { partition: i % 2, key: null, value: `plain ${i}` });
  await page.getByRole("link", { name: "Messages" }).click();
  await page.getByLabel("Filter", { exact: true }).fill("value.user.id = 42");
  await page.getByText("1 shown").waitFor();
  await page.getByRole("button", { name: /Details of offset/ }).click();
  await seen("trace");
  await inspect("messages");
  await page.getByLabel("Filter", { exact: true }).fill("");
  await page.getByLabel("Start at").selectOption("earliest");
  await page.getByText("6 shown").waitFor();
  await page.getByLabel(/^Partition/).selectOption("1");
  await page.getByRole("button", { name: "Follow" }).click();
  await page.getByRole("button", { name: "Live" }).click();
  await page.getByRole("link", { name: "Configuration" }).click();
  await page.getByRole("button", { name: "Change retention.ms" }).click();
  await dialog().getByLabel("Value").fill("3600000");
  await dialog().getByRole("button", { name: "Save" }).click();
  await seen("3600000");
  await inspect("topic-configuration");
  await page.getByRole("button", { name: "Add partitions" }).click();
  await dialog().getByRole("button", { name: "Add partitions" }).click();
  await seen("letters has 3 partitions now");
  await page.getByRole("link", { name: "Partitions" }).click();
  await inspect("topic-partitions");
  await page.getByRole("button", { name: "Delete records" }).click();
  await dialog().getByRole("button", { name: "Delete records" }).click();
  await seen("Records deleted");
  await page.getByRole("button", { name: "Delete topic" }).click();
  await dialog().getByLabel(/Type letters/).fill("letters");
  await dialog().getByRole("button", { name: "Delete topic" }).click();
  await heading("Topics");
  await inspect("topics");
  clean();
});

test("statements run with live results", async () => {
  await open("sql");
  await write(`${ORDERS}SELECT customer, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY customer;`);
  await page.getByRole("button", { name: "Run all" }).click();
  await page.getByText(/5 rows, \d+ changes/).waitFor();
  await inspect("sql-table");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Changelog" }).click();
  await page.locator(".rows .op").first().waitFor();
  await inspect("sql-changelog");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  assert.match(readFileSync(await file.path(), "utf8"), /^customer,n,total\r\n/);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Cancelled", { exact: true }).first().waitFor();
  await page.locator(".tree").getByText("orders", { exact: true }).click();
  await page.locator(".tree").getByText("customer", { exact: true }).first().waitFor();
  clean();
});

test("errors are marked at their place, plans are drawn", async () => {
  await write("SELECT\n  nonsense\nFROM orders");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Failed", { exact: true }).first().waitFor();
  await page.locator(".cm-lintRange-error").first().waitFor();
  assert.equal(await page.locator(".cm-lintRange-error").first().innerText(), "nonsense");
  await inspect("sql-error");
  // The gateway says with status 500 that a statement is wrong, as Flink's does.
  clean([/\/result\/0/, /status of 500/]);
  await write("SELECT customer, SUM(amount) FROM orders GROUP BY customer");
  await page.keyboard.press("Control+e");
  await page.locator(".graph .node").nth(2).waitFor();
  await inspect("sql-explain");
  await page.getByRole("button", { name: "Text" }).click();
  await seen("Optimized Execution Plan");
  await page.getByRole("tab", { name: "History" }).click();
  await page.getByRole("tab", { name: "Examples" }).click();
  await page.getByRole("button", { name: /^Hello/ }).click();
  await page.getByRole("cell", { name: "Hello", exact: true }).waitFor();
  clean();
});

test("completion knows tables and columns", async () => {
  await write("SELECT  FROM orders");
  for (let i = 0; i < 12; i += 1) await page.keyboard.press("ArrowLeft");
  await page.keyboard.type("amo", { delay: 40 });
  await page.locator(".cm-tooltip-autocomplete").getByText("amount").waitFor();
  await page.keyboard.press("Escape");
  clean();
});

let job;

test("a job runs, its graph is live", async () => {
  await write("SET 'pipeline.name' = 'totals';\nINSERT INTO sums SELECT customer, SUM(amount) FROM orders GROUP BY customer;");
  await page.getByRole("button", { name: "Run all" }).click();
  await page.getByRole("link", { name: "Watch it on its page" }).click();
  await heading("totals");
  job = /jobs\/(\w+)/.exec(page.url())[1];
  await page.locator(".node").first().waitFor();
  await page.getByText("INSERT INTO").first().waitFor();
  await page.locator(".node").first().hover();
  await page.locator(".t-hit").waitFor();
  await page.getByText(/out \d/).first().waitFor();
  await page.locator(".node").first().click();
  await page.getByRole("region", { name: "Subtasks" }).waitFor();
  await inspect("job-graph");
  clean();
});

test("checkpoints, exceptions and configuration of a job", async () => {
  await page.getByRole("link", { name: "Checkpoints" }).click();
  await page.getByRole("button", { name: /^#\d+/ }).first().click();
  await page.getByRole("heading", { name: /Checkpoint #/ }).waitFor();
  await inspect("job-checkpoints");
  await page.getByRole("link", { name: "Exceptions" }).click();
  await seen("No exceptions");
  await inspect("job-exceptions");
  await page.getByRole("link", { name: "Configuration" }).click();
  await seen("Job configuration");
  await inspect("job-configuration");
  clean();
});

test("a job takes checkpoints and savepoints, stops and is cancelled", async () => {
  await page.getByRole("button", { name: "Checkpoint", exact: true }).click();
  await seen("Checkpoint triggered");
  await page.getByRole("button", { name: "Savepoint" }).click();
  await dialog().getByLabel("Target directory").fill(join(data, "savepoints"));
  await dialog().getByRole("button", { name: "Take savepoint" }).click();
  await page.getByText(/Savepoint written to|savepoints are not available yet/).first().waitFor();
  clean([/savepoints$/, /status of 501/]);
  if (await dialog().count()) await dialog().getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await dialog().getByLabel("Target directory").fill(join(data, "savepoints"));
  await dialog().getByRole("button", { name: "Stop job" }).click();
  await seen(/Stopped with the savepoint/);
  await page.locator(".head").getByText("Finished").waitFor();
  await open("sql");
  await write("SET 'pipeline.name' = 'copying';\nINSERT INTO copies SELECT id, customer, amount FROM orders;");
  await page.getByRole("button", { name: "Run all" }).click();
  await page.getByRole("link", { name: "Watch it on its page" }).click();
  await heading("copying");
  await page.getByRole("button", { name: "Cancel" }).click();
  await dialog().getByRole("button", { name: "Cancel job" }).click();
  await page.locator(".head").getByText("Canceled").waitFor();
  await open("jobs");
  await seen("totals");
  await inspect("jobs");
  clean();
});

test("groups show their lag and move", async () => {
  const produced = await api("POST", "/api/v1/topics", { name: "numbers", partitions: 2 });
  assert.equal(produced.status, 201);
  for (let i = 0; i < 4; i += 1) await api("POST", "/api/v1/topics/numbers/messages", { partition: i % 2, key: null, value: String(i) });
  const { spawnSync } = await import("node:child_process");
  const tail = spawnSync(binary, ["topic", "tail", "numbers", "--from-beginning", "--exit-at-end", "--group", "readers", "--bootstrap-server", `127.0.0.1:${rest[0]}`], { encoding: "utf8" });
  assert.equal(tail.status, 0, tail.stderr);
  await open("groups");
  await page.getByRole("link", { name: "readers" }).click();
  await heading("readers");
  await page.getByRole("button", { name: "Reset offsets" }).click();
  await dialog().getByRole("button", { name: "Preview" }).click();
  await page.getByRole("region", { name: "Preview of the new offsets" }).waitFor();
  await inspect("group-reset");
  await dialog().getByRole("button", { name: "Move offsets" }).click();
  await seen("2 offsets moved");
  await inspect("group");
  await page.getByRole("button", { name: "Delete group" }).click();
  await dialog().getByLabel(/Type readers/).fill("readers");
  await dialog().getByRole("button", { name: "Delete group" }).click();
  await heading("Consumer groups");
  await inspect("groups");
  clean();
});

test("ACLs and users", async () => {
  await open("access/acls");
  await page.getByRole("button", { name: "Create ACL" }).click();
  await dialog().getByLabel("Principal").fill("User:alice");
  await dialog().getByLabel(/^Name/).fill("numbers");
  await dialog().getByRole("button", { name: "Create ACL" }).click();
  await page.getByRole("cell", { name: "User:alice", exact: true }).waitFor();
  await inspect("acls");
  await page.getByRole("button", { name: /Delete the ACL/ }).click();
  await dialog().getByRole("button", { name: "Delete ACL" }).click();
  await seen("No ACLs");
  await page.getByRole("link", { name: "Users" }).click();
  await page.getByRole("button", { name: "Create user" }).click();
  await dialog().getByLabel("Name").fill("alice");
  await dialog().getByLabel("Password").fill("wonderland");
  await dialog().getByRole("button", { name: "Create user" }).click();
  await page.getByRole("cell", { name: "alice", exact: true }).waitFor();
  await inspect("users");
  await page.getByRole("button", { name: "Delete alice" }).click();
  await dialog().getByRole("button", { name: "Delete user" }).click();
  await seen("No users");
  clean();
});

test("keys, themes and narrow screens", async () => {
  await open("overview");
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await heading("Topics");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("numb");
  await page.getByRole("option", { name: /numbers/ }).waitFor();
  await inspect("palette");
  await page.keyboard.press("Enter");
  await heading("numbers");
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  for (const [name, hash] of [["overview", "overview"], ["job", `jobs/${job}`], ["topic", "topics/numbers"], ["sql", "sql"]]) {
    await open(hash);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await inspect(`light-${name}`);
    await page.setViewportSize({ width: 390, height: 800 });
    await inspect(`narrow-${name}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} px too wide`);
    await page.setViewportSize({ width: 1440, height: 900 });
  }
  clean();
});

test("a lost connection is shown and heals", async () => {
  await open("overview");
  await heading("Overview");
  await stop();
  await page.getByText(/connection to the server is lost/).waitFor();
  await inspect("connection-lost");
  await serve(rest);
  await page.getByText(/connection to the server is lost/).waitFor({ state: "hidden" });
  await seen("Records through jobs");
  clean([/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|net::|EventSource|WebSocket/]);
});
