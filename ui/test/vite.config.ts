// Bundles the unit tests for Node, which does not read TypeScript by itself in the versions that we support.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

const unit = join(import.meta.dirname, "unit");

export default defineConfig({
  build: {
    ssr: true,
    outDir: join(import.meta.dirname, "../node_modules/.cache/unit"),
    emptyOutDir: true,
    target: "node20",
    rollupOptions: { input: readdirSync(unit).map((name) => join(unit, name)) },
  },
});
