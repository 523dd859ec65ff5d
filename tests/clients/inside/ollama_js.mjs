// The official client of Ollama for JavaScript: all that it can do, as one line of JSON.

import { Ollama } from 'ollama';

const model = process.env.MODEL;
const client = new Ollama({ host: process.env.OPENAI_BASE_URL.replace(/\/v1$/, '') });
const asked = (content) => [{ role: 'user', content }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather at a place',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
];
const schema = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
};

async function withTools(stream) {
  const messages = asked(
    '[[tool get_weather {"city":"Paris"}]] [[tool get_weather {"city":"Rome"}]]',
  );
  const parts = [];
  if (stream) {
    for await (const part of await client.chat({ model, messages, tools, stream: true })) {
      parts.push(part.message);
    }
  } else {
    parts.push((await client.chat({ model, messages, tools })).message);
  }
  const tool_calls = parts.flatMap((part) => part.tool_calls ?? []);
  messages.push({ role: 'assistant', content: '', tool_calls });
  const results = tool_calls.map((call) => `20 degrees in ${call.function.arguments.city}`);
  for (const content of results) messages.push({ role: 'tool', content });
  messages.push(...asked(`[[say ${results.join(', ')}]]`));
  return (await client.chat({ model, messages, tools })).message.content;
}

const features = {
  text: async () =>
    (await client.chat({ model, messages: asked('[[say Good morning.]]') })).message.content,
  stream: async () => {
    const parts = [];
    const messages = asked('[[say One two three.]]');
    for await (const part of await client.chat({ model, messages, stream: true })) {
      if (part.message.content) parts.push(part.message.content);
    }
    return parts;
  },
  tools: () => withTools(false),
  streamed_tools: () => withTools(true),
  structured: async () => {
    const messages = asked('[[say {"name":"Ada","age":36}]]');
    return JSON.parse((await client.chat({ model, messages, format: schema })).message.content);
  },
};

const told = {};
for (const [name, feature] of Object.entries(features)) {
  told[name] = await feature().catch((error) => String(error));
}
console.log(JSON.stringify(told));
