// A changelog folded into the table that it describes, with a bound on both.
import type { Row } from "./session.ts";

export const CHANGES_MAX = 5000;
export const ROWS_MAX = 20_000;

/**
 * The table of a changelog. A row that an update replaces keeps its place, so that a live table does not jump. Equal rows
 * are counted apart: a table without a key is a multiset.
 */
export class Fold {
  rows: (string | null)[][] = [];
  changes: { at: number; row: Row }[] = [];
  received = 0;
  /** Rows beyond the bound that were left out of the table. */
  dropped = 0;
  isChangelog = false;
  private places = new Map<string, number[]>();
  private holes: number[] = [];

  apply(rows: Row[]): void {
    for (const row of rows) {
      this.received += 1;
      this.changes.push({ at: this.received, row });
      if (row.kind !== "INSERT") this.isChangelog = true;
      if (row.kind === "INSERT" || row.kind === "UPDATE_AFTER") this.add(row);
      else this.take(row);
    }
    if (this.changes.length > CHANGES_MAX) this.changes.splice(0, this.changes.length - CHANGES_MAX);
  }

  /** Rows without the holes that deletions have left. */
  table(): (string | null)[][] {
    if (this.holes.length) this.compact();
    return this.rows;
  }

  private add(row: Row): void {
    const hole = row.kind === "UPDATE_AFTER" ? this.holes.pop() : undefined;
    if (hole === undefined && this.rows.length >= ROWS_MAX) {
      this.dropped += 1;
      return;
    }
    const at = hole ?? this.rows.length;
    this.rows[at] = row.fields;
    const key = JSON.stringify(row.fields);
    const same = this.places.get(key);
    if (same) same.push(at);
    else this.places.set(key, [at]);
  }

  private take(row: Row): void {
    const key = JSON.stringify(row.fields);
    const same = this.places.get(key);
    const at = same?.pop();
    if (at === undefined) {
      if (this.dropped) this.dropped -= 1;
      return;
    }
    if (!same!.length) this.places.delete(key);
    this.holes.push(at);
  }

  private compact(): void {
    const gone = new Set(this.holes);
    this.rows = this.rows.filter((_, i) => !gone.has(i));
    this.holes = [];
    this.places = new Map();
    this.rows.forEach((fields, i) => {
      const key = JSON.stringify(fields);
      const same = this.places.get(key);
      if (same) same.push(i);
      else this.places.set(key, [i]);
    });
  }
}
