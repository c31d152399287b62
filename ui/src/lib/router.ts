// Routes live behind the hash, as in Flink's own UI: the paths themselves belong to the REST API.
import { computed, signal } from "@preact/signals";

export interface Route {
  parts: string[];
  query: URLSearchParams;
}

function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { parts, query: new URLSearchParams(query) };
}

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));
export const route = computed(() => parse(hash.value));

/** The link to a page: `href("topics", name)` → `#/topics/…`. */
export function href(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function go(target: string): void {
  location.hash = target;
}

/** Changes parameters of the present page without a new entry in the history. */
export function setQuery(values: Record<string, string | undefined>): void {
  const { parts, query } = route.peek();
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined || value === "") next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString();
  history.replaceState(null, "", `${href(...parts)}${text ? `?${text}` : ""}`);
  hash.value = location.hash;
}
