import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { factsLevel } from '../../domain/critical.ts';
import { keysInUse } from '../../domain/authority-state.ts';
import { rotationMark } from '../../domain/rotation-mark.ts';
import type { RotationPhase } from '../../domain/rotation.ts';
import { verifyAnnouncement } from '../../pki/authority-announcement.ts';
import { signerOf, trustedOf } from '../../views/authorities.ts';
import { heartbeat } from '../host/heartbeat.ts';
import { adminCall, eventsOf, hostCall, openTestAuth, type TestAuth } from '../testing.ts';
import { automaticRotation, type AutomaticRotation } from './automatic-rotation.ts';
import { readRotations } from './read-rotations.ts';
import { rotateAuthorities } from './rotate-authorities.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const hostId = '00000000-0000-4000-8000-0000000000b1';
const address = '10.0.0.1:3022';

/** What a host that follows has adopted now. */
function marksNow(): [string, string] {
  const { user, host } = auth.deps.views.authorities.state();
  return [rotationMark(user.state), rotationMark(host.state)];
}

async function hear(
  marks: [string, string] | undefined,
  { understands = factsLevel, id = hostId, trouble = '' } = {},
) {
  const host = {
    ...{ hostId: id, role: 'Node' as const, nodename: `node-${id.at(-1)}`, address },
    ...{ publicAddress: '', sshPublicAddress: '', labels: {}, version: '4.6.0', understands },
  };
  const adopted = marks === undefined ? {} : { adopted: marks };
  await heartbeat(auth.deps, hostCall('Node', id), {
    host,
    ttlSeconds: 600,
    ...adopted,
    ...(trouble !== '' && { trouble }),
  });
}

type Input = Parameters<typeof rotateAuthorities>[2];
const take = (phase: RotationPhase, more: Partial<Input> = {}) =>
  rotateAuthorities(auth.deps, adminCall, {
    ...{ types: ['user', 'host'], phase, mode: 'manual', gracePeriodMs: 3_600_000 },
    ...{ force: false, dryRun: false, endSessions: false, ...more },
  });
const phases = (): readonly string[] =>
  (['user', 'host'] as const).map((type) => {
    const { state } = auth.deps.views.authorities.state()[type];
    return state.status === 'created' ? state.rotation.phase : state.status;
  });
const hostKeys = (): readonly string[] =>
  trustedOf(auth.deps.views.authorities.state(), 'host').map(({ keyId }) => keyId);

/** The keys of the host authority that somebody learns who knows this one. */
function accepted(knows: string): readonly string[] | 'none' | 'refused' {
  const { state } = auth.deps.views.authorities.state().host;
  if (state.status !== 'created' || state.announcement === undefined) return 'none';
  const anchors = { sshKeys: [knows], pins: [] };
  const expected = { clusterName: 'example', type: 'host', now: auth.world.now(), after: 0 } as const;
  try {
    return verifyAnnouncement(state.announcement, { ...expected, anchors }).keys.map(({ keyId }) => keyId);
  } catch {
    return 'refused';
  }
}

