// Runs modules one after another, in one process: each line of stdin is the path of one, as a JSON
// string, each line of stdout a pair of what it printed and how it failed, or null.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

let printed = '';
process.stdout.write = (text) => { printed += text; return true; };
for await (const line of createInterface({ input: process.stdin })) {
  printed = '';
  let failure = null;
  try {
    await import(pathToFileURL(JSON.parse(line)));
  } catch (error) {
    failure = error?.stack ?? String(error);
  }
  writeSync(1, `${JSON.stringify([printed, failure])}\n`);
}
