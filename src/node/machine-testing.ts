import { PassThrough } from 'node:stream';
import { beforeEach, expect, vi } from 'vitest';
import type { Libc, LibcLoad } from '../machine/libc.ts';
import type { OsUser } from '../machine/passwd.ts';
import type { ProgramStart } from '../machine/user-process.ts';
import type { ExitStatus } from '../ssh/channel-types.ts';

/** A program of a person, which the test ends. */
interface FakeProgram {
  readonly how: ProgramStart;
  readonly end: (exit: ExitStatus) => void;
}
/** Of the machine: the C library, what programs print for labels, and the programs of people. */
interface Machine {
  libc: LibcLoad;
  readonly labels: { values: Record<string, string>; changed: () => void; maxBytes: number | undefined };
  labelsStop: () => void;
  readonly programs: FakeProgram[];
}
const machine = vi.hoisted((): Machine => ({
  libc: { status: 'unavailable', reason: 'no test has begun' },
  labels: { values: {}, changed: () => undefined, maxBytes: undefined },
  labelsStop: () => undefined,
  programs: [],
}));
/** A C library of which a node that starts uses this alone. */
export const libcThat = (keepDescriptorsFromChildren: () => void): LibcLoad => ({
  status: 'loaded',
  libc: { keepDescriptorsFromChildren } as Libc,
});
const account: OsUser = { name: 'root', uid: 1000, gid: 1000, home: '/', shell: '/bin/sh', groups: [] };
vi.mock(import('../machine/libc.ts'), async (original) => ({
  ...(await original()),
  loadLibc: () => Promise.resolve(machine.libc),
}));
vi.mock(import('./command-labels.ts'), async (original) => ({
  ...(await original()),
  openCommandLabels: (_labels, changed, _starter, maxBytes) => {
    Object.assign(machine.labels, { changed, maxBytes });
    return Promise.resolve({
      values: () => machine.labels.values,
      stop: () => {
        machine.labelsStop();
        return Promise.resolve();
      },
    });
  },
}));
vi.mock(import('./login-account.ts'), () => ({ loginAccount: () => Promise.resolve(account) }));
vi.mock(import('../machine/user-process.ts'), async (original) => ({
  ...(await original()),
  startProgram: (how) => {
    const pipes = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    const ended = Promise.withResolvers<ExitStatus>();
    const end = (exit: ExitStatus): void => {
      pipes.stdout.end();
      pipes.stderr.end();
      ended.resolve(exit);
    };
    machine.programs.push({ how, end });
    const hangUp = (): Promise<void> => {
      end({ status: 'signalled', signal: 'HUP', coreDumped: false, message: '' });
      return Promise.resolve();
    };
    const signal = (): Promise<boolean> => Promise.resolve(true);
    return Promise.resolve({ pid: 2, pipes, ended: ended.promise, hangUp, signal });
  },
}));
beforeEach(() => {
  vi.restoreAllMocks();
  machine.libc = libcThat(() => undefined);
  Object.assign(machine.labels, { values: {}, changed: () => undefined, maxBytes: undefined });
  machine.labelsStop = () => undefined;
  machine.programs.length = 0;
});

/** The program that was started last, once there are so many. */
export async function program(count = 1): Promise<FakeProgram> {
  await vi.waitFor(
    () => {
      expect(machine.programs).toHaveLength(count);
    },
    { timeout: 10_000 },
  );
  return machine.programs[count - 1] ?? expect.unreachable();
}

export { machine };
