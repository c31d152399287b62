// The stream of server-sent events: figures of the whole process once a second, and whether the server is there at all.
import { signal } from "@preact/signals";
import type { Tick } from "./types.ts";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
/** A tick comes every second; silence this long means that the connection is dead although the socket is open. */
const SILENCE_MS = 8000;

const online = signal(true);
const tick = signal<Tick | undefined>(undefined);
const everConnected = signal(false);

let source: EventSource | undefined;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let silence: ReturnType<typeof setTimeout> | undefined;

function listen(): void {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE_MS);
}

function connect(): void {
  clearTimeout(timer);
  timer = undefined;
  source?.close();
  source = new EventSource("/api/v1/events");
  source.onopen = () => {
    failures = 0;
    online.value = true;
    everConnected.value = true;
    listen();
  };
  source.addEventListener("tick", (event) => {
    listen();
    tick.value = JSON.parse((event as MessageEvent<string>).data);
  });
  source.onerror = lost;
}

function lost(): void {
  if (timer) return;
  source?.close();
  clearTimeout(silence);
  online.value = false;
  timer = setTimeout(connect, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
  failures += 1;
}

export const connection = { online, everConnected, tick, connect, lost };

// A hidden page needs no figures, and its timers are throttled: the connection is given back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(silence);
    return;
  }
  if (source?.readyState === EventSource.OPEN) listen();
  else connect();
});
