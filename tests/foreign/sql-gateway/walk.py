#!/usr/bin/env python3
"""Runs the scripts of the tests of Flink's SQL Gateway (`sql/*.q`) through a gateway and compares the printed results.

    walk.py URL SCRIPTS [--allowed DIRECTORY] [--show]

A statement in a script is followed by `!output`, the expected text and a line `!ok`, `!info` (the gateway's test replaces job ids)
or `!error` (the root exception). Texts and classes of errors and plans need not be Flink's; how many differ is counted. `set.q`
lists the configuration of Flink's own test, which no other server has. Statements that need classes of a Java jar are left out and counted.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import unicodedata
import urllib.error
import urllib.request

JAVA = re.compile(r"\b(add|remove|show)\s+jars?\b|language\s+(java|scala|python)|\bjar\s+'"
                  r"|as\s+'[\w.$]+'|create\s+(temporary\s+)?(system\s+)?function|\bcall\s|procedure|org\.apache\.flink", re.I)


# The result is the same; an error of the same class with another text; an error of another class; another plan; another result.
VERDICTS = ["same", "class", "error", "plan", "different", "left out"]
KINDS = {"INSERT": "+I", "UPDATE_BEFORE": "-U", "UPDATE_AFTER": "+U", "DELETE": "-D"}


class Gateway:
    def __init__(self, url):
        self.url = url.rstrip("/")
        self.is_streaming = True
        self.session = self.request("POST", "/v2/sessions", {"properties": {}})["sessionHandle"]

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error).get("errors", []))

    def execute(self, statement):
        """The columns of the result and its rows as texts."""
        operation = self.request("POST", f"/v2/sessions/{self.session}/statements", {"statement": statement})
        path = f"/v2/sessions/{self.session}/operations/{operation['operationHandle']}/result/0?rowFormat=PLAIN_TEXT"
        columns, rows, is_changelog = [], [], False
        try:
            while path:
                page = self.request("GET", path)
                if page["resultType"] != "NOT_READY":
                    columns = page["results"]["columns"]
                    is_changelog = page["isQueryResult"] and self.is_streaming and statement[:7].lower() != "execute"
                    for row in page["results"]["data"]:
                        kind = [KINDS[row["kind"]]] if is_changelog else []
                        rows.append(kind + row["fields"])
                path = page.get("nextResultUri")
        finally:
            self.request("DELETE", f"/v2/sessions/{self.session}/operations/{operation['operationHandle']}/close")
        if is_changelog:
            columns = [{"name": "op"}, *columns]
        mode = re.match(r"set\s+'execution.runtime-mode'\s*=\s*'(\w+)'", statement, re.I)
        if mode:
            self.is_streaming = mode[1].lower() == "streaming"
        return columns, rows


class Refused(Exception):
    def __init__(self, errors):
        super().__init__(" ".join(errors))
        self.trace = errors[-1] if errors else ""

    def root(self):
        """The innermost exception of a Java stack trace."""
        causes = [line for line in self.trace.splitlines() if line.startswith("Caused by: ")]
        if not causes:
            return self.trace.strip()
        tail = self.trace[self.trace.rindex(causes[-1]) + len("Caused by: "):]
        lines = [line for line in tail.splitlines() if not line.startswith("\tat ") and line != "End of exception on server side>"]
        return "\n".join(lines).strip()


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def tableau(columns, rows):
    names = [column["name"] for column in columns]
    # As the printer of the gateway's own test, NULL is empty.
    shown = [["" if value is None else str(value) for value in row] for row in rows]
    if not rows:
        return "Empty set"
    widths = [max(width(row[i]) for row in [names, *shown]) for i in range(len(names))]
    rule = "+" + "".join("-" * (w + 2) + "+" for w in widths)
    def line(row):
        return "|" + "".join(" " * (w - width(value) + 1) + value + " |" for value, w in zip(row, widths))
    count = f"{len(rows)} row{'s' if len(rows) > 1 else ''} in set"
    return "\n".join([rule, line(names), rule, *map(line, shown), rule, count])


def statements(text):
    """Each statement with its expected text and the kind of the expectation."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for statement, expected, kind in re.findall(r"(.*?)\n!output\n(.*?)\n!(\w+)(?=\n|$)", text, re.S):
        yield statement.strip(), expected.strip("\n"), kind


def normal(text):
    text = re.sub(r"\b[0-9a-f]{32}\b", "JOB", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def judge(gateway, statement, expected, kind):
    """Whether the result is the expected one, and what was printed."""
    try:
        columns, rows = gateway.execute(statement)
    except Refused as refused:
        found = refused.root()
        if kind != "error":
            return "different", found
        is_same_class = found.split(":")[0] == expected.split(":")[0]
        return ("same" if normal(found) == normal(expected) else "class" if is_same_class else "error"), found
    if kind == "error":
        return "different", tableau(columns, rows)
    if re.match(r"\s*(explain|show\s+create)\b", statement, re.I) and len(rows) == 1:
        found = rows[0][0]
    else:
        found = tableau(columns, rows)
    if re.match(r"\s*explain\b", statement, re.I) and normal(found) != normal(expected):
        return "plan", found
    if kind == "info":
        return ("same" if "Job ID" in expected or "job id" in found else "different"), found
    return ("same" if normal(found) == normal(expected) else "different"), found


def run(url, path, allowed, show):
    counts = dict.fromkeys(VERDICTS, 0)
    gateway = Gateway(url)
    text = open(path).read()
    directory = tempfile.mkdtemp(dir=allowed)
    # The connector of Flink's own tests; what matters of it here is that the tables exist.
    text = text.replace("'connector' = 'values'", "'connector' = 'datagen'").replace("'connector'='values'", "'connector'='datagen'")
    for name in set(re.findall(r"\$(VAR_\w+)", text)):
        place = os.path.join(directory, "plans" if "PLAN" in name else name)
        os.makedirs(place, exist_ok=True)
        text = re.sub(rf"\${name}\b", place, text)
    for statement, expected, kind in statements(text):
        if JAVA.search(statement):
            counts["left out"] += 1
            continue
        verdict, found = judge(gateway, statement.rstrip(";"), expected, kind)
        counts[verdict] += 1
        if show and verdict in show:
            print(f"--- {os.path.basename(path)}: {verdict}\n{statement}\n--- expected !{kind}\n{expected}\n--- found\n{found}\n")
    shutil.rmtree(directory, ignore_errors=True)
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("scripts", help="the directory of the .q files")
    parser.add_argument("--allowed", default=None, help="a directory that millstream.sql.allowed-directories names")
    parser.add_argument("--show", action="append", default=[], help="print the statements of a verdict: " + ", ".join(VERDICTS))
    args = parser.parse_args()
    total = {}
    for name in sorted(os.listdir(args.scripts)):
        if name.endswith(".q"):
            counts = run(args.url, os.path.join(args.scripts, name), args.allowed, args.show)
            total = {key: total.get(key, 0) + value for key, value in counts.items()}
            print(f"{name}: " + ", ".join(f"{value} {key}" for key, value in counts.items()))
    print("all: " + ", ".join(f"{value} {key}" for key, value in total.items()))
    return 0 if not total.get("different") else 1


if __name__ == "__main__":
    sys.exit(main())
