import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { hour } from '../../base/time.ts';
import { type AuthorityState, type CreatedAuthority, keysInUse } from '../../domain/authority-state.ts';
import type { RotationPhase } from '../../domain/rotation.ts';
import { replaceableIdentity } from '../../pki/current-identity.ts';
import { certifiedNamesOf } from '../../pki/host-certificate-life.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { type TestAuthority, testAuthority } from '../testing.ts';
import { loadIdentity, loadShown, saveShown, serverIdentityPath, shownAfter } from './identity-store.ts';
import { keepRenewed } from './renew-identity.ts';
import { adoptedOf, keyOf } from './shown-identities.ts';

const began = '2026-01-01T00:00:00.000Z';
const hostId = '11111111-2222-4333-8444-555555555555';
const ttlSeconds = 90 * 24 * 3600;
const authorities = { old: testAuthority('example', began), new: testAuthority('example', began) };
const keys = (['old', 'new'] as const).map((keyId) => ({
  ...{ keyId, activeFrom: began },
  ...{ sshPublicKey: authorities[keyId].sshKey, tlsCertificatePem: authorities[keyId].pem },
}));
const [oldKey, newKey] = keys;
if (oldKey === undefined || newKey === undefined) throw new Error('two keys');
const rotationId = 'aaaa1111-0000-4000-8000-000000000000';
const standing: Omit<CreatedAuthority, 'keys' | 'rotation'> = {
  status: 'created',
  type: 'host',
  clusterName: 'example',
  retired: [],
  announcement: undefined,
  announcements: 0,
};
const inPhase = (phase: RotationPhase | 'back' | 'before'): AuthorityState => {
  if (phase === 'back' || phase === 'before')
    return {
      ...{ ...standing, keys: [oldKey] },
      rotation: {
        phase: 'standby',
        lastRotatedAt: null,
        lastRotationId: phase === 'back' ? rotationId : null,
      },
    };
  if (phase === 'standby')
    return {
      ...{ ...standing, keys: [newKey] },
      rotation: { phase, lastRotatedAt: began, lastRotationId: rotationId },
    };
  return {
    ...{ ...standing, keys },
    rotation: {
      ...{ phase, rotationId, mode: 'manual', startedAt: began, gracePeriodMs: 1, phaseSince: began },
      ...{ phaseBy: 'admin', oldKeyId: 'old', newKeyId: 'new', lastRotatedAt: null },
    },
  };
};

const dirs: string[] = [];
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});
const settle = async (): Promise<void> => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** A machine whose auth servers are in the phase that the test says, and tell it so. */
async function machine({ spreadMs = 0, failures = [] as Error[] } = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'rotation-'));
  dirs.push(dataDir);
  const world = { ...fakeWorld(began), randomBytes: () => Buffer.from([128]) };
  const sink = recordingSink();
  let state = inPhase('before');
  let asked = 0;
  const followers = new Set<() => void>();
  const wishOf = (): Parameters<TestAuthority['issue']>[0] => ({
    ...{ hostId, role: 'Node', ttlSeconds, names: ['db.example.com'], at: world.now() },
  });
  /** As the auth servers certify now. */
  const issued = (): HostIdentity => {
    const { signs, trusted } = keysInUse(state);
    return {
      ...authorities[signs.keyId as 'old' | 'new'].issue(wishOf()),
      tlsCasPem: trusted.map((key) => key.tlsCertificatePem),
      sshHostCas: trusted.map((key) => key.sshPublicKey),
      askedNames: ['host', 'db.example.com'],
    };
  };
  const first = issued();
  saveShown(dataDir, { client: first, server: first });
  const pauses: number[] = [];
  let wake: () => void = () => undefined;
  /** The process, from what is on disk. */
  const start = async () => {
    const client = loadIdentity(dataDir, 'Node', hostId);
    const shown = loadShown(dataDir, client ?? expect.unreachable());
    const identity = replaceableIdentity(shown.client, shown.server);
    const renewal = keepRenewed({
      ...{ identity, dataDir, world, sink, spreadMs: () => spreadMs },
      names: { nodename: 'host', additionalPrincipals: ['db.example.com'] },
      authority: {
        state: () => state,
        subscribe: (onChange) => {
          followers.add(onChange);
          return { unsubscribe: () => void followers.delete(onChange) };
        },
      },
      certify: () => {
        asked++;
        const failure = failures.shift();
        return failure === undefined ? Promise.resolve(issued()) : Promise.reject(failure);
      },
      pause: (ms, signal) =>
        new Promise((resolve) => {
          pauses.push(ms);
          wake = resolve;
          if (ms <= 0) resolve();
          signal.addEventListener('abort', () => {
            resolve();
          });
        }),
    });
    closers.push(() => {
      renewal.close();
    });
    await settle();
    return { identity, renewal };
  };
  let running = await start();
  return {
    ...{ dataDir, world, sink, pauses },
    asked: () => asked,
    identity: () => running.identity,
    trouble: () => running.renewal.trouble(),
    issueIn: (phase: RotationPhase): HostIdentity => {
      state = inPhase(phase);
      return issued();
    },
    enter: async (phase: Parameters<typeof inPhase>[0]): Promise<void> => {
      state = inPhase(phase);
      for (const follower of followers) follower();
      await settle();
    },
    pass: async (ms: number): Promise<void> => {
      world.advance(ms);
      wake();
      await settle();
    },
    restart: async (): Promise<void> => {
      running.renewal.close();
      running = await start();
    },
    /** Keys of what it shows as client and as server, and which it trusts. */
    shows: (): string => {
      const { client, server } = running.identity.shown();
      const trusts = keys.filter((key) => client.tlsCasPem.includes(key.tlsCertificatePem));
      return `${keyOf(client, keys)} ${keyOf(server, keys)} | ${trusts.map(({ keyId }) => keyId).join(' ')}`;
    },
    mark: () => adoptedOf(running.identity.shown(), state),
  };
}

