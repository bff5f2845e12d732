import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProgramEnd } from '../machine/exit-status.ts';
import type { ProgramOrder } from '../machine/program-starter.ts';
import { runOwn } from './run-own.ts';

/** A program that is not run: what it was started with, what it says, how it ends. */
const program = vi.hoisted(() => ({
  order: undefined as ProgramOrder | undefined,
  start: undefined as unknown as (order: ProgramOrder) => Promise<unknown>,
}));
vi.mock('./own-starter.ts', () => ({
  ownStarter: () =>
    Promise.resolve({
      start: (order: ProgramOrder) => {
        program.order = order;
        return program.start(order);
      },
    }),
}));

let input: Promise<string>;
function ends(end: ProgramEnd | 'never', { stdout = '', stderr = '' } = {}): void {
  program.start = ({ streams }) => {
    const ours = streams.map((stream) => (stream === 'none' ? undefined : new PassThrough()));
    if (ours[0]) input = text(ours[0]);
    ours[1]?.end(stdout);
    ours[2]?.end(stderr);
    const ended = end === 'never' ? new Promise(() => undefined) : Promise.resolve(end);
    return Promise.resolve({ pid: 2 ** 30, streams: ours, ended });
  };
}
beforeEach(() => {
  program.order = undefined;
});
const run = (limitMs = 5_000, given?: string) =>
  runOwn(['logger', '-t', 'x'], {
    env: { PATH: '/bin', EMPTY: '', UNSET: undefined },
    limitMs,
    ...(given !== undefined && { input: given }),
  });

describe('a small program of the system', () => {
  it('is run with the variables that are set, and no others', async () => {
    ends({ status: 'exited', code: 0 });
    expect(await run()).toEqual({ failure: undefined, complaint: '' });
    expect(program.order?.argv).toEqual(['logger', '-t', 'x']);
    expect([...(program.order?.environment ?? [])]).toEqual([
      ['PATH', '/bin'],
      ['EMPTY', ''],
    ]);
  });

  it('reads what it is given', async () => {
    ends({ status: 'exited', code: 0 });
    await run(5_000, 'a line\n');
    expect(await input).toBe('a line\n');
  });

  it('that complains is heard, whether it failed or not', async () => {
    ends({ status: 'exited', code: 0 }, { stderr: ' careful \n' });
    expect(await run()).toEqual({ failure: undefined, complaint: 'careful' });
    ends({ status: 'exited', code: 3 }, { stderr: 'no\n' });
    expect(await run()).toEqual({ failure: 'logger failed with status 3', complaint: 'no' });
  });

  it.each<[ProgramEnd, string]>([
    [{ status: 'killed', signal: 9, coreDumped: false }, 'logger was killed by signal 9'],
    [{ status: 'lost' } as unknown as ProgramEnd, 'logger is lost'],
  ])('that ended otherwise has failed: %j', async (end, failure) => {
    ends(end);
    expect(await run()).toEqual({ failure, complaint: '' });
  });

  it('that takes too long, or prints too much, is ended', async () => {
    ends('never');
    expect(await run(1)).toEqual({ failure: 'logger took too long and was ended', complaint: '' });
    ends('never', { stderr: 'x'.repeat(64 * 1024 + 1) });
    expect(await run()).toEqual({ failure: 'logger printed too much and was ended', complaint: '' });
    ends({ status: 'exited', code: 0 }, { stderr: 'x'.repeat(64 * 1024) });
    expect(await run()).toEqual({ failure: undefined, complaint: 'x'.repeat(64 * 1024) });
  });

  it('that cannot be started is a failure, not an error', async () => {
    program.start = () => Promise.reject(new Error('logger: ENOENT: no such file or directory'));
    expect(await run()).toEqual({ failure: 'logger: ENOENT: no such file or directory', complaint: '' });
  });
});
