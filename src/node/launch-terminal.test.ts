import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { OsUser } from '../machine/passwd.ts';
import type { ProgramPipes, ProgramStart } from '../machine/user-process.ts';
import type { PtyOptions } from '../machine/pty.ts';
import { launch, type LaunchOptions } from './launch.ts';
import { readUserEnvironment } from './read-user-environment.ts';
import type { SessionRecording } from './recording/session-recordings.ts';
import { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';
import { planOf } from './session-plan.ts';
import { testAudit, testChannel, testSubject } from './testing.ts';

/** The terminals that were made, the programs that were started, and what the system lacks. */
interface Machine {
  readonly terminals: { readonly options: PtyOptions; readonly stream: PassThrough; closed: number }[];
  readonly started: ProgramStart[];
  readonly hungUp: number[];
  notOwned: string | undefined;
  pipes: ProgramPipes | undefined;
  fault: Error | undefined;
  head: string | undefined;
}
const machine = vi.hoisted((): Machine => ({
  terminals: [],
  started: [],
  hungUp: [],
  notOwned: undefined,
  pipes: undefined,
  fault: undefined,
  head: '/usr/bin/head',
}));
vi.mock(import('../machine/pty.ts'), async (original) => {
  class FakePty {
    readonly path = '/dev/pts/7';
    readonly notOwned = machine.notOwned;
    readonly stream = new PassThrough();
    readonly #made;
    constructor(options: PtyOptions) {
      this.#made = { options, stream: this.stream, closed: 0 };
      machine.terminals.push(this.#made);
    }
    resize(): void {
      // the sizes of a recording are looked at
    }
    close(): void {
      this.#made.closed++;
    }
  }
  return { ...(await original()), Pty: FakePty as never };
});
vi.mock(import('../machine/user-process.ts'), async (original) => ({
  ...(await original()),
  // eslint-disable-next-line @typescript-eslint/require-await -- fails as the true one does: by a rejection
  startProgram: async (start) => {
    if (machine.fault !== undefined) throw machine.fault;
    machine.started.push(start);
    const hangUp = (graceMs: number) => Promise.resolve(void machine.hungUp.push(graceMs));
    return { pid: 2, pipes: machine.pipes, ended: new Promise(() => undefined), hangUp } as never;
  },
}));
vi.mock(import('../machine/passwd.ts'), async (original) => ({
  ...(await original()),
  systemProgram: (name) => (name === 'head' ? machine.head : undefined),
}));
const user: OsUser = { name: 'joe', uid: 1000, gid: 1000, home: '/', shell: '/bin/sh', groups: [] };
vi.mock(import('./login-account.ts'), () => ({ loginAccount: () => Promise.resolve(user) }));
beforeEach(() => {
  for (const list of [machine.terminals, machine.started, machine.hungUp]) list.length = 0;
  Object.assign(machine, { notOwned: undefined, pipes: undefined, fault: undefined, head: '/usr/bin/head' });
});

const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 };
interface Wish {
  readonly context?: Partial<SessionContext>;
  readonly options?: Partial<LaunchOptions>;
}
async function launched({ context: more = {}, options = {} }: Wish = {}) {
  const { audit, world, sink, events } = testAudit();
  const made = testChannel();
  let active = 0;
  const context = {
    nameSession: () => ({ id: world.uuid() }),
    ...{ world, sink, audit, subject: testSubject, libc: { status: 'loaded', libc: 'the library' } },
    loginDefs: { umask: '027', paths: { user: '/bin', superuser: '/sbin' } },
    ...{ hostId: 'h', clusterName: 'c', acceptsVariable: () => true, permitUserEnvironment: false },
    ...{ webProxyAddress: () => 'p:3080', diskTrouble: () => undefined, labels: () => ({}) },
    accounts: { ttyGroup: () => Promise.resolve(5) },
    ...{ connection: {}, left: new AbortController().signal, starter: {} },
    agent: { lend: () => Promise.resolve('/tmp/agent') },
    onActivity: () => (active += 1),
    idleMs: () => 0,
    liveSessions: { begin: () => () => undefined },
    ...more,
  } as unknown as SessionContext;
  const answers = { accept: () => undefined, reject: () => undefined };
  const plan = planOf({ type: 'shell', ...answers }, undefined, { sftp: '', scp: () => '' });
  if (plan === undefined) throw new Error('nothing to run');
  const sessionAudit = new SessionAudit(context);
  const one = await launch(context, {
    ...{ plan, audit: sessionAudit, channel: made.channel, variables: new Map() },
    ...{ terminal: { term: 'xterm', modes: new Map([[1, 2]]) }, size: () => size, lendsAgent: false },
    recording: undefined,
    ...options,
  });
  const [terminal] = machine.terminals;
  const [start] = machine.started;
  return { one, made, terminal, start, sink, events, traffic: sessionAudit.traffic, active: () => active };
}
const environmentOf = (start: ProgramStart | undefined) => Object.fromEntries(start?.environment ?? []);

describe('a program with a terminal', () => {
  it('has one of its login and of the group of terminals, as its client wants it', async () => {
    const { terminal, start } = await launched();
    expect(terminal?.options).toEqual({
      ...{ libc: 'the library', owner: { uid: 1000, gid: 5 }, size, modes: new Map([[1, 2]]) },
    });
    expect(start).toMatchObject({ pty: { path: '/dev/pts/7' }, umask: '027', user });
    expect(environmentOf(start)).toMatchObject({ TERM: 'xterm', SSH_TTY: '/dev/pts/7' });
  });

  it('has the group of its login where the system has none for terminals', async () => {
    const accounts = { ttyGroup: () => Promise.resolve(undefined) } as never;
    expect((await launched({ context: { accounts } })).terminal?.options.owner.gid).toBe(1000);
  });

  it('is joined to its channel, and all that goes by is counted', async () => {
    const { terminal, made, traffic, active } = await launched();
    const typed: string[] = [];
    terminal?.stream.on('data', (chunk: Buffer) => typed.push(chunk.toString()));
    made.channel.push('typed');
    await turn();
    await turn();
    // What this terminal is given it prints.
    expect([typed, made.seen.stdout]).toEqual([['typed'], 'typed']);
    expect([traffic, active()]).toEqual([{ received: 5, sent: 5 }, 2]);
  });

  it('waits, as under sshd, when nobody reads its output any more, and is done with it', async () => {
    const { one, terminal, made } = await launched();
    one.stopOutput();
    terminal?.stream.write('more');
    await turn();
    expect([made.seen.stdout, terminal?.stream.isPaused()]).toEqual(['', true]);
    await one.outputDone();
    expect(terminal?.closed).toBe(0);
    one.close();
    expect(terminal?.closed).toBe(1);
  });

  it('is told on it what the disk does not take, and that it is not its own', async () => {
    machine.notOwned = 'EROFS';
    const { made } = await launched({ context: { diskTrouble: () => 'the disk is full' } });
    expect(made.seen.stderr).toBe('the disk is full\r\nthis terminal does not belong to you: EROFS\r\n');
  });

  it('shows what its recording lets through, and is cut when it cannot be recorded any more', async () => {
    const failed = Promise.withResolvers<string>();
    const sizes: object[] = [];
    const tapped: string[] = [];
    const recording = {
      failed: failed.promise,
      tap: () => new PassThrough().on('data', (chunk: Buffer) => tapped.push(chunk.toString())),
      resized: (to: object) => sizes.push(to),
    } as unknown as SessionRecording;
    const { one, terminal, made, events } = await launched({ options: { recording } });
    terminal?.stream.write('shown');
    await turn();
    await turn();
    one.resize({ ...size, columns: 132 });
    expect([tapped, made.seen.stdout, sizes]).toEqual([['shown'], 'shown', [{ ...size, columns: 132 }]]);
    failed.resolve('the disk is full');
    expect(await one.cut).toBe('this session cannot be recorded any more: the disk is full');
    expect(events).toMatchObject([{ event: 'session.recording.failed', reason: 'the disk is full' }]);
  });

  it('is a program without one where the machine can make none', async () => {
    machine.pipes = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    const libc = { status: 'unavailable', reason: 'musl' } as const;
    const { start } = await launched({ context: { libc } });
    expect(machine.terminals.length).toBe(0);
    expect(start).not.toHaveProperty('pty');
    expect(environmentOf(start)).not.toHaveProperty('SSH_TTY');
  });
});

describe('a program that cannot be started', () => {
  it('leaves no terminal open, and its person is told why', async () => {
    machine.fault = new CodedError('unavailable', 'no such shell');
    await expect(launched()).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'Failed to launch: no such shell.' },
    });
    expect(machine.terminals).toMatchObject([{ closed: 1 }]);
  });

  it('is told nothing twice', async () => {
    machine.fault = new CodedError('unavailable', 'Failed to launch: no such shell.');
    await expect(launched()).rejects.toMatchObject({ message: 'Failed to launch: no such shell.' });
  });

  it('is ended when it cannot be joined to its channel: nobody else would', async () => {
    // It has neither a terminal nor pipes.
    await expect(launched({ options: { terminal: undefined } })).rejects.toThrow(
      'a program without a terminal has pipes',
    );
    expect(machine.hungUp).toEqual([0]);
  });
});

it('the variables of a home are none where the program that reads them is not installed, and the log says so', async () => {
  machine.head = undefined;
  const { sink } = testAudit();
  const starter = {} as never;
  expect(await readUserEnvironment(user, { starter, of: {}, accepts: () => true, sink })).toEqual([]);
  expect(machine.started).toEqual([]);
  expect(sink.lines).toEqual(['warn ~/.tsh/environment is not read: the program head is not installed {}']);
});
