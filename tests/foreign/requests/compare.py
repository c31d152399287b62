"""Compares what two brokers answered: compare.py FIRST SECOND, files that Requests printed.

The order of elements does not count, nor do ids, ports, times and sizes. Ends with 0 if nothing differs.
"""

import json
import re
import sys

IDS = r'"(topicId|clusterId|memberId|replicaDirectoryId|leader|leaderId|logDir|host)":"[^"]*"'
NUMBERS = (
    r'"(port|producerId|transactionStartTimeMs|lastFetchTimestamp|lastCaughtUpTimestamp|totalBytes|usableBytes'
    r'|finalizedFeaturesEpoch|highWatermark|logEndOffset|leaderEpoch)":-?\d+'
)
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def read(path):
    lines = open(path, encoding="utf-8").read().split("\n")
    return [(lines[at], lines[at + 1].strip()) for at in range(0, len(lines) - 1, 2)]


def plain(answer):
    answer = re.sub(IDS, r'"\1":"ID"', answer)
    answer = re.sub(NUMBERS, lambda found: f'"{found[1]}":{-1 if found[0].endswith("-1") else 0}', answer)
    return re.sub(UUID, "UUID", answer)


def ordered(value):
    if isinstance(value, dict):
        return {key: ordered(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((ordered(each) for each in value), key=json.dumps)
    return value


def parsed(answer):
    try:
        return ordered(json.loads(answer))
    except ValueError:
        return answer


def differences(first, second, path=""):
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        for key in first:
            yield from differences(first[key], second[key], f"{path}/{key}")
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for at, (one, other) in enumerate(zip(first, second)):
            yield from differences(one, other, f"{path}/{at}")
    elif first != second:
        yield path, json.dumps(first), json.dumps(second)


def main():
    first, second = read(sys.argv[1]), read(sys.argv[2])
    count = 0
    for (request, one), (asked, other) in zip(first, second):
        assert request == asked, f"not the same requests: {request} and {asked}"
        found = list(differences(parsed(plain(one)), parsed(plain(other))))
        count += bool(found)
        for number, (path, here, there) in enumerate(found):
            if number == 0:
                print(request)
            print(f"  {path}\n    < {here}\n    > {there}")
    print(f"{count} of {len(first)} answers differ")
    return int(count > 0 or len(first) != len(second))


sys.exit(main())
