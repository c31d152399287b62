#!/usr/bin/env python3
"""Runs the recipes of the public Flink SQL cookbook through a SQL Gateway, or through two and compares the results.

    walk.py COOKBOOK GATEWAY [OTHER] --directory DIRECTORY [--only TEXT]

COOKBOOK is a checkout of ververica/flink-sql-cookbook. The recipes' tables of made-up rows (connector faker) become files of
rows that follow from the table's columns, below DIRECTORY, which both servers read; other connectors that need a
service of their own are left out and counted. Each recipe has a session of its own.
"""

import argparse
import collections
import json
import os
import random
import re
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROWS = 60
WAIT_SECONDS = 60
KINDS = {"INSERT": 1, "UPDATE_AFTER": 1, "UPDATE_BEFORE": -1, "DELETE": -1}
SERVICES = re.compile(r"'connector'\s*=\s*'(jdbc|postgres-cdc|mysql-cdc|kafka|upsert-kafka)'", re.I)
# What is different at each look at a clock, or needs a program of its own.
LEFT_OUT = re.compile(r"language\s+python|\bPROCTIME\b|\bNOW\(\)|\bCURRENT_|LOCALTIME|\bRAND", re.I)


class Gateway:
    def __init__(self, url):
        self.url = url.rstrip("/")
        self.session = self.request("POST", "/v2/sessions", {"properties": {}})["sessionHandle"]

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            text = "\n".join(json.load(error).get("errors", []))
            causes = re.findall(r"Caused by: (.*)", text)
            raise ValueError(causes[-1] if causes else text) from None

    def execute(self, statement):
        """The columns and the rows that are left of a result."""
        base = f"/v2/sessions/{self.session}"
        operation = self.request("POST", f"{base}/statements", {"statement": statement})["operationHandle"]
        path, columns, left, limit = f"{base}/operations/{operation}/result/0?rowFormat=PLAIN_TEXT", [], collections.Counter(), time.monotonic() + WAIT_SECONDS
        while path:
            page = self.request("GET", path)
            if page["resultType"] != "NOT_READY":
                columns = [column["name"] for column in page["results"]["columns"]]
                for row in page["results"]["data"]:
                    left[json.dumps(row["fields"])] += KINDS[row["kind"]]
            path = page.get("nextResultUri")
            if time.monotonic() > limit:
                self.request("DELETE", f"{base}/operations/{operation}/close")
                raise ValueError("no end of the result")
        return columns, +left

    def close(self):
        self.request("DELETE", f"/v2/sessions/{self.session}")


def value(kind, name, row, chance):
    kind = kind.upper()
    if kind.startswith(("STRING", "VARCHAR", "CHAR")):
        return chance.choice(["alpha", "beta", "gamma", "delta", "US", "CA"])
    if kind.startswith("TIMESTAMP"):
        second = row * 7 + chance.randrange(5)
        zone = "Z" if "LTZ" in kind or "LOCAL" in kind else ""
        return f"2024-05-01 {10 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}{zone}"
    if kind.startswith("DATE"):
        return f"2024-05-{1 + row % 28:02}"
    if kind.startswith("TIME"):
        return f"10:{row % 60:02}:00"
    if kind.startswith("BOOLEAN"):
        return chance.random() < 0.5
    if kind.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return chance.randrange(1, 4000) / 4
    if kind.startswith("ARRAY"):
        return [value(kind[6:-1], name, row, chance) for _ in range(3)]
    if kind.startswith("MAP"):
        return {"k": chance.choice(["x", "y"])}
    if kind.startswith("ROW"):
        fields = split(re.sub(r"^ROW\s*[<(]|[>)]$", "", kind, flags=re.I))
        return {field.split()[0].strip("`").lower(): value(field.split(None, 1)[1], name, row, chance) for field in fields}
    return chance.randrange(1, 9)


def split(text):
    """The parts between commas that no bracket encloses."""
    parts, depth, part = [], 0, ""
    for letter in text:
        depth += (letter in "(<") - (letter in ")>")
        if letter == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    return [*parts, part.strip()] if part.strip() else parts


