// The one way to the server: JSON in, JSON out, errors as text that can be shown.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { connection } from "./live.ts";

/** A part of a statement: lines and columns count from 1, columns in characters, the end is exclusive. */
export interface ErrorSpan { primary: boolean; line: number; column: number; end_line: number; end_column: number; label?: string }

/** An error of a statement, as the server's `diagnostics` describe it. */
export interface Diagnostic { code: string; kind: string; message: string; hint?: string; spans?: ErrorSpan[] }

export class ApiError extends Error {
  constructor(readonly status: number, message: string, readonly diagnostics: Diagnostic[] = []) {
    super(message);
  }
}

/** What a body says went wrong: Flink's `{"errors": […]}`, ours `{"error": "…"}`. */
function message(status: number, body: unknown): string {
  if (typeof body === "object" && body !== null) {
    const { errors, error } = body as { errors?: unknown[]; error?: unknown };
    if (typeof error === "string") return error;
    if (Array.isArray(errors) && errors.length) return errors.map(String).join("\n");
  }
  return status === 404 ? "not found" : `the server answered with status ${status}`;
}

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      signal,
      headers: body === undefined ? { accept: "application/json" } : { accept: "application/json", "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    connection.lost();
    throw new ApiError(0, "the server cannot be reached");
  }
  const text = await response.text();
  let parsed: unknown;
  try {
    parsed = text ? JSON.parse(text) : undefined;
  } catch {
    parsed = undefined;
  }
  if (!response.ok) throw new ApiError(response.status, message(response.status, parsed), (parsed as { diagnostics?: Diagnostic[] } | undefined)?.diagnostics);
  return parsed as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, undefined, signal);
export const post = <T>(path: string, body: unknown = {}) => call<T>("POST", path, body);
export const patch = <T>(path: string, body: unknown = {}) => call<T>("PATCH", path, body);
export const put = <T>(path: string, body: unknown = {}) => call<T>("PUT", path, body);
export const remove = <T>(path: string, body?: unknown) => call<T>("DELETE", path, body);

/** A path with its parts escaped: `` url`/api/v1/topics/${name}` ``. */
export function url(texts: TemplateStringsArray, ...values: (string | number)[]): string {
  return texts.reduce((path, text, i) => path + encodeURIComponent(String(values[i - 1])) + text);
}

export interface Resource<T> {
  data?: T;
  error?: ApiError;
  loading: boolean;
  reload: () => Promise<void>;
}

/**
 * What a path gives, read again every `everyMs` while the page is visible and connected. The last good answer stays when
 * a later one fails.
 */
export function useResource<T>(path: string | undefined, everyMs?: number): Resource<T> {
  const [state, setState] = useState<{ path?: string; data?: T; error?: ApiError }>({});
  const current = useRef(path);
  current.current = path;
  const reload = useCallback(async () => {
    const asked = current.current;
    if (!asked) return;
    try {
      const data = await get<T>(asked);
      if (current.current === asked) setState({ path: asked, data });
    } catch (error) {
      if (current.current !== asked || !(error instanceof ApiError)) return;
      setState((old) => ({ path: asked, data: old.path === asked ? old.data : undefined, error }));
    }
  }, []);
  const online = connection.online.value;
  useEffect(() => {
    if (!path) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    const turn = async () => {
      if (!document.hidden) await reload();
      if (!ended && everyMs) timer = setTimeout(turn, everyMs);
    };
    void turn();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [path, everyMs, online, reload]);
  const fresh = state.path === path;
  return { data: fresh ? state.data : undefined, error: fresh ? state.error : undefined, loading: !fresh, reload };
}
