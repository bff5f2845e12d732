import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mayReport } from '../domain/reported-kinds.ts';

const sources = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'));
const kind = /(?:event: |#tell\(|#happening\()'([a-z0-9_.-]+)',\s+(?:code: )?['`](T[A-Z0-9]+)/g;

describe('what a node tells', () => {
  it('is what auth takes from a node', () => {
    const kinds = sources.flatMap((text) =>
      Array.from(text.matchAll(kind), ([, event = '', code = '']) => ({ event, code })),
    );
    expect(kinds.length).toBeGreaterThan(10);
    for (const { event, code } of kinds)
      // A code that depends on the outcome ends in `I` or `E`.
      for (const whole of /[A-Z]$/.test(code) ? [code] : [`${code}I`, `${code}E`])
        expect({ event, whole, may: mayReport('Node', event, whole) }).toMatchObject({ may: true });
  });
});