def columns_of(text):
    for part in split(text):
        found = re.match(r"`?(\w+)`?\s+(.*)", part, re.S)
        if found and found[1].upper() not in ("WATERMARK", "PRIMARY", "CONSTRAINT") and not re.match(r"AS\b", found[2], re.I):
            yield found[1], re.sub(r"\s+(NOT NULL|COMMENT\s.*)$", "", found[2].strip(), flags=re.I | re.S)


def with_rows(statement, directory, seed):
    """A CREATE TABLE of faker or datagen over a file of rows."""
    found = re.match(r"(.*?CREATE\s+(?:TEMPORARY\s+)?TABLE\s+(?:IF NOT EXISTS\s+)?`?([\w.]+)`?\s*)\((.*)\)\s*(?:COMMENT\s+'[^']*'\s*)?WITH\s*\((.*)\)\s*$", statement, re.S | re.I)
    if not found or not re.search(r"'connector'\s*=\s*'(faker|datagen)'", found[4], re.I):
        return statement
    folder = os.path.join(directory, found[2])
    os.makedirs(folder, exist_ok=True)
    chance = random.Random(seed)
    columns = list(columns_of(found[3]))
    with open(os.path.join(folder, "rows.json"), "w") as file:
        for row in range(ROWS):
            file.write(json.dumps({name: value(kind, name, row, chance) for name, kind in columns}) + "\n")
    return f"{found[1]}({found[3]}) WITH ('connector' = 'filesystem', 'path' = 'file://{folder}', 'format' = 'json')"


def statements(path):
    for block in re.findall(r"```sql\n(.*?)```", open(path, encoding="utf-8").read(), re.S):
        block = re.sub(r"--[^\n]*", "", block)
        set_found = re.match(r"\s*(EXECUTE\s+STATEMENT\s+SET|BEGIN\s+STATEMENT\s+SET)", block, re.I)
        parts = [block] if set_found else re.split(r";\s*(?:\n|$)", block)
        yield from (part.strip().rstrip(";") for part in parts if part.strip())


def run(gateway, statement):
    try:
        return "ok", gateway.execute(statement)
    except ValueError as error:
        return "error", str(error)


def recipe(path, urls, directory):
    """A verdict for each statement."""
    gateways = [Gateway(url) for url in urls]
    found, seed = [], 0
    for statement in statements(path):
        seed += 1
        if SERVICES.search(statement):
            found.append(("left out", statement, "a service"))
            continue
        statement = with_rows(statement, directory, seed)
        results = [run(gateway, statement) for gateway in gateways]
        if any(state == "error" for state, _ in results):
            states = {state for state, _ in results}
            verdict = "refused by both" if states == {"error"} and len(urls) > 1 else "refused" if results[0][0] == "error" else "refused by the other"
            found.append((verdict, statement, " | ".join(str(text)[:200] for state, text in results if state == "error")))
            continue
        is_query = re.match(r"\s*(SELECT|WITH)\b", statement, re.I)
        if len(urls) == 1 or not is_query or LEFT_OUT.search(statement):
            found.append(("ran", statement, ""))
            continue
        (columns, rows), (other_columns, other_rows) = results[0][1], results[1][1]
        if columns == other_columns and rows == other_rows:
            found.append(("same", statement, f"{sum(rows.values())} rows"))
        else:
            missing, extra = other_rows - rows, rows - other_rows
            found.append(("different", statement, f"{columns} {other_columns}; {sum(rows.values())} and {sum(other_rows.values())} rows; missing {list(missing)[:3]} extra {list(extra)[:3]}"))
    for gateway in gateways:
        gateway.close()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cookbook")
    parser.add_argument("gateways", nargs="+")
    parser.add_argument("--directory", required=True, help="where files for the tables go; both servers may read it")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    counts = collections.Counter()
    for folder, _, names in sorted(os.walk(args.cookbook)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not name.endswith(".md") or folder == args.cookbook or args.only not in path:
                continue
            found = recipe(path, args.gateways, tempfile.mkdtemp(dir=args.directory))
            own = collections.Counter(verdict for verdict, _, _ in found)
            counts.update(own)
            print(f"{name}: " + ", ".join(f"{count} {verdict}" for verdict, count in own.items()), flush=True)
            for verdict, statement, text in found:
                if verdict not in ("same", "ran", "left out"):
                    print(f"  {verdict}: {' '.join(statement.split())[:300]}\n    {text}", flush=True)
    print("all: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


if __name__ == "__main__":
    sys.exit(main())