describe('rotating the authorities', () => {
  it('goes through its phases when every host that is alive has followed, and destroys the old key', async () => {
    await hear(undefined);
    const [old] = hostKeys();
    const before = signerOf(auth.deps.views.authorities.state(), 'host').sealedIn;
    for (const phase of ['init', 'update_clients', 'update_servers'] as const) {
      expect(await take(phase)).toMatchObject({ status: 'done', laggingCount: 0 });
      expect(phases()).toEqual([phase, phase]);
      expect(await take(phase === 'update_servers' ? 'standby' : nextOf(phase))).toMatchObject({
        status: 'blocked',
        laggingCount: 1,
        lagging: [{ hostId, nodename: 'node-1', role: 'Node', address }],
      });
      await hear(marksNow());
    }
    expect(await take('standby')).toMatchObject({ status: 'done' });
    await auth.deps.afterwards.done();
    const after = auth.deps.views.authorities.state();
    expect(hostKeys()).toHaveLength(1);
    expect(hostKeys()).not.toContain(old);
    expect(after.host.state).toMatchObject({ retired: [{ key: { keyId: old }, why: 'rotated' }] });
    if (before === undefined) expect.unreachable();
    else await expect(auth.deps.log.state.unseal(before, `ssh.${old}`)).rejects.toThrow();
    const { ssh } = await auth.deps.keys.signer('host');
    expect(ssh.type).toBe('private');
    // Nothing of it is left to be made up for.
    expect(auth.deps.views.superseded.state().doomed.length).toBeGreaterThan(0);
  });

  it('goes back to the old key from each phase, and can be begun again after that', async () => {
    const [old] = hostKeys();
    for (const last of ['init', 'update_clients', 'update_servers'] as const) {
      for (const phase of upTo(last)) await take(phase);
      expect(await take('rollback')).toMatchObject({ status: 'done' });
      expect(await take('standby')).toMatchObject({ status: 'done' });
      expect(hostKeys()).toEqual([old]);
      await auth.deps.keys.signer('host');
    }
    for (const phase of [...upTo('update_servers'), 'standby'] as const) await take(phase);
    expect(hostKeys()).not.toContain(old);
    await auth.deps.keys.signer('host');
  });

  it('refuses a step out of order for both when it is out of order for one', async () => {
    await take('init', { types: ['host'] });
    await expect(take('update_clients')).rejects.toThrow(
      'can only switch to phase update_clients from init, current phase is standby (user authority)',
    );
    expect(phases()).toEqual(['standby', 'init']);
  });

  it('lets one of two operators win and tells the other', async () => {
    const outcomes = await Promise.allSettled([take('init'), take('init')]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const lost = outcomes.find((one) => one.status === 'rejected');
    expect(String(lost?.reason)).toContain('can not initiate rotation while another is in progress');
    expect(hostKeys()).toHaveLength(2);
  });

  it('does not begin while a host of a release that knows of no rotation is alive', async () => {
    await hear(undefined, { understands: 1 });
    expect(await take('init')).toMatchObject({
      status: 'blocked',
      lagging: [{ hostId, reason: 'its release knows of no rotation: upgrade it' }],
    });
    expect(await take('init', { force: true })).toMatchObject({ status: 'done' });
  });

  it('leaves hosts behind by force alone, and names them in the log and the audit', async () => {
    await take('init');
    await hear(undefined);
    expect(await take('update_clients', { dryRun: true })).toMatchObject({
      status: 'dry_run',
      laggingCount: 1,
      steps: [{ type: 'user', from: 'init', to: 'update_clients' }, { type: 'host' }],
    });
    expect(phases()).toEqual(['init', 'init']);
    expect(await take('update_clients', { force: true })).toMatchObject({ status: 'done', laggingCount: 1 });
    const last = (await eventsOf(auth.log, 'state')).at(-1);
    expect(last?.fact).toMatchObject({
      type: 'authority.rotation_advanced',
      data: { left: [{ hostId, role: 'Node', nodename: 'node-1' }], by: 'admin' },
    });
  });

  it('refuses a step out of order in a dry run too, and waits for nobody to go back', async () => {
    await expect(take('update_servers', { dryRun: true })).rejects.toThrow('can only switch to phase');
    await take('init');
    await hear(undefined);
    expect(await take('rollback', { dryRun: true })).toMatchObject({ status: 'dry_run', laggingCount: 0 });
    expect(await take('init', { gracePeriodMs: 0, dryRun: true })).toMatchObject({ status: 'dry_run' });
    expect(phases()).toEqual(['init', 'init']);
    expect(await take('rollback')).toMatchObject({ status: 'done', laggingCount: 0, lagging: [] });
  });

  it('gives both authorities one rotation, and the moment and the actor of the step', async () => {
    await take('init', { mode: 'auto' });
    const [user, host] = (['user', 'host'] as const).map(
      (type) => auth.deps.views.authorities.state()[type].state,
    );
    const rotation = {
      mode: 'auto',
      gracePeriodMs: 3_600_000,
      startedAt: auth.world.now(),
      phaseBy: 'admin',
    };
    expect([user, host]).toMatchObject([{ rotation }, { rotation }]);
    const idOf = (state: typeof user): unknown =>
      state?.status === 'created' && state.rotation.phase !== 'standby' && state.rotation.rotationId;
    expect(idOf(user)).toBe(idOf(host));
  });

  it('names what keeps a host, in its own words, until it can follow', async () => {
    await take('init');
    const trouble = 'the disk is full';
    await hear(undefined, { trouble });
    expect(await take('update_clients')).toMatchObject({ status: 'blocked', lagging: [{ reason: trouble }] });
    await hear(marksNow());
    expect(await take('update_clients')).toMatchObject({ status: 'done' });
  });

  it('without a grace period takes force, withdraws all at once and is announced by the new key alone', async () => {
    await take('init');
    const known = trustedOf(auth.deps.views.authorities.state(), 'host');
    await expect(take('init', { gracePeriodMs: 0 })).rejects.toThrow('--force');
    expect(await take('init', { gracePeriodMs: 0, force: true })).toMatchObject({
      status: 'done',
      steps: [{ to: 'standby' }, { to: 'standby' }],
    });
    expect(hostKeys()).toHaveLength(1);
    for (const { sshPublicKey } of known) expect(accepted(sshPublicKey)).toBe('refused');
  });

  it('announces both keys signed by both while it is under way, and the new one alone after it', async () => {
    const [old] = trustedOf(auth.deps.views.authorities.state(), 'host');
    expect(accepted(old?.sshPublicKey ?? '')).toBe('none');
    await take('init');
    const [, next] = trustedOf(auth.deps.views.authorities.state(), 'host');
    if (old === undefined || next === undefined) return expect.unreachable();
    for (const key of [old, next]) expect(accepted(key.sshPublicKey)).toEqual([old.keyId, next.keyId]);
    for (const phase of ['update_clients', 'update_servers', 'standby'] as const) await take(phase);
    expect(accepted(old.sshPublicKey)).toBe('refused');
    expect(accepted(next.sshPublicKey)).toEqual([next.keyId]);
  });

  it('is shown with who follows and what comes next', async () => {
    await hear(undefined);
    await take('init', { types: ['user'], mode: 'auto', gracePeriodMs: 90_000 });
    const { rotations } = await readRotations(auth.deps, adminCall, {});
    expect(rotations).toMatchObject([
      {
        ...{ type: 'user', phase: 'init', acknowledged: 0, alive: 1, lagging: [{ hostId }] },
        underWay: { mode: 'auto', next: 'update_clients', gracePeriodMs: 90_000 },
      },
      { type: 'host', phase: 'standby', alive: 1, acknowledged: 1, lagging: [] },
    ]);
  });
});

describe('an automatic rotation', () => {
  let automatic: AutomaticRotation;
  beforeEach(() => {
    automatic = automaticRotation(auth.deps);
  });
  afterEach(async () => {
    await automatic.close();
  });

  it('takes each step after a third of its grace period, when it is due and not before', async () => {
    await hear(undefined);
    await take('init', { mode: 'auto', gracePeriodMs: 90_000 });
    for (const phase of ['init', 'update_clients', 'update_servers']) {
      await hear(marksNow());
      auth.world.advance(29_000);
      await automatic.run();
      expect(phases()).toEqual([phase, phase]);
      auth.world.advance(1_000);
      await automatic.run();
    }
    expect(phases()).toEqual(['standby', 'standby']);
    const steps = (await eventsOf(auth.log, 'state')).filter(({ fact }) =>
      fact.type.startsWith('authority.r'),
    );
    expect(steps).toHaveLength(8);
  });

  it('ends sessions with the old key where it was begun so, and tells whoever asks', async () => {
    await take('init', { types: ['user'], mode: 'auto', gracePeriodMs: 90_000, endSessions: true });
    const { rotations } = await readRotations(auth.deps, adminCall, {});
    expect(rotations[0]?.underWay).toMatchObject({ mode: 'auto', endSessions: true });
    for (let n = 0; n < 3; n++) {
      auth.world.advance(30_000);
      await automatic.run();
    }
    expect(phases()).toEqual(['standby', 'standby']);
    const { state } = auth.deps.views.authorities.state().user;
    expect(state).toMatchObject({ retired: [{ why: 'rotated', endsSessions: true }] });
  });

  it('is taken on by one of several auth servers', async () => {
    const second = automaticRotation(auth.deps);
    await take('init', { mode: 'auto', gracePeriodMs: 90_000 });
    auth.world.advance(30_000);
    await Promise.all([automatic.run(), second.run()]);
    await second.close();
    expect(phases()).toEqual(['update_clients', 'update_clients']);
  });

  it('waits for a host that lacks the phase, says so once, and goes on by itself', async () => {
    await take('init', { mode: 'auto', gracePeriodMs: 90_000 });
    await hear(undefined);
    auth.world.advance(30_000);
    await automatic.run();
    await automatic.run();
    expect(phases()).toEqual(['init', 'init']);
    expect(automatic.trouble()).toContain(
      'the rotation of the user authority waits in phase init for node-1 (Node)',
    );
    const waiting = (await eventsOf(auth.log, 'audit')).filter(
      ({ fact }) => (fact.data as { event?: { code?: string } }).event?.code === 'TCA003W',
    );
    expect(waiting).toHaveLength(2);
    await hear(marksNow());
    await automatic.run();
    expect(phases()).toEqual(['update_clients', 'update_clients']);
    expect(automatic.trouble()).toBeUndefined();
  });

  it('is announced again before its announcement ends, and leaves a manual one alone', async () => {
    await take('init', { types: ['host'], gracePeriodMs: 3_600_000 });
    auth.world.advance(13 * 3_600_000);
    await automatic.run();
    expect(phases()).toEqual(['standby', 'init']);
    const { state } = auth.deps.views.authorities.state().host;
    expect(state).toMatchObject({ announcements: 2 });
    expect(keysInUse(state).trusted).toHaveLength(2);
    await automatic.run();
    expect(auth.deps.views.authorities.state().host.state).toMatchObject({ announcements: 2 });
  });
});

const order = ['init', 'update_clients', 'update_servers'] as const;
const upTo = (last: (typeof order)[number]): readonly RotationPhase[] =>
  order.slice(0, order.indexOf(last) + 1);
const nextOf = (phase: 'init' | 'update_clients'): RotationPhase =>
  phase === 'init' ? 'update_clients' : 'update_servers';
