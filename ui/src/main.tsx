import { render } from "preact";
import "./styles/index.css";
import "./lib/theme.ts";
import { App } from "./app.tsx";
import { connection } from "./lib/live.ts";

connection.connect();
render(<App />, document.getElementById("app")!);
