import { beforeEach, describe, expect, it } from 'vitest';
import { second } from '../base/time.ts';
import type { WindowSize } from '../ssh/channel-types.ts';
import { SessionAudit } from './session-audit.ts';
import type { SessionContext, SessionName } from './session-context.ts';
import type { Plan } from './session-plan.ts';
import { type TestAudit, testAudit, testSubject } from './testing.ts';

const program = { kind: 'login-shell' } as const;
const shell: Plan = { kind: 'shell', program, command: '', original: undefined };
const exec: Plan = { kind: 'exec', program, command: 'ls /', original: undefined };
const sftp: Plan = { kind: 'sftp', program, command: 'sftp', original: undefined };
const scp = (direction: 'upload' | 'download'): Plan => ({
  ...{ kind: 'scp', program, command: 'scp -t /x', original: undefined },
  scp: { direction, path: '/x', rest: '/x' } as never,
});
const sized = (columns: number, rows = 24): WindowSize => ({
  columns,
  rows,
  widthPixels: 0,
  heightPixels: 0,
});
const done = { exit: { status: 'exited', code: 0 } } as const;

let test: TestAudit;
let audit: SessionAudit;
const open = (emit?: Parameters<typeof testAudit>[0], named: Partial<SessionName> = {}): void => {
  test = testAudit(emit);
  const labels = () => ({ env: 'prod' });
  const nameSession = () => ({ id: test.world.uuid(), ...named });
  audit = new SessionAudit({
    ...test,
    subject: testSubject,
    labels,
    nameSession,
  } as unknown as SessionContext);
};
beforeEach(() => {
  open();
});
const names = (): unknown[] => test.events.map(({ event, code, ei }) => [event, code, ei]);

describe('the start of a session on record', () => {
  it('has its command, its labels and its size, and says that it has not happened yet', async () => {
    await audit.started({ ...exec, original: 'id' }, sized(80));
    expect(test.events).toMatchObject([
      {
        ...{ event: 'session.start', code: 'T2000I', ei: 0, sid: audit.sessionId, user: 'ann', login: 'joe' },
        ...{ size: '80:24', command: 'ls /', original_command: 'id', server_labels: { env: 'prod' } },
      },
    ]);
    expect(test.claims).toEqual([{ happened: false, mayEnter: true }]);
  });
  it('of a shell without a terminal has neither', async () => {
    await audit.started(shell, undefined);
    for (const field of ['size', 'command', 'original_command'])
      expect(test.events[0]).not.toHaveProperty(field);
  });
  it('fails when the audit does not take it', async () => {
    open(() => Promise.reject(new Error('full')));
    await expect(audit.started(shell, undefined)).rejects.toThrow('full');
  });
});

describe('the sizes of a terminal', () => {
  it('are told when they change', async () => {
    await audit.started(shell, sized(80));
    audit.resized(sized(80));
    audit.resized(sized(100));
    await audit.ended(shell, done);
    expect(names()).toEqual([
      ['session.start', 'T2000I', 0],
      ['resize', 'T2002I', 1],
      ['session.end', 'T2004I', 2],
      ['session.data', 'T2006I', 2_147_483_646],
    ]);
    expect(test.events[1]).toMatchObject({ size: '100:24' });
    expect(test.events[2]).toMatchObject({ interactive: true });
  });
  it('are only the newest while one is being recorded, and that one is told in the end', async () => {
    const disk = Promise.withResolvers<undefined>();
    open(({ event }) => (event === 'resize' ? disk.promise : Promise.resolve()));
    await audit.started(shell, sized(80));
    for (let columns = 81; columns <= 200; columns++) audit.resized(sized(columns));
    disk.resolve(undefined);
    await audit.ended(shell, done);
    const sizes = test.events.filter(({ event }) => event === 'resize').map(({ size }) => size);
    expect(sizes).toEqual(['81:24', '200:24']);
  });
});

describe('the end of a session on record', () => {
  it('has when it began and ended, who took part, and what went by', async () => {
    await audit.started(exec, undefined);
    test.world.advance(90 * second);
    audit.traffic.received = 3;
    audit.traffic.sent = 5;
    await audit.ended(exec, done);
    expect(test.events.slice(1)).toMatchObject([
      { event: 'exec', code: 'T3002I', command: 'ls /', exitCode: '0', ei: 1 },
      {
        ...{ event: 'session.end', interactive: false, enhanced_recording: false, participants: ['ann'] },
        ...{ session_start: '2026-01-01T00:00:00.000Z', session_stop: '2026-01-01T00:01:30.000Z' },
      },
      { event: 'session.data', rx: 3, tx: 5 },
    ]);
    expect(test.events[1]).not.toHaveProperty('exitError');
  });

  const ends = {
    'a status': { exit: { status: 'exited', code: 3 } },
    'a signal': { exit: { status: 'signalled', signal: 'KILL', coreDumped: false, message: '' } },
    'no status': { exit: { status: 'unknown' } },
    'a failure': { exit: { status: 'exited', code: 0 }, failure: 'Failed to launch: no.' },
  } as const;
  it.each([
    ['a status', '3', 'exit status 3'],
    ['a signal', '255', 'signal: KILL'],
    ['no status', '255', 'it is not known how it ended'],
    ['a failure', '255', 'Failed to launch: no.'],
  ] as const)('of a command with %s has %s: %s', async (how, exitCode, exitError) => {
    await audit.ended(exec, ends[how]);
    expect(test.events[0]).toMatchObject({
      event: 'exec',
      code: 'T3002E',
      command: 'ls /',
      exitCode,
      exitError,
    });
  });
  it('of a shell says nothing of its status, but that it could not start', async () => {
    await audit.ended(shell, ends['a status']);
    expect(test.events.map(({ event }) => event)).toEqual(['session.end', 'session.data']);
    open();
    await audit.ended(shell, ends['a failure']);
    expect(test.events[0]).toMatchObject({ event: 'exec', code: 'T3002E', command: '', exitCode: '255' });
  });
  it.each([
    [sftp, done, { event: 'subsystem', code: 'T3001I', name: 'sftp', exitCode: '0' }],
    [sftp, ends['a status'], { event: 'subsystem', code: 'T3001E', exitCode: '3' }],
    [scp('upload'), done, { event: 'scp', code: 'T3005I', action: 'upload', path: '/x' }],
    [scp('upload'), ends['a status'], { event: 'scp', code: 'T3005E', exitError: 'exit status 3' }],
    [scp('download'), done, { event: 'scp', code: 'T3004I', action: 'download', command: 'scp -t /x' }],
    [scp('download'), ends['a signal'], { event: 'scp', code: 'T3004E', action: 'download' }],
  ] as const)('of $kind has what it was', async (plan, outcome, expected) => {
    await audit.ended(plan, outcome);
    expect(test.events[0]).toMatchObject(expected);
  });
});

describe('one file that sftp moved', () => {
  it.each([
    ['upload', { status: 'done' }, { code: 'T3005I', exitCode: '0' }],
    ['download', { status: 'done' }, { code: 'T3004I', exitCode: '0' }],
    [
      'upload',
      { status: 'failed', reason: 'no space' },
      { code: 'T3005E', exitCode: '1', exitError: 'no space' },
    ],
  ] as const)('is an event: %s, %j', async (direction, result, expected) => {
    await audit.transferred({ path: '/f', direction, bytes: 7, result });
    expect(test.events).toMatchObject([
      { event: 'scp', command: 'sftp', path: '/f', action: direction, bytes: 7, ...expected },
    ]);
    expect(test.claims).toEqual([{ happened: true, mayEnter: true }]);
  });
});
