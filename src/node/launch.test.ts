import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { ProgramEnd } from '../machine/exit-status.ts';
import type { OsUser } from '../machine/passwd.ts';
import type { ProgramOrder, StartedProgram } from '../machine/program-starter.ts';
import { launch, type LaunchOptions } from './launch.ts';
import { readUserEnvironment } from './read-user-environment.ts';
import { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';
import { planOf } from './session-plan.ts';
import { testAudit, testChannel, testSubject } from './testing.ts';

const uid = process.getuid?.() ?? 0;
const user: OsUser = { name: 'joe', uid, gid: uid, home: '/', shell: '/bin/sh', groups: [] };
const exited: ProgramEnd = { status: 'exited', code: 0 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Starts nothing: what was ordered, and the ends of the pipes that a program would hold. */
function fakeStarter(end: () => Promise<ProgramEnd> = () => new Promise(() => undefined)) {
  const orders: ProgramOrder[] = [];
  const programs: { stdin: PassThrough; stdout: PassThrough; stderr: PassThrough }[] = [];
  const start = (order: ProgramOrder): Promise<StartedProgram> => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    orders.push(order);
    programs.push({ stdin, stdout, stderr });
    return Promise.resolve({ pid: 999_999_999, streams: [stdin, stdout, stderr], ended: end() });
  };
  return { starter: { start } as unknown as SessionContext['starter'], orders, programs };
}

interface Wish {
  readonly command?: string;
  readonly subsystem?: string;
  readonly context?: Partial<SessionContext>;
  readonly options?: Partial<LaunchOptions>;
}
async function launched({ command = 'true', subsystem, context: more = {}, options = {} }: Wish = {}) {
  const { audit, events, world, sink } = testAudit();
  const { starter, orders, programs } = fakeStarter();
  const made = testChannel();
  let active = 0;
  const context = {
    nameSession: () => ({ id: world.uuid() }),
    ...{ world, sink, audit, starter, subject: testSubject, libc: { status: 'unavailable', reason: 'none' } },
    loginDefs: { umask: '027', paths: { user: '/bin', superuser: '/sbin' } },
    ...{ hostId: 'h', clusterName: 'c', acceptsVariable: () => true, permitUserEnvironment: false },
    ...{ webProxyAddress: () => 'p:3080', diskTrouble: () => undefined, labels: () => ({}) },
    accounts: {
      user: () => Promise.resolve(user),
      passwordLine: () => Promise.resolve(undefined),
      ttyGroup: () => Promise.resolve(5),
    },
    ...{
      connection: { permits: { pty: true } },
      left: new AbortController().signal,
      admitsLockedAccounts: true,
    },
    agent: { lend: () => Promise.resolve('/tmp/agent') },
    onActivity: () => (active += 1),
    idleMs: () => 0,
    liveSessions: { begin: () => () => undefined },
    ...more,
  } as unknown as SessionContext;
  const answers = { accept: () => undefined, reject: () => undefined };
  const programsOfFiles = { sftp: '/bin/true', scp: () => '/bin/true' };
  const plan = planOf(
    subsystem === undefined
      ? { type: 'exec', command, ...answers }
      : { type: 'subsystem', name: subsystem, ...answers },
    undefined,
    programsOfFiles,
  );
  if (plan === undefined) throw new Error('nothing to run');
  const sessionAudit = new SessionAudit(context);
  const one = await launch(context, {
    ...{ plan, audit: sessionAudit, channel: made.channel, variables: new Map([['LANG', 'C']]) },
    ...{ terminal: undefined, size: () => ({ columns: 1, rows: 1, widthPixels: 0, heightPixels: 0 }) },
    lendsAgent: false,
    recording: undefined,
    shared: undefined,
    ...options,
  });
  const [program] = programs;
  if (program === undefined) throw new Error('nothing was started');
  return { one, program, made, orders, sink, events, traffic: sessionAudit.traffic, active: () => active };
}
const environmentOf = (order: ProgramOrder | undefined) => Object.fromEntries(order?.environment ?? []);

describe('a program without a terminal', () => {
  it('is joined to its channel, three ways, and all that goes by is counted', async () => {
    const { program, made, traffic, active } = await launched();
    made.channel.push('to it');
    program.stdout.write('from it');
    program.stderr.write('trouble');
    await turn();
    expect(String(program.stdin.read())).toBe('to it');
    expect(made.seen).toMatchObject({ stdout: 'from it', stderr: 'trouble' });
    expect(traffic).toEqual({ received: 5, sent: 14 });
    expect(active()).toBe(3);
  });

  it('has the environment of its session, and the umask of the machine', async () => {
    const { orders } = await launched({ options: { lendsAgent: true } });
    expect(environmentOf(orders[0])).toMatchObject({
      ...{ LANG: 'C', USER: 'joe', HOME: '/', SHELL: '/bin/sh', SSH_AUTH_SOCK: '/tmp/agent' },
      ...{ SSH_TELEPORT_USER: 'ann', SSH_TELEPORT_HOST_UUID: 'h', SSH_TELEPORT_CLUSTER_NAME: 'c' },
    });
    expect(orders[0]?.argv.join(' ')).toContain('027');
    expect(Object.keys(environmentOf((await launched()).orders[0]))).not.toContain('SSH_AUTH_SOCK');
  });

  it('has no variable that is more than a line, and the log says which', async () => {
    const variables = new Map([
      ['LC_A', 'a\nb'],
      ['LC_B', 'b'],
    ]);
    const { orders, sink } = await launched({ options: { variables } });
    expect(environmentOf(orders[0])).toMatchObject({ LC_B: 'b' });
    expect(Object.keys(environmentOf(orders[0]))).not.toContain('LC_A');
    expect(sink.lines).toEqual([
      expect.stringMatching(/^warn variables of a session were left out.*"names":"LC_A"/),
    ]);
  });

  it('is left without input once it reads no more, and the client may go on sending', async () => {
    const { program, made } = await launched();
    program.stdin.destroy();
    await turn();
    made.channel.push(Buffer.alloc(1024 * 1024));
    await turn();
    expect(made.channel.readableLength).toBe(0);
    expect(made.channel.destroyed).toBe(false);
  });

  it('is done when both of its outputs are, and reads no more then', async () => {
    const { one, program } = await launched();
    let over = false;
    const done = one.outputDone().then(() => (over = true));
    program.stdout.end();
    await turn();
    expect([over, program.stdin.destroyed]).toEqual([false, true]);
    program.stderr.end();
    await done;
  });

  it('whose output nobody reads has no output any more, and its errors are still told', async () => {
    const { one, program, made } = await launched();
    one.stopOutput();
    expect(program.stdout.destroyed).toBe(true);
    program.stderr.write('still');
    await turn();
    expect(made.seen.stderr).toBe('still');
  });

  it('is let go of with all of its streams', async () => {
    const { one, program } = await launched();
    one.close();
    expect(Object.values(program).map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
  });

  it('is told nothing of the disk, which only a terminal shows', async () => {
    const { made } = await launched({ context: { diskTrouble: () => 'the disk is full' } });
    expect(made.seen.stderr).toBe('');
  });
});

describe('what a session can be without', () => {
  it('is told, and the session goes on', async () => {
    const agent = { lend: () => Promise.reject(new CodedError('unavailable', 'no room')) };
    const { made, orders } = await launched({ context: { agent }, options: { lendsAgent: true } });
    expect(made.seen.stderr).toBe('your agent is not forwarded to this session: no room\n');
    expect(orders).toHaveLength(1);
  });
});

describe('an account that cannot be used', () => {
  it('starts nothing, and the person is told', async () => {
    const accounts = { user: () => Promise.resolve(undefined) } as never;
    await expect(launched({ context: { accounts } })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'Failed to launch: user: unknown user joe.',
    });
  });
});

describe('a conversation of sftp', () => {
  it('goes through to the server, and is cut where it cannot be followed', async () => {
    const { one, program, made } = await launched({ subsystem: 'sftp' });
    // SSH_FXP_INIT of version 3
    const init = Buffer.from('000000050100000003', 'hex');
    made.channel.push(init);
    await turn();
    await turn();
    expect(program.stdin.read()).toEqual(init);
    made.channel.push(Buffer.from('ffffffff00', 'hex'));
    expect(await one.cut).toMatch(/^transfers cannot be followed for the audit \(/);
    one.close();
  });
});

describe('the variables of a home', () => {
  let home = '';
  afterEach(() => {
    rmSync(home, { recursive: true });
  });
  async function read(
    text: string,
    end: ProgramEnd = exited,
    accepts: (name: string) => boolean = () => true,
  ) {
    home = mkdtempSync(join(tmpdir(), 'home-test-'));
    mkdirSync(join(home, '.tsh'));
    const { sink } = testAudit();
    const ended = Promise.withResolvers<ProgramEnd>();
    const { starter, orders, programs } = fakeStarter(() => ended.promise);
    const reading = readUserEnvironment({ ...user, home }, { starter, of: {}, accepts, sink });
    await turn();
    const [program] = programs;
    program?.stderr.write('noise');
    program?.stdout.end(text);
    ended.resolve(end);
    return { variables: await reading, orders, sink, program };
  }

  it('are those of the file that a client might set, read as the user, at most 256 KiB', async () => {
    const { variables, orders, sink, program } = await read('A=1\nB=2\n', exited, (name) => name !== 'B');
    expect(variables).toEqual([['A', '1']]);
    expect(orders[0]?.argv.join(' ')).toContain(`head -c ${256 * 1024} -- ${home}/.tsh/environment`);
    expect(program?.stdin.destroyed).toBe(true);
    expect(sink.lines).toEqual([
      expect.stringMatching(/^info .*\.tsh\/environment: some lines do not count/),
    ]);
  });

  it('say nothing where every line counts', async () => {
    expect((await read('A=1\n')).sink.lines).toEqual([]);
  });

  it.each([
    { status: 'exited', code: 1 },
    { status: 'signalled', signal: 'KILL', coreDumped: false },
  ] as ProgramEnd[])('are none when the file cannot be read: %j', async (end) => {
    expect((await read('A=1\n', end)).variables).toEqual([]);
  });
});
