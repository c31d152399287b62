export { mock } from "./server.ts";
