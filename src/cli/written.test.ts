import { tmpdir } from 'node:os';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { cliIo } from './cli-io.ts';
import { testIo } from './tsh/testing.ts';
import { written } from './written.ts';

describe('printing to whoever reads slowly', () => {
  it('waits until what was printed before has been read', async () => {
    const stdout = new PassThrough({ highWaterMark: 4 });
    const { stdin, env, world } = testIo(tmpdir());
    const io = cliIo({ stdout, stderr: new PassThrough() }, { stdin, env, world });
    let printed = false;
    const printing = written(io.stdout, 'a long line\n').then(() => (printed = true));
    await turn();
    expect(printed).toBe(false);
    expect(String(stdout.read())).toBe('a long line\n');
    await printing;
    await written(io.stdout, 'x');
  });
});
