// The AI SDK's end-to-end feature test suite, for the four ways in which it speaks to us.
// Runs under vitest; `tests/suites/ai_sdk.py` puts it beside the suite and starts it.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { APICallError } from 'ai';
import { expect, vi } from 'vitest';
import {
  createFeatureTestSuite,
  createLanguageModelWithCapabilities,
  type TestSuiteOptions,
} from './feature-test-suite';

// The suite is behind its own SDK, which refuses system messages unless they are allowed, and does
// not throw out of `textStream` what went wrong.
vi.mock('ai', async original => {
  const ai = await original<typeof import('ai')>();
  const generateText = (given: Parameters<typeof ai.generateText>[0]) =>
    ai.generateText({ allowSystemInMessages: true, ...given });
  const streamText = (given: Parameters<typeof ai.streamText>[0]) => {
    let failure: unknown;
    const onError = ({ error }: { error: unknown }) => void (failure = error);
    const result = ai.streamText({ allowSystemInMessages: true, onError, ...given });
    const throwing = async function* () {
      yield* result.textStream;
      if (failure) throw failure;
    };
    return new Proxy(result, {
      get: (_, name) => (name === 'textStream' ? throwing() : Reflect.get(result, name, result)),
    });
  };
  return { ...ai, generateText, streamText };
});

const baseURL = process.env.OPENAI_BASE_URL!;
const modelId = process.env.MODEL!;
const openai = createOpenAI({ baseURL, apiKey: 'unused' });
const anthropic = createAnthropic({ baseURL, apiKey: 'unused' });
const compatible = createOpenAICompatible({
  name: 'codexapi',
  baseURL,
  includeUsage: true,
  supportsStructuredOutputs: true,
  supportedUrls: () => ({ 'image/*': [/^https?:/] }), // or the SDK downloads them itself
});

const errorValidator = (error: APICallError) => {
  expect(error.message).toMatch(/no-such-model/);
};

const ways: [string, (id: string) => TestSuiteOptions['models']['invalidModel']][] = [
  ['Chat Completions', id => openai.chat(id)],
  ['Responses', id => openai.responses(id)],
  ['OpenAI compatible', id => compatible.chatModel(id)],
  ['Messages', id => anthropic.messages(id)],
];

for (const [name, model] of ways) {
  createFeatureTestSuite({
    name,
    models: {
      invalidModel: model('no-such-model'),
      languageModels: [createLanguageModelWithCapabilities(model(modelId)!)],
    },
    customAssertions: { skipUsage: false, errorValidator },
  })();
}
