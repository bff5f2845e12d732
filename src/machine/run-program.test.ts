import { PassThrough } from 'node:stream';
import { afterEach, expect, it, vi } from 'vitest';
import type { ProgramEnd } from './exit-status.ts';
import type { ProgramStarter } from './program-starter.ts';
import { runProgram } from './run-program.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it.each<[string, Promise<ProgramEnd>, number[]]>([
  // Of its children one may hold the output, and its own number be somebody else's.
  ['has ended while its output is held', Promise.resolve({ status: 'exited', code: 0 }), [-4711]],
  ['runs, and leads no group yet', new Promise(() => undefined), [-4711, 4711]],
])(
  'a program that takes too long and %s: only what is surely its own is killed',
  async (_, ended, signalled) => {
    const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
      throw Object.assign(new Error('no such process'), { code: 'ESRCH' });
    });
    const streams = [undefined, new PassThrough(), new PassThrough()];
    const starter = { start: () => Promise.resolve({ pid: 4711, streams, ended }) };
    const ran = await runProgram(starter as unknown as ProgramStarter, ['x'], {
      ...{ environment: [], limitMs: 20, maxBytes: 1, of: starter },
    });
    expect(ran).toEqual({ status: 'too long' });
    expect(kill.mock.calls.map(([pid]) => pid)).toEqual(signalled);
  },
);
