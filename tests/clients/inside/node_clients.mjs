// The official clients for Node and the AI SDK; the arguments tell which, and the mode.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { Output, generateText, isStepCount, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { z } from 'zod';

const { OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey, MODEL: model } = process.env;
const [client, mode] = process.argv.slice(2);
const TEXT = '[[say Good morning.]]';
const STREAM = '[[say One two three.]]';
const TOOLS = 'What is the weather in Paris and Rome?';
const EXTRACT = 'Extract: Ada is 36 years old';
const Person = z.object({ name: z.string(), age: z.number() });
const Place = z.object({ location: z.string() });
const weather = ({ location }) => `20 degrees in ${location}`;
const all = async pieces => {
  const found = [];
  for await (const piece of pieces) if (piece) found.push(piece);
  return found;
};

function official() {
  const openai = new OpenAI({ maxRetries: 0 });
  const parameters = z.toJSONSchema(Place);
  const about = { name: 'get_weather', description: 'The weather at a place', parameters };
  const user = content => [{ role: 'user', content }];
  const { completions } = openai.chat;
  const chat = {
    text: async () =>
      (await completions.create({ model, messages: user(TEXT) })).choices[0].message.content,
    stream: async () => {
      const stream = completions.stream({ model, messages: user(STREAM) });
      return all((async function* () {
        for await (const chunk of stream) yield chunk.choices[0].delta.content;
      })());
    },
    tools: async () =>
      completions
        .runTools({
          model,
          messages: user(TOOLS),
          tools: [{ type: 'function', function: { ...about, parse: JSON.parse, function: weather } }],
        })
        .finalContent(),
    streamed_tools: async () =>
      completions
        .runTools({
          model,
          stream: true,
          messages: user(TOOLS),
          tools: [{ type: 'function', function: { ...about, parse: JSON.parse, function: weather } }],
        })
        .finalContent(),
    structured: async () =>
      (
        await completions.parse({
          model,
          messages: user(EXTRACT),
          response_format: zodResponseFormat(Person, 'person'),
        })
      ).choices[0].message.parsed,
  };
  const responses = {
    text: async () => (await openai.responses.create({ model, input: TEXT })).output_text,
    stream: async () => {
      const pieces = [];
      const stream = openai.responses.stream({ model, input: STREAM });
      stream.on('response.output_text.delta', ({ delta }) => pieces.push(delta));
      await stream.finalResponse();
      return pieces;
    },
    tools: async () => {
      const tools = [{ type: 'function', strict: false, ...about }];
      const first = await openai.responses.create({ model, input: TOOLS, tools });
      const outputs = first.output
        .filter(({ type }) => type === 'function_call')
        .map(({ call_id, arguments: given }) => {
          return { type: 'function_call_output', call_id, output: weather(JSON.parse(given)) };
        });
      const previous_response_id = first.id;
      const second = { model, tools, previous_response_id, input: outputs };
      return (await openai.responses.create(second)).output_text;
    },
    streamed_tools: async () => {
      const tools = [{ type: 'function', strict: false, ...about }];
      const first = await openai.responses.stream({ model, input: TOOLS, tools }).finalResponse();
      const outputs = first.output
        .filter(({ type }) => type === 'function_call')
        .map(({ call_id, arguments: given }) => {
          return { type: 'function_call_output', call_id, output: weather(JSON.parse(given)) };
        });
      const previous_response_id = first.id;
      const second = { model, tools, previous_response_id, input: outputs };
      return (await openai.responses.stream(second).finalResponse()).output_text;
    },
    structured: async () =>
      (
        await openai.responses.parse({
          model,
          input: EXTRACT,
          text: { format: zodTextFormat(Person, 'person') },
        })
      ).output_parsed,
  };
  return { chat, responses, websocket: websocket(openai, about) }[mode];
}