describe('a machine while the host authority is rotated', () => {
  it('shows and trusts what each phase asks, and says so', async () => {
    const one = await machine();
    const seen: string[] = [];
    for (const phase of ['init', 'update_clients', 'update_servers', 'standby'] as const) {
      await one.enter(phase);
      seen.push(`${one.shows()} ${one.mark()}`);
    }
    expect(seen).toEqual([
      'old old | old new aaaa1111:init',
      'new old | old new aaaa1111:update_clients',
      'new new | old new aaaa1111:update_servers',
      'new new | new aaaa1111:standby',
    ]);
    expect(one.asked()).toBe(1);
    expect(certifiedNamesOf(one.identity().server())).toContain('db.example.com');
  });

  it.each(['init', 'update_clients', 'update_servers'] as const)(
    'goes back to the old key from %s, for both sides',
    async (phase) => {
      const one = await machine();
      for (const next of ['init', 'update_clients', 'update_servers'] as const) {
        await one.enter(next);
        if (next === phase) break;
      }
      await one.enter('rollback');
      expect(`${one.shows()} ${one.mark()}`).toBe('old old | old new aaaa1111:rollback');
      await one.enter('back');
      expect(`${one.shows()} ${one.mark()}`).toBe('old old | old aaaa1111:standby');
    },
  );

  it.each(['init', 'update_clients', 'update_servers', 'standby'] as const)(
    'that starts again in %s shows what it showed, and asks for nothing',
    async (phase) => {
      const one = await machine();
      for (const next of ['init', 'update_clients', 'update_servers', 'standby'] as const) {
        await one.enter(next);
        if (next === phase) break;
      }
      const before = [one.shows(), one.mark(), one.asked()];
      await one.restart();
      expect([one.shows(), one.mark(), one.asked()]).toEqual(before);
    },
  );

  it('that was away for two phases catches up by what it has', async () => {
    const one = await machine();
    await one.enter('update_servers');
    expect(`${one.shows()} ${one.mark()}`).toBe('new new | old new aaaa1111:update_servers');
  });

  it('keeps the older one for those who call when it renews by age in the middle of a phase', async () => {
    const one = await machine();
    await one.enter('init');
    await one.pass(55 * 24 * hour);
    await one.enter('update_clients');
    const before = one.identity().shown();
    await one.pass(10 * 24 * hour);
    await one.enter('update_clients');
    expect(one.shows()).toBe('new old | old new');
    expect(one.identity().server()).toEqual(before.server);
    // It is about to end, and there is no other one to show.
    await one.pass(22 * 24 * hour);
    expect(one.shows()).toBe('new new | old new');
  });

  it('asks again soon when it is refused, and is not counted before it has them', async () => {
    const one = await machine({ failures: Array<Error>(3).fill(new CodedError('unavailable', 'away')) });
    await one.enter('init');
    await one.enter('update_clients');
    expect(`${one.shows()} ${one.mark()}`).toBe('old old | old new aaaa1111:init');
    expect(one.trouble()).toMatch(
      /^this Node could not get .* is in phase update_clients \(away\); tries again$/,
    );
    for (let n = 0; n < 3; n++) await one.pass(15_000);
    expect(Math.max(...one.pauses.slice(-3, -1))).toBeLessThanOrEqual(15_000);
    expect(one.shows()).toBe('new old | old new');
    expect(one.trouble()).toBeUndefined();
  });

  it('takes what another process of its data directory was given in the same second', async () => {
    const one = await machine();
    await one.enter('init');
    const mine = one.identity().shown();
    const theirs = { ...one.issueIn('update_clients') };
    saveShown(one.dataDir, { client: theirs, server: mine.server });
    await one.enter('update_clients');
    expect([one.asked(), one.identity().current()]).toEqual([0, theirs]);
  });

  it('waits for its turn where many ask, and draws it once for each phase', async () => {
    const one = await machine({ spreadMs: 20_000 });
    await one.enter('init');
    await one.enter('update_clients');
    const turn = one.pauses.at(-1) ?? 0;
    // The world of this test draws the middle; ten times as long as reports are spread over.
    expect(Math.round(turn / 1000)).toBe(100);
    await one.pass(turn / 2);
    expect([one.asked(), one.pauses.at(-1)]).toEqual([0, turn - turn / 2]);
    await one.pass(turn);
    expect(one.asked()).toBe(1);
  });

  it('shows the newer one where the older one on disk cannot be read', async () => {
    const one = await machine();
    await one.enter('init');
    await one.enter('update_clients');
    writeFileSync(serverIdentityPath(one.dataDir, 'Node'), '{');
    await one.restart();
    expect(one.shows()).toBe('new new | old new');
  });

  it('that is certified at each start keeps what it showed to those who call', async () => {
    const one = await machine();
    await one.enter('init');
    await one.enter('update_clients');
    const [client, server] = [one.identity().current(), one.identity().server()];
    expect(shownAfter(one.dataDir, { ...client })).toEqual({ client, server });
    await one.enter('update_servers');
    expect(shownAfter(one.dataDir, client).server).toBe(client);
    expect(existsSync(serverIdentityPath(one.dataDir, 'Node'))).toBe(false);
  });
});
