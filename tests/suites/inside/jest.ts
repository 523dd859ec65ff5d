// What jest has as a global, for tests that run under vitest.

import { vi } from 'vitest';

Object.assign(globalThis, { jest: vi });
