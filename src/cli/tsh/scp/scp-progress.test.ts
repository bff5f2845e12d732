import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { testIo } from '../testing.ts';
import { showProgress } from './scp-progress.ts';

const onTerminal = (isTTY: boolean): ReturnType<typeof testIo> => {
  const io = testIo(tmpdir());
  return { ...io, stdout: Object.assign(Object.create(io.stdout) as typeof io.stdout, { isTTY }) };
};

describe('the progress of a copy', () => {
  it('is a line for each file when it does not go to a terminal, and nothing when it is to be quiet', () => {
    const io = onTerminal(false);
    const show = showProgress('->', false, io);
    for (const done of [0, 50, 100]) show('a\nb', 100, done);
    showProgress('->', true, io)('c', 100, 0);
    expect(io.out()).toMatch(/^-> a\S+b \(100\)\n$/);
  });

  it('grows on a terminal, writing over its own line, once for each percent', () => {
    const io = onTerminal(true);
    const show = showProgress('<-', false, io);
    for (const done of [0, 1, 250, 251, 1000]) show('a', 1000, done);
    show('empty', 0, 0);
    expect(io.out()).toBe('\r<- a (1000) 0%\r<- a (1000) 25%\r<- a (1000)      \n\r<- empty (0)      \n');
  });
});
