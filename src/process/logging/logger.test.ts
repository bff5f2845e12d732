import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openLogger } from './logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'logger-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('a line of the log', () => {
  const hostile = 'x\u009b2J\u202e\u200b\u001b]0;y\u0007\nERROR [AUTH] forged';

  it.each(['text', 'json'] as const)('is one line that steers no terminal, in %s', async (format) => {
    const output = join(folder, format);
    const { logger, close } = openLogger({ output, severity: 'info', format });
    logger('auth').warn(`refused ${hostile}`, { nodename: hostile, deep: { name: hostile }, many: 12n });
    await close();
    const text = readFileSync(output, 'utf8');
    expect(text.split('\n')).toEqual([text.trimEnd(), '']);
    expect(text.trimEnd()).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    if (format === 'json')
      expect(JSON.parse(text)).toMatchObject({ message: `refused ${hostile}`, deep: { name: hostile } });
    else
      expect(text).toContain(
        '[AUTH] refused x\\u009b2J\\u202e\\u200b\\u001b]0;y\\u0007\\u000aERROR [AUTH] forged',
      );
  });
});
