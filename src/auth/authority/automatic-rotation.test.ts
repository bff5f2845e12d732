import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { hour } from '../../base/time.ts';
import { announcementEnd } from '../../pki/authority-announcement.ts';
import { announceSelf } from '../host/announce-self.ts';
import { heartbeat } from '../host/heartbeat.ts';
import { adminCall, authHostId, eventsOf, hostCall, openTestAuth, type TestAuth } from '../testing.ts';
import { automaticRotation, type AutomaticRotation } from './automatic-rotation.ts';
import { readRotations } from './read-rotations.ts';
import { rotateAuthorities } from './rotate-authorities.ts';

type Deps = TestAuth['deps'];
let auth: TestAuth;
const running: AutomaticRotation[] = [];
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const one of running.splice(0)) await one.close();
  await auth.close();
  await auth.log.close();
});

function automatic(other: Partial<Deps> = {}): AutomaticRotation {
  const made = automaticRotation({ ...auth.deps, ...other });
  running.push(made);
  return made;
}
const begin = (gracePeriodMs = 90_000, mode: 'auto' | 'manual' = 'auto') =>
  rotateAuthorities(auth.deps, adminCall, {
    ...{ types: ['host'], phase: 'init', mode, gracePeriodMs, force: false, dryRun: false },
    endSessions: false,
  });
const state = () => {
  const { state: host } = auth.deps.views.authorities.state().host;
  return host.status === 'created' ? host : expect.unreachable();
};
const phase = (): string => state().rotation.phase;
const announceAuth = () =>
  announceSelf(
    auth.deps,
    { hostId: authHostId, nodename: 'auth-1', publicAddresses: [] },
    { host: '10.0.0.1', port: 3025 },
  );
const toldWaiting = async (): Promise<unknown[]> =>
  (await eventsOf(auth.log, 'audit'))
    .map(({ fact }) => (fact.data as { readonly event: { readonly code: string } }).event)
    .filter(({ code }) => code === 'TCA003W');
const due = (): void => {
  auth.world.advance(30_000);
};
const warned = (words: string): string[] => auth.sink.lines.filter((line) => line.includes(words));

describe('an automatic rotation', () => {
  it('looks every second, until it is closed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const one = automatic();
    await begin();
    due();
    await vi.advanceTimersByTimeAsync(1_000);
    await one.close();
    expect(phase()).toBe('update_clients');
    due();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(phase()).toBe('update_clients');
  });

  it('takes no step by a fold that is behind, or while the store does not answer', async () => {
    await begin();
    due();
    const { lag, contact } = auth.deps;
    await automatic({ lag: { ...lag, trouble: () => 'behind' } }).run();
    await automatic({ contact: { ...contact, refusal: () => 'away' } }).run();
    expect(phase()).toBe('init');
    await automatic().run();
    expect(phase()).toBe('update_clients');
  });

  it('tries again what the store refused, logs it once, and again after it went well between', async () => {
    await begin();
    due();
    const fresh = vi.spyOn(auth.deps.views, 'fresh');
    const away = new CodedError('unavailable', 'the store is away');
    const words = 'a step of a rotation could not be taken';
    const one = automatic();
    fresh.mockRejectedValueOnce(away).mockRejectedValueOnce(away);
    await one.run();
    await one.run();
    expect([phase(), warned(words).length]).toEqual(['init', 1]);
    await one.run();
    expect(phase()).toBe('update_clients');
    due();
    fresh.mockRejectedValueOnce(away);
    await one.run();
    expect(warned(words)).toHaveLength(2);
    // Whoever else took the step is no trouble.
    fresh.mockRejectedValueOnce(new CodedError('conflict', 'another was first'));
    await one.run();
    expect(warned(words)).toHaveLength(2);
  });

  it('names five of those it waits for, and how many more', async () => {
    await begin();
    for (let n = 1; n <= 7; n++) {
      const hostId = `00000000-0000-4000-8000-0000000000c${n}`;
      await heartbeat(auth.deps, hostCall('Node', hostId), {
        host: {
          ...{ hostId, role: 'Node', nodename: `n${n}`, address: '10.0.0.1:3022', publicAddress: '' },
          ...{ sshPublicAddress: '', labels: {}, version: '4.6.0', understands: 2 },
        },
        ttlSeconds: 600,
      });
    }
    due();
    const one = automatic();
    await one.run();
    const named = 'n1 (Node), n2 (Node), n3 (Node), n4 (Node), n5 (Node) and 2 more';
    expect(one.trouble()).toBe(`the rotation of the host authority waits in phase init for ${named}`);
    expect(await toldWaiting()).toMatchObject([
      {
        ...{ type: 'host', phase: 'update_clients', count: 7, user: `auth:${authHostId}` },
        hosts: ['n1 (Node)', 'n2 (Node)', 'n3 (Node)', 'n4 (Node)', 'n5 (Node)', 'n6 (Node)', 'n7 (Node)'],
      },
    ]);
  });

  it('is said to the audit by one of several auth servers, and waits for none of it any more once it is gone', async () => {
    await announceAuth();
    await begin();
    due();
    const other = automatic({ hostId: '00000000-0000-4000-8000-00000000000b' });
    await other.run();
    expect(other.trouble()).toContain('auth-1 (Auth)');
    expect(await toldWaiting()).toEqual([]);
    const own = automatic();
    await own.run();
    expect(await toldWaiting()).toHaveLength(1);
    for (const to of ['rollback', 'standby'] as const)
      await rotateAuthorities(auth.deps, adminCall, {
        ...{ types: ['host'], phase: to, mode: 'auto', gracePeriodMs: 90_000, force: true, dryRun: false },
        endSessions: false,
      });
    await own.run();
    expect(own.trouble()).toBeUndefined();
  });

  it('waits for nobody before its step is due', async () => {
    await announceAuth();
    await begin();
    due();
    const one = automatic();
    await one.run();
    expect(one.trouble()).toContain('phase init');
    await rotateAuthorities(auth.deps, adminCall, {
      ...{ types: ['host'], phase: 'update_clients', mode: 'auto', gracePeriodMs: 90_000, force: true },
      ...{ dryRun: false, endSessions: false },
    });
    await one.run();
    expect(one.trouble()).toBeUndefined();
  });
});

