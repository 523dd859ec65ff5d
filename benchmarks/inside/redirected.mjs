// Runs a peer for Node that has no setting for its backend, with another address in its place.
// `node redirected.mjs URL PROGRAM ARGUMENT…`. Changes nothing else.

import { pathToFileURL } from "node:url";

const [url, program] = process.argv.splice(2, 2);
const there = "https://chatgpt.com/backend-api/codex";
const { fetch } = globalThis;

globalThis.fetch = (target, options) => fetch(String(target).replace(there, url), options);
process.argv[1] = program;
await import(pathToFileURL(program));
