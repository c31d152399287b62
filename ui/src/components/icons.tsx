// Line icons on a 16-unit grid, drawn for this page.
import type { SVGAttributes } from "preact";

const PATHS = {
  overview: "M2.50 9.500h4v4h-4zM9.50 2.500h4v4h-4zM2.50 2.500h4v4h-4zM9.50 9.500h4v4h-4z",
  sql: "M2 3.500h12v9H2zM4.70 6.2 6.8 8l-2.1 1.800M8.30 10h3",
  jobs: "M2 4.500h3.500v3H2zM10.50 2h3.500v3h-3.500zM10.50 9.500H14v3h-3.500zM5.50 6h2.300c1 0 .8-2.5 2.7-2.500M7.80 6c1 0 .8 5 2.7 5",
  topics: "M2 4c4-3 8 3 12 0M2 8c4-3 8 3 12 0M2 12c4-3 8 3 12 0",
  groups: "M6 7.500a2.30 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.600zM1.80 13.200c.2-2.5 1.9-3.9 4.2-3.900s4 1.4 4.2 3.900M10.50 3.100a2.20 2.2 0 0 1 0 4.200M12 9.600c1.30.5 2.1 1.7 2.2 3.6",
  access: "M8 1.8 13 3.500v4c0 3.3-2 5.6-5 6.7-3-1.1-5-3.4-5-6.700v-4zM6 7.800l1.50 1.500L10.20 6.5",
  search: "M7 11.500a4.50 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.30 10.3 14 14",
  sun: "M8 10.800a2.80 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.600zM8 1.500v1.300M8 13.200v1.300M1.50 8h1.300M13.20 8h1.300M3.40 3.400l.9.900M11.70 11.700l.9.900M12.60 3.400l-.9.900M4.30 11.700l-.9.9",
  moon: "M13.50 9.700A5.80 5.8 0 0 1 6.3 2.500a5.80 5.8 0 1 0 7.2 7.200z",
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  play: "M4.50 2.800v10.400L13 8z",
  pause: "M5 3v10M11 3v10",
  stop: "M3.80 3.800h8.400v8.400H3.800z",
  refresh: "M13.50 8a5.50 5.5 0 1 1-1.7-4M13.50 1.800V4.500h-2.7",
  trash: "M2.80 4.300h10.400M6 4V2.500h4V4M4.20 4.500l.6 9h6.400l.6-9M6.70 7v4M9.30 7v4",
  copy: "M5.50 5.500h8v8h-8zM10.50 5.500v-3h-8v8h3",
  check: "M3 8.5 6.5 12 13 4.5",
  warn: "M8 2 14.5 13.500h-13zM8 6.500v3.300M8 11.700v.1",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.300v3.700M8 5v.1",
  chevron: "M6 3.5 10.5 8 6 12.5",
  table: "M2 3h12v10H2zM2 6.300h12M6.30 6.300V13",
  column: "M5 3h6v10H5z",
  view: "M1.50 8S4 3.7 8 3.7 14.5 8 14.5 8 12 12.3 8 12.3 1.5 8 1.5 8zM8 9.800a1.80 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.600z",
  database: "M8 6.200c3 0 5-.8 5-2s-2-2-5-2-5 .8-5 2 2 2 5 2zM3 4.200v7.600c0 1.2 2 2 5 2s5-.8 5-2V4.200M3 8c0 1.2 2 2 5 2s5-.8 5-2",
  download: "M8 2.500v7.500M4.80 7 8 10.2 11.2 7M2.50 13.500h11",
  send: "M2.50 8 13.5 2.8 10.3 13.3 8 9z",
  save: "M3 2.500h8l2.50 2.500v8.500H3zM5.50 2.500v3.300h4.500V2.500M5.50 13.500V9.300h5.500v4.20",
  rewind: "M3 8a5.30 5.3 0 1 0 1.7-3.900M3 2v3h3M8 5v3.300l2.20 1.4",
  plan: "M6 2h4v3H6zM1.50 11h4v3h-4zM10.50 11h4v3h-4zM8 5v3M3.50 11V8h9v3",
  history: "M2.50 8a5.50 5.5 0 1 0 1.6-3.900L2.50 5.700M2.50 2.500v3.200h3.200M8 5v3.200l2.20 1.3",
  fit: "M2.50 6V2.500H6M10 2.500h3.500V6M13.50 10v3.500H10M6 13.500H2.500V10",
  minus: "M3 8h10",
  edit: "M3 13l.6-2.8 7.2-7.2 2.2 2.2-7.2 7.200zM9.60 4.200l2.20 2.2",
  key: "M5.50 12.500a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM7.70 7.3 13.5 2.500M11 4.500l2 2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, ...rest }: { name: IconName } & SVGAttributes<SVGSVGElement>) {
  return (
    <svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.35" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" {...rest}>
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#0d3b3f" />
      <g fill="none" stroke="#46d3c2" stroke-width="2.6" stroke-linecap="round">
        <path d="M5 11c3.70-3.2 7.3-3.2 11 0s7.30 3.2 11 0" />
        <path d="M5 17c3.70-3.2 7.3-3.2 11 0s7.30 3.2 11 0" opacity=".75" />
        <path d="M5 23c3.70-3.2 7.3-3.2 11 0s7.30 3.2 11 0" opacity=".45" />
      </g>
    </svg>
  );
}