describe('the announcement of a rotation', () => {
  it.each([
    [hour, 24],
    [12 * hour, 24],
    [30 * hour, 60],
  ])(
    'of a grace period of %i ms lasts %i h, and is made again in the second half of that',
    async (grace, hours) => {
      await begin(grace, 'manual');
      const [first] = [state().announcement];
      if (first === undefined) return expect.unreachable();
      const { at, until } = announcementEnd(first);
      expect(Date.parse(until ?? '') - Date.parse(at)).toBe(hours * hour);
      const one = automatic();
      auth.world.advance((hours / 2) * hour - 1);
      await one.run();
      expect(state().announcements).toBe(1);
      auth.world.advance(1);
      await one.run();
      expect(state().announcements).toBe(2);
    },
  );
});

describe('reading the rotations', () => {
  it('tells when the next step is due and when all is expected to end, and when there was one last', async () => {
    const startedAt = auth.world.now();
    await begin();
    const read = async () => (await readRotations(auth.deps, adminCall, {})).rotations[1];
    expect(await read()).toMatchObject({
      ...{ type: 'host', phase: 'init', lagging: [] },
      underWay: {
        ...{ startedAt, phaseSince: startedAt, phaseBy: 'admin', next: 'update_clients' },
        ...{ nextAt: '2026-01-01T00:00:30.000Z', endsAt: '2026-01-01T00:01:30.000Z' },
      },
    });
    expect(await read()).not.toHaveProperty('lastRotatedAt');
    const one = automatic();
    for (let n = 0; n < 3; n++) {
      due();
      await one.run();
    }
    expect(await read()).toMatchObject({ phase: 'standby', lastRotatedAt: auth.world.now() });
    expect(await read()).not.toHaveProperty('underWay');
    await begin(90_000, 'manual');
    expect((await read())?.underWay).not.toHaveProperty('nextAt');
  });

  it('answers by what was folded last while the store is away, and asks it nothing once it is known to be', async () => {
    const { views, contact } = auth.deps;
    const fresh = vi.spyOn(views, 'fresh').mockRejectedValue(new CodedError('unavailable', 'away'));
    expect((await readRotations(auth.deps, adminCall, {})).rotations).toHaveLength(2);
    expect(fresh).toHaveBeenCalledTimes(1);
    const known = { ...contact, refusal: () => 'away' };
    expect((await readRotations({ ...auth.deps, contact: known }, adminCall, {})).rotations).toHaveLength(2);
    expect(fresh).toHaveBeenCalledTimes(1);
    fresh.mockRejectedValue(new CodedError('damaged', 'the log is damaged'));
    await expect(readRotations(auth.deps, adminCall, {})).rejects.toMatchObject({ code: 'damaged' });
  });
});
