#!/usr/bin/env python3
"""Runs the declarative programs of Flink's planner tests through a server and compares what their sinks get.

    walk.py PROGRAMS --gateway URL --rest URL --kafka HOST:PORT --printed FILE [--only TEXT] [--show VERDICT]

PROGRAMS are the lines that Dump.java prints. A source becomes a Kafka table (json, debezium-json for changes, upsert-kafka for
changes by key), a sink becomes a print table; FILE is where the server's print tables write. A program with rows for
after a restore is fed the first rows, stopped with a savepoint, fed the others and resumed from it.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

WAIT_SECONDS = 40
# Results that are not expected to come are waited for so long, in looks at a job that has read everything.
QUIET_LOOKS = 4
LOOK_SECONDS = 0.25


class Refused(Exception):
    def __init__(self, errors):
        text = "\n".join(errors)
        causes = re.findall(r"Caused by: (.*)", text)
        super().__init__(causes[-1] if causes else text.strip().splitlines()[0] if text.strip() else "")
        self.trace = text


def request(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=120) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Refused(json.load(error).get("errors", [])) from None


class Session:
    def __init__(self, url):
        self.url = url.rstrip("/")
        self.session = request("POST", f"{self.url}/v2/sessions", {"properties": {}})["sessionHandle"]

    def execute(self, statement):
        """The rows of the result and the id of the job, if there is one."""
        base = f"{self.url}/v2/sessions/{self.session}"
        operation = request("POST", f"{base}/statements", {"statement": statement})["operationHandle"]
        path, rows, job = f"/v2/sessions/{self.session}/operations/{operation}/result/0?rowFormat=PLAIN_TEXT", [], None
        while path:
            page = request("GET", self.url + path)
            if page["resultType"] != "NOT_READY":
                job = page.get("jobID") or job
                rows += [row["fields"] for row in page["results"]["data"]]
            path = page.get("nextResultUri")
        return rows, job

    def close(self):
        request("DELETE", f"{self.url}/v2/sessions/{self.session}")


class NotRunnable(Exception):
    pass


class Server:
    def __init__(self, args):
        self.gateway, self.rest, self.kafka, self.printed = args.gateway, args.rest, args.kafka, args.printed
        self.millstream, self.savepoints = args.millstream, args.savepoints

    def produce(self, topic, lines):
        command = [self.millstream, "topic", "produce", topic, "--bootstrap-server", self.kafka, "--quiet",
                   "--key-separator", "\t", "--null-marker", "(null)"]
        subprocess.run(command, input="".join(line + "\n" for line in lines).encode(), check=True, stdout=subprocess.DEVNULL)

    def create_topic(self, topic):
        command = [self.millstream, "topic", "create", topic, "--bootstrap-server", self.kafka, "--partitions", "1"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def job(self, job):
        return request("GET", f"{self.rest}/jobs/{job}")

    def written_by_sources(self, job):
        vertices = self.job(job)["vertices"]
        return {vertex["name"]: vertex["metrics"]["write-records"] for vertex in vertices if "Source" in vertex["name"]}

    def lines(self, place, names):
        """What the sinks have printed since a place in the file, by sink."""
        with open(self.printed, encoding="utf-8", errors="replace") as file:
            file.seek(place)
            text = file.read()
        found = {name: [] for name in names}
        for line in text.splitlines():
            name, _, row = line.partition("> ")
            if name in found:
                found[name].append(row)
        return found


# How the rows of a source come: as they are, as changes with both images, or as changes by key.
def form(source):
    kinds = {kind for rows in (source.get("before"), source.get("after")) for kind, _ in rows or []}
    mode = source["options"].get("changelog-mode", "I")
    modes = {kind.strip() for kind in mode.split(",")}
    if "UA" in modes and "UB" not in modes:
        return "upsert"
    # A topic of plain rows has no primary key.
    if modes == {"I"} and kinds <= {"+I"} and not primary_key(source):
        return "rows"
    return "changes"


def primary_key(source):
    text = ", ".join(source["schema"])
    found = re.search(r"PRIMARY\s+KEY\s*\(([^)]*)\)", text, re.I)
    if found:
        return [name.strip().strip("`") for name in found[1].split(",")]
    found = re.findall(r"(?:^|,)\s*`?(\w+)`?\s+[^,]*?PRIMARY\s+KEY", text, re.I)
    return found


def messages(source, rows):
    way = form(source)
    if way == "rows":
        return ["(null)\t" + row for _, row in rows]
    if way == "upsert":
        key = primary_key(source)
        found = []
        for kind, row in rows:
            fields = json.loads(row)
            key_text = json.dumps({name: fields[name] for name in key})
            found.append(key_text + "\t" + ("(null)" if kind == "-D" else row))
        return found
    found, old = [], None
    for kind, row in rows:
        if kind == "-U":
            if old is not None:
                found.append('{"before": %s, "after": null, "op": "d"}' % old)
            old = row
            continue
        if kind == "+U" and old is not None:
            found.append('{"before": %s, "after": %s, "op": "u"}' % (old, row))
            old = None
            continue
        if old is not None:
            found.append('{"before": %s, "after": null, "op": "d"}' % old)
            old = None
        if kind == "-D":
            found.append('{"before": %s, "after": null, "op": "d"}' % row)
        else:
            found.append('{"before": null, "after": %s, "op": "c"}' % row)
    if old is not None:
        found.append('{"before": %s, "after": null, "op": "d"}' % old)
    return ["(null)\t" + message for message in found]


def quoted(options):
    return ", ".join("'%s' = '%s'" % (key, value.replace("'", "''")) for key, value in options.items())


# Columns that the connector of the tests reads from its rows beside the others.
METADATA = re.compile(r"\s+METADATA(\s+FROM\s+'[^']*')?(\s+VIRTUAL)?", re.I)


def create(table, options):
    columns = ", ".join(METADATA.sub("", part) for part in table["schema"])
    return f"CREATE TABLE {table['name']} ({columns}) WITH ({quoted(options)})"


def source_table(server, source, topic, is_bounded):
    if "failure" in source:
        raise NotRunnable("rows that no format holds: " + source["failure"][:60])
    way = form(source)
    options = {"connector": "kafka", "topic": topic, "properties.bootstrap.servers": server.kafka}
    if way == "upsert":
        if not primary_key(source):
            raise NotRunnable("changes by key without a primary key")
        options.update({"connector": "upsert-kafka", "key.format": "json", "value.format": "json"})
    else:
        options.update({"scan.startup.mode": "earliest-offset", "format": "json" if way == "rows" else "debezium-json"})
    if is_bounded:
        options["scan.bounded.mode"] = "latest-offset"
    if "WATERMARK" in ", ".join(source["schema"]).upper():
        # The source of the tests makes no watermarks of its own, so that each row's counts before the next row.
        options["scan.watermark.emit.strategy"] = "on-event"
    for key in ("scan.watermark.emit.strategy", "scan.watermark.alignment.group", "scan.watermark.idle-timeout"):
        if key in source["options"]:
            options[key] = source["options"][key]
    return create(source, options)


LEFT_OUT = {"FUNCTION": "user functions in Java", "MODEL": "models", "TEMPORAL_FUNCTION": "temporal table functions of the Table API"}


def runnable(program):
    for step in program["setup"] + program["run"]:
        if step["kind"] in LEFT_OUT:
            raise NotRunnable(LEFT_OUT[step["kind"]])
        if "failure" in step and "SOURCE" not in step["kind"]:
            raise NotRunnable("Table API: " + step["failure"].split(":")[-1].strip()[:60])
        if step["kind"] == "FAILING_TABLE_API":
            raise NotRunnable("Table API")
        if "ON CONFLICT" in step.get("sql", "").upper() and step["kind"] != "FAILING_SQL":
            raise NotRunnable("ON CONFLICT, which a print table does not have")
        if step["kind"].startswith("SOURCE") and step["options"].get("enable-vector-search") == "true":
            raise NotRunnable("vector search")


def alternatives(steps):
    """The steps that are run: a query of the Table API stands beside the same query as SQL, of which one is enough."""
    writing = [step for step in steps if step["kind"] != "SQL" or not step["sql"].lstrip().upper().startswith("SELECT")]
    has_sql = any(step["kind"] == "SQL" for step in writing)
    return [step for step in writing if not (has_sql and step["kind"] == "TABLE_API")]


def run(server, program, number):
    """The verdict and what was found."""
    runnable(program)
    sources = [step for step in program["setup"] if step["kind"].startswith("SOURCE")]
    sinks = [step for step in program["setup"] if step["kind"].startswith("SINK")]
    is_restored = any(step["kind"].endswith("RESTORE_DATA") for step in sources + sinks)
    prefix = f"p{os.getpid()}-{number}"
    topics = {source["name"]: f"{prefix}-{source['name']}" for source in sources}
    for topic in topics.values():
        server.create_topic(topic)
    markers = {sink["name"]: f"{prefix}-{sink['name']}" for sink in sinks}

    def open_session(is_bounded, path=None):
        session = Session(server.gateway)
        for step in program["setup"]:
            if step["kind"] == "CONFIG":
                session.execute(f"SET '{step['key']}' = '{step['value']}'")
            elif step["kind"].startswith("SOURCE"):
                session.execute(source_table(server, step, topics[step["name"]], is_bounded))
            elif step["kind"].startswith("SINK"):
                session.execute(create(step, {"connector": "print", "print-identifier": markers[step["name"]]}))
            elif step["kind"] == "SQL":
                session.execute(step["sql"])
        session.execute(f"SET 'pipeline.name' = '{prefix}'")
        if path:
            session.execute(f"SET 'execution.state-recovery.path' = '{path}'")
        return session

    def submit(session):
        jobs = []
        for step in alternatives(program["run"]):
            if step["kind"] == "STATEMENT_SET":
                text = "EXECUTE STATEMENT SET BEGIN " + "; ".join(s.rstrip().rstrip(";") for s in step["statements"]) + "; END"
            else:
                text = step["sql"]
            if step["kind"] == "FAILING_SQL":
                return refusal(session, step)
            rows, job = session.execute(text)
            jobs.append(job or rows[0][0])
        return jobs

    def feed(part):
        for source in sources:
            rows = source.get(part)
            if rows:
                server.produce(topics[source["name"]], messages(source, rows))

    place = os.path.getsize(server.printed)
    if not is_restored:
        feed("before")
        session = open_session(True)
        jobs = submit(session)
        if isinstance(jobs, tuple):
            session.close()
            return jobs
        for job in jobs:
            end(server, job)
        session.close()
        printed = server.lines(place, markers.values())
        return verdict([(sink, expected(sink, "before") + expected(sink, "after"), printed[markers[sink["name"]]]) for sink in sinks])
    feed("before")
    session = open_session(False)
    jobs = submit(session)
    session.close()
    if isinstance(jobs, tuple):
        return jobs
    await_rows(server, jobs, place, sinks, markers, "before")
    paths = [stop(server, job, False) for job in jobs]
    first = server.lines(place, markers.values())
    place = os.path.getsize(server.printed)
    feed("after")
    session = open_session(False, paths[0])
    jobs = submit(session)
    session.close()
    await_rows(server, jobs, place, sinks, markers, "after")
    for job in jobs:
        stop(server, job, True)
    second = server.lines(place, markers.values())
    compared = []
    for sink in sinks:
        name = markers[sink["name"]]
        if sink["changelog"] and not sink.get("materialized"):
            compared.append((sink, expected(sink, "before"), first[name]))
            compared.append((sink, expected(sink, "after"), second[name]))
        else:
            compared.append((sink, None, first[name] + second[name]))
    return verdict(compared)


def refusal(session, step):
    try:
        session.execute(step["sql"])
    except Refused as error:
        wanted = step.get("error") or ""
        is_same = " ".join(wanted.split()) in " ".join(error.trace.split())
        return ("refused, same text" if is_same else "refused, other text"), f"expected: {wanted}\nfound: {error}"
    return "different", "accepted; expected: " + str(step.get("error"))


def end(server, job):
    limit = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < limit:
        state = server.job(job)["state"]
        if state == "FINISHED":
            return
        if state in ("FAILED", "CANCELED"):
            causes = request("GET", f"{server.rest}/jobs/{job}/exceptions")
            raise Refused([json.dumps(causes)[:2000]])
        time.sleep(LOOK_SECONDS)
    request("PATCH", f"{server.rest}/jobs/{job}?mode=cancel")
    raise Refused(["no end of the job"])


def await_rows(server, jobs, place, sinks, markers, part):
    """Until the sinks have what is expected, and in any case nothing has moved for some looks."""
    wanted = sum(len(expected(sink, part)) for sink in sinks)
    limit, quiet, last = time.monotonic() + WAIT_SECONDS, 0, None
    while time.monotonic() < limit:
        for job in jobs:
            if server.job(job)["state"] in ("FAILED", "CANCELED"):
                causes = request("GET", f"{server.rest}/jobs/{job}/exceptions")
                raise Refused([json.dumps(causes)[:2000]])
        found = sum(len(rows) for rows in server.lines(place, markers.values()).values())
        moved = [server.written_by_sources(job) for job in jobs], found
        quiet = quiet + 1 if moved == last else 0
        last = moved
        has_read = any(sum(counts.values()) for counts in moved[0])
        if quiet >= (QUIET_LOOKS if found >= wanted else 4 * QUIET_LOOKS) and (has_read or found):
            return
        if quiet >= 10 * QUIET_LOOKS:
            return
        time.sleep(LOOK_SECONDS)


def stop(server, job, is_drained):
    trigger = request("POST", f"{server.rest}/jobs/{job}/stop", {"drain": is_drained, "targetDirectory": server.savepoints})["request-id"]
    limit = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < limit:
        found = request("GET", f"{server.rest}/jobs/{job}/savepoints/{trigger}")
        if found["status"]["id"] == "COMPLETED":
            if "location" not in found["operation"]:
                raise Refused([json.dumps(found)[:2000]])
            return found["operation"]["location"]
        time.sleep(LOOK_SECONDS)
    raise Refused(["no savepoint"])


def expected(sink, part):
    rows = sink.get(part) or []
    return rows


def materialized(rows):
    left = collections.Counter()
    for line in rows:
        kind, row = line[:2], line[2:]
        left[row] += 1 if kind in ("+I", "+U") else -1
    return +left, -left


def verdict(compared):
    worst, texts = "same", []
    for sink, wanted, found in compared:
        if is_upsert(sink):
            found = [row for row in found if not row.startswith("-U")]
        if wanted is None:
            wanted = sink.get("materialized")
            if wanted is None:
                wanted = expected(sink, "before") + expected(sink, "after")
                wanted_left, _ = materialized(wanted)
            else:
                wanted_left = collections.Counter(row[2:] if row[:2] in ("+I", "+U") else row for row in wanted)
            if materialized(found)[0] == wanted_left:
                continue
        elif found == wanted:
            continue
        elif sorted(found) == sorted(wanted):
            worst = "same, other order" if worst == "same" else worst
            continue
        elif materialized(found) == materialized(wanted):
            worst = "same in the end" if worst in ("same", "same, other order") else worst
            texts.append(shown(sink, wanted, found))
            continue
        worst = "different"
        texts.append(shown(sink, wanted, found))
    return worst, "\n".join(texts)


def is_upsert(sink):
    """Whether the sink of the tests asks for no -U: by its option, or because it has a primary key."""
    mode = sink["options"].get("sink-changelog-mode-enforced", "").replace(" ", "")
    return mode in ("I,UA,D", "UA,D") or not mode and primary_key(sink) != []


def shown(sink, wanted, found):
    missing = list((collections.Counter(wanted) - collections.Counter(found)).elements())
    extra = list((collections.Counter(found) - collections.Counter(wanted)).elements())
    return f"  {sink['name']}: expected {len(wanted)} rows, found {len(found)}\n    missing {missing[:12]}\n    extra   {extra[:12]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--gateway", default="http://127.0.0.1:8083")
    parser.add_argument("--rest", default="http://127.0.0.1:8081")
    parser.add_argument("--kafka", default="127.0.0.1:9092")
    parser.add_argument("--printed", required=True, help="the file that the server's standard output goes to")
    parser.add_argument("--savepoints", required=True, help="a directory that millstream.sql.allowed-directories names")
    parser.add_argument("--millstream", default="millstream", help="the binary whose 'topic' commands are used")
    parser.add_argument("--only", help="the programs whose class or id matches this pattern")
    parser.add_argument("--show", action="append", default=[], help="print the programs of a verdict; 'all' for each but the same")
    args = parser.parse_args()
    server = Server(args)
    counts, by_class, reasons = collections.Counter(), collections.defaultdict(collections.Counter), collections.Counter()
    for number, line in enumerate(open(args.programs, encoding="utf-8")):
        program = json.loads(line)
        if args.only and not re.search(args.only, program["class"] + " " + program["id"]):
            continue
        try:
            found, text = run(server, program, number)
        except NotRunnable as reason:
            found, text = "not runnable", str(reason)
            reasons[str(reason)] += 1
        except Refused as error:
            found, text = "failed", str(error)[:700]
        counts[found] += 1
        by_class[program["class"]][found] += 1
        if found in args.show or "all" in args.show and found not in ("same", "same, other order", "not runnable"):
            sql = "; ".join(step.get("sql") or str(step.get("statements")) for step in program["run"])
            print(f"--- {program['class']} {program['id']}: {found}\n{sql}\n{text}", flush=True)
    for name, found in sorted(by_class.items()):
        print(f"{name}: " + ", ".join(f"{count} {verdict}" for verdict, count in found.most_common()))
    for reason, count in reasons.most_common():
        print(f"not runnable: {count} {reason}")
    print("all: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


if __name__ == "__main__":
    sys.exit(main())