function websocket(openai, about) {
  const tools = [{ type: 'function', strict: false, ...about }];
  // The deltas and the responses of some turns of one connection; `next` makes them of the last.
  const turns = async (first, next) => {
    const socket = new ResponsesWS(openai);
    const deltas = [];
    const create = more => socket.send({ type: 'response.create', model, store: false, ...more });
    try {
      return await new Promise((resolve, reject) => {
        socket.on('error', reject);
        socket.on('response.output_text.delta', ({ delta }) => deltas.push(delta));
        socket.on('response.completed', ({ response }) => {
          const more = next?.(response);
          if (more) create({ ...more, previous_response_id: response.id });
          else resolve({ deltas, response });
        });
        create(first);
      });
    } finally {
      socket.close();
    }
  };
  const said = ({ output }) =>
    output.flatMap(({ content }) => content ?? []).map(({ text }) => text ?? '').join('');
  const toolTurns = async () => {
    const { response } = await turns({ input: TOOLS, tools }, ({ output }) => {
      const calls = output.filter(({ type }) => type === 'function_call');
      const input = calls.map(({ call_id, arguments: given }) => {
        return { type: 'function_call_output', call_id, output: weather(JSON.parse(given)) };
      });
      return calls.length && { input, tools };
    });
    return said(response);
  };
  const structured = { format: zodTextFormat(Person, 'person') };
  return {
    text: async () => said((await turns({ input: TEXT })).response),
    stream: async () => (await turns({ input: STREAM })).deltas,
    tools: toolTurns,
    streamed_tools: toolTurns,
    structured: async () =>
      JSON.parse(said((await turns({ input: EXTRACT, text: structured })).response)),
  };
}

function anthropic() {
  const { messages, beta } = new Anthropic({ maxRetries: 0 });
  const ask = content => ({ model, max_tokens: 999, messages: [{ role: 'user', content }] });
  const get_weather = betaZodTool({
    name: 'get_weather',
    description: 'The weather at a place',
    inputSchema: Place,
    run: weather,
  });
  const ran = async stream => {
    const runner = beta.messages.toolRunner({ ...ask(TOOLS), tools: [get_weather], stream });
    return (await runner.runUntilDone()).content.map(({ text }) => text ?? '').join('');
  };
  return {
    text: async () => (await messages.create(ask(TEXT))).content[0].text,
    stream: async () => {
      const pieces = [];
      await messages.stream(ask(STREAM)).on('text', piece => pieces.push(piece)).finalMessage();
      return pieces;
    },
    tools: () => ran(false),
    streamed_tools: () => ran(true),
    structured: async () => {
      const output_config = { format: zodOutputFormat(Person) };
      return (await messages.parse({ ...ask(EXTRACT), output_config })).parsed_output;
    },
  };
}

function aiSdk() {
  const openai = createOpenAI({ baseURL, apiKey });
  const compatible = createOpenAICompatible({
    name: 'codexapi',
    baseURL,
    supportsStructuredOutputs: true,
  });
  const { messages } = createAnthropic({ baseURL, apiKey });
  const made = { chat: openai.chat, responses: openai.responses, compatible, messages }[mode](model);
  const get_weather = tool({
    description: 'The weather at a place',
    inputSchema: Place,
    execute: weather,
  });
  const reasoning = async () => {
    const providerOptions = { anthropic: { thinking: { type: 'enabled', budgetTokens: 2048 } } };
    const messages = [{ role: 'user', content: `[[reason]] ${TEXT}` }];
    const first = streamText({ model: made, messages, providerOptions });
    const thought = await first.reasoningText;
    messages.push(...(await first.response).messages, { role: 'user', content: TEXT });
    const second = await generateText({ model: made, messages, providerOptions });
    return { thought, first: await first.text, second: second.text };
  };
  return {
    ...(mode === 'messages' && { reasoning }),
    text: async () => (await generateText({ model: made, prompt: TEXT })).text,
    stream: async () => all(streamText({ model: made, prompt: STREAM }).textStream),
    tools: async () =>
      (
        await generateText({
          model: made,
          prompt: TOOLS,
          tools: { get_weather },
          stopWhen: isStepCount(3),
        })
      ).text,
    streamed_tools: async () =>
      streamText({ model: made, prompt: TOOLS, tools: { get_weather }, stopWhen: isStepCount(3) })
        .text,
    structured: async () =>
      (
        await generateText({
          model: made,
          prompt: EXTRACT,
          output: Output.object({ schema: Person }),
        })
      ).output,
  };
}

const told = {};
for (const [name, ask] of Object.entries({ openai: official, anthropic, 'ai-sdk': aiSdk }[client]())) {
  told[name] = await ask().catch(error => `${error}`);
}
process.stdout.write(JSON.stringify(told));
