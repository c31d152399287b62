// Dark or light: as the system says until a person chooses.
import { signal } from "@preact/signals";

const KEY = "millstream.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

type Theme = "dark" | "light";
const chosen = () => localStorage.getItem(KEY) as Theme | null;
const present = (): Theme => chosen() ?? (dark.matches ? "dark" : "light");

export const theme = signal<Theme>(present());

function apply(): void {
  const next = present();
  document.documentElement.dataset.theme = next;
  theme.value = next;
}

export function toggleTheme(): void {
  localStorage.setItem(KEY, theme.value === "dark" ? "light" : "dark");
  apply();
}

apply();
dark.addEventListener("change", apply);
