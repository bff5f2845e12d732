import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { auditCodes } from '../domain/audit-codes.ts';
import { mayReport } from '../domain/reported-kinds.ts';

const kind = /event: '([a-z0-9_.-]+)',\s+code: auditCodes\.(\w+)/g;

describe('what a proxy tells', () => {
  it('is what auth takes from a proxy', () => {
    const kinds = readdirSync(import.meta.dirname)
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
      .flatMap((text) => Array.from(text.matchAll(kind), ([, event = '', code = '']) => ({ event, code })));
    expect(kinds.length).toBeGreaterThan(3);
    for (const { event, code } of kinds) {
      const whole = auditCodes[code as keyof typeof auditCodes];
      expect({ event, code, may: mayReport('Proxy', event, whole) }).toMatchObject({ may: true });
    }
  });
});
