import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AuditOutbox, openAuditOutbox, type OutboxOptions } from '../../src/api/audit-outbox.ts';
import { type FakeAuth, fakeAuth, unavailable } from '../../src/api/audit-outbox-testing.ts';
import { recordingSink } from '../../src/api/testing.ts';
import { realWorld } from '../../src/base/world.ts';
import { run, until } from '../harness/run-program.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { isRoot } from '../harness/throwaway-user.ts';

const reserveBytes = 64 * 1024;
let disk: string;
let auth: FakeAuth;
let outbox: AuditOutbox;
let node: NodeBench;
let sink: ReturnType<typeof recordingSink>;
/** Of the roles that may enter on a full disk, and of one that may not. */
let admin: string;
let guest: string;

const open = (): Promise<AuditOutbox> =>
  openAuditOutbox({
    directory: join(disk, 'spool'),
    client: auth as unknown as OutboxOptions['client'],
    sink,
    world: realWorld,
    maxPending: 1_000,
    drainMs: 0,
    reserveBytes,
    confirmMs: 1_000,
  });
const fill = (): Promise<unknown> => run('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=4k']);
const makeRoom = (): void => {
  rmSync(join(disk, 'filler'), { force: true });
};
const enter = (config: string, command = 'echo in') => node.sh(config, `$SSH root@node1 '${command}'`);
/** The events of sessions, as auth has them. */
const stored = (): string[] =>
  auth.batches.flat().map(({ event, sid }) => `${event} ${typeof sid === 'string' ? sid : ''}`);
/**
 * Every session that was started has its end, which may come after its client has left, and none is told
 * twice.
 */
async function expectWhole(): Promise<void> {
  const of = (event: string): string[] =>
    stored()
      .filter((one) => one.startsWith(`${event} `))
      .map((one) => one.split(' ')[1] ?? '');
  await until('each session to have ended', () =>
    of('session.end').length >= of('session.start').length ? true : undefined,
  );
  const all = stored();
  expect(new Set(all).size).toBe(all.length);
  expect(of('session.end').sort()).toEqual(of('session.start').sort());
}

beforeAll(async () => {
  if (!isRoot) return;
  disk = mkdtempSync(join(tmpdir(), 'full-spool-'));
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', disk]);
  if (mounted.code !== 0) throw new Error(`this test needs root to mount a small disk: ${mounted.stderr}`);
  auth = fakeAuth();
  sink = recordingSink();
  outbox = await open();
  node = await startNode(
    {},
    {
      emit: (event, claim) => outbox.emit(event, claim),
      pending: () => outbox.pending(),
      trouble: () => outbox.trouble(),
      disk: () => outbox.disk(),
    },
  );
  await node.setRole({ name: 'guest', allow: { logins: ['root'], nodeLabels: { '*': ['*'] } } });
  admin = node.person('alice');
  guest = node.person('alice', { roles: ['guest'] });
});
beforeEach(() => {
  makeRoom();
  auth.answer = () => Promise.resolve();
});
afterAll(async () => {
  if (!isRoot) return;
  await node.stop();
  await outbox.close();
  await run('umount', [disk]);
  rmSync(disk, { recursive: true });
});

describe.runIf(isRoot)('a node whose disk is full', () => {
  it('lets in who may free space, refuses others and says so, and is as before when there is room', async () => {
    await fill();
    expect(await enter(admin)).toMatchObject({ code: 0, stdout: 'in\n', stderr: '' });
    const refused = await enter(guest);
    expect(refused).toMatchObject({ code: 255, stdout: '' });
    expect(refused.stderr).toMatch(
      /^Failed to launch: the session cannot be recorded in the audit log: .*ENOSPC.*; somebody whose role has the option enterOnFullDisk can enter and free space\.\n$/,
    );
    expect(node.running().condition()).toMatchObject({
      status: 'degraded',
      lacks: [expect.stringMatching(/^the disk of this machine takes nothing since .*ENOSPC/)],
    });
    expect(sink.lines).toContainEqual(
      expect.stringMatching(/^error the disk of the audit spool takes nothing: only/),
    );
    const status = await node.sh(admin, `$SSH root@node1 '${process.cwd()}/bin/teleport status'`);
    expect(status.stdout).toMatch(/^Trouble +: +the disk of this machine takes nothing since/m);
    // With a terminal one is told where one is.
    const shell = await node.sh(admin, `echo exit | $SSH -tt root@node1`);
    expect(shell.stdout + shell.stderr).toContain('the disk of this machine takes nothing since');
    // It is what it is for.
    expect((await enter(admin, `rm ${join(disk, 'filler')}`)).code).toBe(0);
    expect(await enter(guest)).toMatchObject({ code: 0, stdout: 'in\n' });
    await until('the trouble to be over', () =>
      node.running().condition().status === 'serving' ? true : undefined,
    );
    expect(sink.lines).toContainEqual(
      expect.stringMatching(/^info the disk of the audit spool takes writes again/),
    );
    await until('all to be stored', () => (outbox.pending() === 0 ? true : undefined));
    await expectWhole();
  });
  it('does so with auth away, until what is set aside is used up; all of it is delivered later', async () => {
    auth.answer = unavailable;
    await fill();
    let entered = 0;
    while ((await enter(admin, `: ${'x'.repeat(6_000)}`)).code === 0) entered++;
    // Its start and its end have the command: some 13 KB for a session.
    expect(entered).toBeGreaterThan(2);
    const refused = await enter(admin);
    expect(refused.stderr).toMatch(
      /ENOSPC.*; nor did an auth server take it within 1 s: no auth server answers/,
    );
    auth.answer = () => Promise.resolve();
    // What is set aside is delivered and there again, though the disk is as full as before.
    await until('all to be stored', () => (outbox.pending() === 0 ? true : undefined));
    expect((await enter(admin)).code).toBe(0);
    await until('all to be stored', () => (outbox.pending() === 0 ? true : undefined));
    await expectWhole();
  });
  it('lets in who may also without anything set aside, when auth takes it', async () => {
    await outbox.close();
    await fill();
    outbox = await open();
    expect(readdirSync(join(disk, 'spool'))).toEqual([]);
    expect(await enter(admin)).toMatchObject({ code: 0, stdout: 'in\n' });
    expect((await enter(guest)).code).toBe(255);
    await until('all to be stored', () => (outbox.pending() === 0 ? true : undefined));
    await expectWhole();
  });
  it('delivers what was written into what was set aside after it died, once', async () => {
    await outbox.close();
    outbox = await open();
    await until('space to be set aside', () =>
      readdirSync(join(disk, 'spool')).some((name) => name.startsWith('reserve-')) ? true : undefined,
    );
    auth.answer = unavailable;
    await fill();
    expect((await enter(admin)).code).toBe(0);
    const waits = outbox.pending();
    await until('the end to be kept', () => (outbox.pending() === 4 ? true : undefined));
    expect(waits).toBeGreaterThan(0);
    await outbox.close();
    auth.answer = () => Promise.resolve();
    outbox = await open();
    await until('all to be stored', () => (outbox.pending() === 0 ? true : undefined));
    await expectWhole();
    expect(existsSync(join(disk, 'filler'))).toBe(true);
    expect(sink.lines.filter((line) => line.includes('damaged'))).toEqual([]);
  });
});
