import { readFileSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import preact from "@preact/preset-vite";
import { defineConfig, type Plugin } from "vite";
import { mock } from "./mock/plugin.ts";

// The server that `npm run dev` forwards to: `millstream serve` on its default port unless MILLSTREAM_UI names another.
const backend = process.env.MILLSTREAM_UI ?? "http://127.0.0.1:8081";
const proxied = ["/api", "/jobs", "/overview", "/config", "/taskmanagers", "/jobmanager"];

/** Collects the licences of everything in the bundle: MIT and OFL both want their notice to travel along. */
function licences(): Plugin {
  return {
    name: "licences",
    generateBundle(_options, bundle) {
      const packages = new Map<string, string>();
      const add = (id: string) => {
        const match = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(id.replace(/^\0/, ""));
        if (!match || packages.has(match[2]!)) return;
        const manifest = JSON.parse(readFileSync(join(match[1]!, "package.json"), "utf8"));
        const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license"].map((f) => join(match[1]!, f)).find(existsSync);
        const text = file ? readFileSync(file, "utf8").trim() : `Licence: ${manifest.license}`;
        packages.set(match[2]!, `${match[2]} ${manifest.version} (${manifest.license})\n\n${text}\n`);
      };
      for (const chunk of Object.values(bundle)) {
        if (chunk.type === "chunk") Object.keys(chunk.modules).forEach(add);
      }
      for (const font of ["inter", "jetbrains-mono"]) {
        add(join(dirname(import.meta.filename), `node_modules/@fontsource-variable/${font}/index.css`));
      }
      const source = [...packages.keys()].sort().map((name) => packages.get(name)).join(`\n${"-".repeat(80)}\n\n`);
      this.emitFile({ type: "asset", fileName: "licences.txt", source });
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [preact({ prefreshEnabled: false, devToolsEnabled: false }), licences(), ...(process.env.MOCK ? [mock()] : [])],
  build: {
    outDir: "../crates/server/src/ui/dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 900,
    rollupOptions: {
      // Names without hashes: the server sends an ETag, and the list of embedded files stays the same.
      output: {
        entryFileNames: "assets/app.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  server: {
    host: "127.0.0.1",
    proxy: process.env.MOCK ? undefined : Object.fromEntries(proxied.map((path) => [path, backend])),
  },
});
