// A time series. uPlot draws it; this wraps it in the page's colours and says the newest values in words.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { theme } from "../lib/theme.ts";

export interface Series { label: string; color: 1 | 2 | 3 | 4; values: (number | null | undefined)[]; fill?: boolean }

/** Steps of the time axis in seconds. */
const TIME_STEPS = [1, 5, 15, 30, 60, 300, 600, 1800, 3600];

/** Steps of an axis of bytes: powers of two. */
const BINARY_STEPS = Array.from({ length: 50 }, (_, i) => 2 ** i);

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(width: number, height: number, series: Series[], format: (v: number) => string, onIndex: (i: number | null) => void): uPlot.Options {
  const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px Inter Variable, sans-serif" };
  return {
    width,
    height,
    legend: { show: false },
    padding: [8, 12, 0, 0],
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.12 : 1] } },
    axes: [
      { ...axis, size: 26, space: 84, incrs: TIME_STEPS, values: (_u, splits, _i, _s, increment) => splits.map((s) => clock(s, increment < 60)) },
      { ...axis, size: 64, space: 34, values: (_u, splits) => splits.map((v) => (v === 0 ? "0" : format(v))), ...(format(1024).includes("KiB") ? { incrs: BINARY_STEPS } : {}) },
    ],
    series: [
      {},
      ...series.map((s) => {
        const stroke = colour(`--series-${s.color}`);
        return { label: s.label, stroke, width: 1.6, fill: s.fill ? `${stroke}22` : undefined, points: { show: false }, spanGaps: false };
      }),
    ],
    hooks: { setCursor: [(u) => onIndex(u.cursor.idx ?? null)] },
  };
}

function clock(seconds: number, withSeconds: boolean): string {
  const d = new Date(seconds * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}${withSeconds ? `:${two(d.getSeconds())}` : ""}`;
}

/** `times` are milliseconds. */
export function Chart(props: { times: number[]; series: Series[]; format: (value: number) => string; label: string; height?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [index, setIndex] = useState<number | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shape = props.series.map((s) => s.label).join("|");
  const data = (): uPlot.AlignedData => [latest.current.times.map((t) => t / 1000), ...latest.current.series.map((s) => s.values)] as uPlot.AlignedData;

  useEffect(() => {
    const height = props.height ?? 190;
    const make = () => {
      plot.current?.destroy();
      const width = Math.max(120, box.current!.clientWidth);
      plot.current = new uPlot(options(width, height, latest.current.series, latest.current.format, setIndex), data(), box.current!);
    };
    make();
    const observer = new ResizeObserver(() => box.current && plot.current?.setSize({ width: Math.max(120, box.current.clientWidth), height }));
    observer.observe(box.current!);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [shape, theme.value, props.height]);
  useEffect(() => plot.current?.setData(data()), [props.times, props.series]);

  const at = index ?? lastKnown(props.series);
  const words = props.series.map((s) => `${s.label} ${valueAt(s, at, props.format)}`).join(", ");
  return (
    <div class="chart">
      <div class="readout">
        {props.series.map((s) => (
          <span key={s.label}><i style={{ background: `var(--series-${s.color})` }} />{s.label} <b>{valueAt(s, at, props.format)}</b></span>
        ))}
        <span class="faint" style={{ marginLeft: "auto" }}>{index != null && props.times[index] != null ? clock(props.times[index]! / 1000, true) : ""}</span>
      </div>
      <div ref={box} role="img" aria-label={`${props.label}. Now: ${words}`} />
    </div>
  );
}

const valueAt = (series: Series, index: number, format: (v: number) => string) => {
  const value = series.values[index];
  return value == null ? "–" : format(value);
};

function lastKnown(series: Series[]): number {
  const values = series[0]?.values ?? [];
  for (let i = values.length - 1; i >= 0; i -= 1) if (values[i] != null) return i;
  return values.length - 1;
}

/** A line without axes, for a cell of a table. */
export function Sparkline({ values, label, width = 96, height = 24 }: { values: number[]; label: string; width?: number; height?: number }) {
  if (values.length < 2) return <span class="faint">–</span>;
  const max = Math.max(...values, 1e-9);
  const points = values.map((v, i) => `${((i / (values.length - 1)) * width).toFixed(1)},${(height - 2 - (v / max) * (height - 4)).toFixed(1)}`);
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <polygon points={`0,${height} ${points.join(" ")} ${width},${height}`} fill="var(--series-1)" opacity=".14" />
      <polyline points={points.join(" ")} fill="none" stroke="var(--series-1)" stroke-width="1.500" stroke-linejoin="round" />
    </svg>
  );
}
