// Runs tests that were written for jest.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { globals: true, setupFiles: ['./jest.ts'], include: ['tests/**/*.test.ts'] },
});
