// Numbers, sizes, times and durations as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const UNITS = ["", "k", "M", "G", "T"];

/** 1234567 → "1,234,567". */
export function count(value: number | undefined | null): string {
  return value == null || !Number.isFinite(value) ? "–" : whole.format(value);
}

/** 1234567 → "1.23 M". */
export function short(value: number | undefined | null): string {
  if (value == null || !Number.isFinite(value)) return "–";
  let scaled = Math.abs(value);
  let unit = 0;
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? (scaled < 10 && !Number.isInteger(scaled) ? 1 : 0) : scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  const sign = value < 0 ? "−" : "";
  return `${sign}${scaled.toFixed(digits)}${unit ? ` ${UNITS[unit]}` : ""}`;
}

/** 1234567 → "1.18 MiB". */
export function bytes(value: number | undefined | null): string {
  if (value == null || !Number.isFinite(value) || value < 0) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1023.5 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${scaled.toFixed(unit === 0 ? 0 : scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0)} ${units[unit]}`;
}

export const rate = (value: number | undefined | null): string => (value == null ? "–" : `${short(value)}/s`);
export const byteRate = (value: number | undefined | null): string => (value == null ? "–" : `${bytes(value)}/s`);
export const percent = (value: number | undefined | null): string =>
  value == null || !Number.isFinite(value) ? "–" : `${Math.round(value * 100)} %`;

/** Milliseconds → "1 d 4 h", "3 min 12 s", "840 ms". */
export function duration(ms: number | undefined | null): string {
  if (ms == null || !Number.isFinite(ms) || ms < 0) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const steps: [number, string][] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = steps.findIndex(([size]) => seconds >= size);
  const [size, unit] = steps[at]!;
  const high = Math.floor(seconds / size);
  const [nextSize, nextUnit] = steps[at + 1]!;
  const low = Math.floor((seconds - high * size) / nextSize);
  return low ? `${high} ${unit} ${low} ${nextUnit}` : `${high} ${unit}`;
}

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

/** A moment in the browser's zone: "2026-11-22 20:15:04". */
export function time(ms: number | undefined | null, withMillis = false): string {
  if (ms == null || !Number.isFinite(ms) || ms < 0) return "–";
  const d = new Date(ms);
  if (Number.isNaN(d.getTime())) return "–";
  const day = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  const clock = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return `${day} ${clock}${withMillis ? `.${pad(d.getMilliseconds(), 3)}` : ""}`;
}

/** "12 s ago". */
export function ago(ms: number | undefined | null, now = Date.now()): string {
  if (ms == null || ms < 0) return "–";
  const past = Math.max(0, now - ms);
  return past < 1000 ? "just now" : `${duration(past)} ago`;
}

export const plural = (n: number, word: string, words = `${word}s`): string => `${count(n)} ${n === 1 ? word : words}`;
