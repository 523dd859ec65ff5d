// The OpenAI Agents SDK for Node; the argument tells the mode.

import {
  Agent,
  Runner,
  setDefaultOpenAIKey,
  setOpenAIAPI,
  setTracingDisabled,
  tool,
} from '@openai/agents';
import { withResponsesWebSocketSession } from '@openai/agents-openai';
import { z } from 'zod';

const { MODEL: model, OPENAI_API_KEY } = process.env;
const [mode] = process.argv.slice(2);
const TEXT = '[[say Good morning.]]';
const STREAM = '[[say One two three.]]';
const TOOLS = 'What is the weather in Paris and Rome?';
const EXTRACT = 'Extract: Ada is 36 years old';
const Person = z.object({ name: z.string(), age: z.number() });

setTracingDisabled(true);
setDefaultOpenAIKey(OPENAI_API_KEY);
if (mode === 'chat') setOpenAIAPI('chat_completions');

const get_weather = tool({
  name: 'get_weather',
  description: 'The weather at a place',
  parameters: z.object({ location: z.string() }),
  execute: ({ location }) => `20 degrees in ${location}`,
});
const agent = more => new Agent({ name: 'tester', model, ...more });

async function pieces(runner) {
  const result = await runner.run(agent(), STREAM, { stream: true });
  const found = [];
  for await (const piece of result.toTextStream()) found.push(piece);
  return found;
}

async function streamedTools(runner) {
  const result = await runner.run(agent({ tools: [get_weather] }), TOOLS, { stream: true });
  await result.completed;
  return result.finalOutput;
}

const output = async result => (await result).finalOutput;
const features = {
  text: runner => output(runner.run(agent(), TEXT)),
  stream: pieces,
  tools: runner => output(runner.run(agent({ tools: [get_weather] }), TOOLS)),
  streamed_tools: streamedTools,
  structured: runner => output(runner.run(agent({ outputType: Person }), EXTRACT)),
};

async function all(runner) {
  const answers = {};
  for (const [name, ask] of Object.entries(features)) {
    answers[name] = await ask(runner).catch(error => `${error}`);
  }
  return answers;
}

const answers = await (mode === 'websocket'
  ? withResponsesWebSocketSession(({ runner }) => all(runner))
  : all(new Runner()));
process.stdout.write(JSON.stringify(answers));
