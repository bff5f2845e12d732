import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { hour, minute, plusMs } from '../../base/time.ts';
import { replaceableIdentity } from '../../pki/current-identity.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { testAuthority } from '../testing.ts';
import type { WantedNames } from './certified-names.ts';
import { forgetPendingKey, loadIdentity, pendingKey, saveIdentity } from './identity-store.ts';
import { keepRenewed } from './renew-identity.ts';

const began = '2026-01-01T00:00:00.000Z';
const hostId = '11111111-2222-4333-8444-555555555555';
const cluster = testAuthority('example', began);
const ttlSeconds = 90 * 24 * 3600;
const due = 61 * 24 * hour;
const dirs: string[] = [];
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Wish {
  readonly held?: Partial<Parameters<typeof cluster.issue>[0]>;
  readonly names?: WantedNames;
  /** What each attempt meets; the last one goes on. */
  readonly failures?: (Error | undefined)[];
}

/** A renewal whose clock and pauses the test moves. */
async function rig({
  held,
  names = { nodename: 'host', additionalPrincipals: [] },
  failures = [],
}: Wish = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'renew-'));
  dirs.push(dataDir);
  const world = fakeWorld(began);
  const sink = recordingSink();
  const first = cluster.issue({ hostId, role: 'Node', ttlSeconds, ...held });
  saveIdentity(dataDir, first);
  const identity = replaceableIdentity(first);
  const seen: HostIdentity[] = [];
  identity.changes.subscribe(({ client }) => seen.push(client));
  const asked: WantedNames[] = [];
  const pauses: number[] = [];
  let wake: () => void = () => undefined;
  const renewal = keepRenewed({
    ...{ identity, dataDir, names, world, sink },
    authority: { state: () => ({ status: 'absent' }), subscribe: () => ({ unsubscribe: () => undefined }) },
    spreadMs: () => 0,
    certify: (wanted) => {
      asked.push(wanted);
      const failure = failures.length > 1 ? failures.shift() : failures[0];
      if (failure !== undefined) return Promise.reject(failure);
      return Promise.resolve(
        cluster.issue({
          ...{ hostId, role: 'Node', ttlSeconds },
          names: wanted.additionalPrincipals,
          at: world.now(),
        }),
      );
    },
    pause: (ms, signal) =>
      new Promise((resolve) => {
        pauses.push(ms);
        wake = resolve;
        signal.addEventListener('abort', () => {
          resolve();
        });
      }),
  });
  closers.push(() => {
    renewal.close();
  });
  await renewal.namesAsked;
  await settle();
  const pass = async (ms: number): Promise<void> => {
    world.advance(ms);
    wake();
    await settle();
  };
  const stored = (): HostIdentity | undefined => loadIdentity(dataDir, 'Node', hostId);
  return { renewal, identity, first, seen, asked, pauses, sink, world, dataDir, pass, stored };
}
const away = new CodedError('unavailable', 'no auth server answers');
const taken = new CodedError('access_denied', 'the name "db" is that of another');

describe('the certificates of a machine', () => {
  it('are renewed once two thirds of their life are over, and stored before they are used', async () => {
    const { identity, first, seen, asked, pass, stored, dataDir, sink } = await rig();
    pendingKey(dataDir, 'Node');
    await pass(55 * 24 * hour);
    expect(asked).toEqual([]);
    await pass(9 * 24 * hour);
    expect(asked).toHaveLength(1);
    expect(seen).toEqual([identity.current()]);
    expect(identity.current()).not.toEqual(first);
    expect(stored()).toEqual(identity.current());
    expect(existsSync(join(dataDir, 'proc', 'node.renewal.key'))).toBe(false);
    expect(sink.lines.join()).toContain('were renewed');
  });

  it('are looked at every ten minutes, since the clock may be set or the machine may sleep', async () => {
    const { pauses } = await rig();
    expect(pauses).toEqual([10 * minute]);
  });

  it('of an older release, which never end, are renewed soon after the start', async () => {
    const { asked, pass, renewal, identity } = await rig({ held: { ttlSeconds: undefined } as never });
    expect(renewal.trouble()).toBeUndefined();
    await pass(10 * minute);
    expect(asked).toHaveLength(1);
    expect(identity.current().askedNames).toEqual(['host']);
  });

  it('are asked for again and again, with ever longer pauses, while auth is away', async () => {
    const { asked, pass, pauses, sink, renewal, seen } = await rig({ failures: [away] });
    await pass(due + 3 * 24 * hour);
    for (let n = 0; n < 20; n++) await pass(1000);
    expect(asked).toHaveLength(21);
    expect(seen).toEqual([]);
    expect(pauses.slice(1, 4).every((ms, n) => ms >= 500 * 2 ** n && ms <= 1000 * 2 ** n)).toBe(true);
    expect(pauses.at(-1)).toBeLessThanOrEqual(hour);
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(hour / 2);
    expect(sink.lines.filter((line) => line.includes('could not be renewed yet'))).toHaveLength(1);
    expect(renewal.trouble()).toBeUndefined();
  });

  it('are reported, with the day they end, when they should have been renewed long ago', async () => {
    const { renewal, pass, sink } = await rig({ failures: [away] });
    await pass(68 * 24 * hour);
    const said =
      /^the certificates of this Node end at 2026-04-01T00:00:00.000Z and should have been renewed at 2026-\S+ \(no auth server answers\); after that it has to join again with a token$/;
    expect(renewal.trouble()).toMatch(said);
    expect(sink.lines.join('\n')).toContain('end at 2026-04-01T00:00:00.000Z');
    await pass(23 * 24 * hour);
    expect(renewal.trouble()).toMatch(
      /^the certificates of this Node ended at 2026-04-01\S+ .*it has to join again with a token$/,
    );
  });

  it('are said to be overdue no more once that is over', async () => {
    const { renewal, pass } = await rig({ failures: [away, undefined] });
    await pass(70 * 24 * hour);
    expect(renewal.trouble()).toBeDefined();
    await pass(hour);
    expect(renewal.trouble()).toBeUndefined();
  });

  it('that another process of the data directory renewed are taken, and not renewed twice', async () => {
    const { asked, pass, dataDir, identity, world } = await rig();
    const newer = cluster.issue({
      hostId,
      role: 'Node',
      ttlSeconds,
      at: plusMs(world.now(), 60 * 24 * hour),
    });
    saveIdentity(dataDir, newer);
    await pass(65 * 24 * hour);
    expect(asked).toEqual([]);
    expect(identity.current()).toEqual(newer);
  });

  it('get a name that the configuration has and they lack, at once', async () => {
    const names = { nodename: 'host', additionalPrincipals: ['db.example.com'] };
    const { asked, identity, seen } = await rig({ names });
    expect(asked).toEqual([names]);
    expect(identity.current().askedNames).toEqual(['host', 'db.example.com']);
    expect(seen).toHaveLength(1);
  });

  it('are not asked again for what was asked for and not granted', async () => {
    const names = { nodename: 'host', additionalPrincipals: ['192.0.2.9'] };
    const { dataDir, first } = await rig();
    saveIdentity(dataDir, { ...first, askedNames: ['host', '192.0.2.9'] });
    expect(loadIdentity(dataDir, 'Node')?.askedNames).toEqual(['host', '192.0.2.9']);
    const second = await rig({ names });
    expect(second.asked).toHaveLength(1);
  });

  it('are renewed with the names that they have when a new one is refused, which is asked for again', async () => {
    const names = { nodename: 'db', additionalPrincipals: ['192.0.2.1', 'db.example.com'] };
    const { asked, pass, sink, seen } = await rig({
      ...{ names, held: { names: ['192.0.2.1'] } },
      failures: [taken, taken, taken, undefined],
    });
    expect(sink.lines.join('\n')).toContain('could not be renewed with new names');
    expect(seen).toEqual([]);
    await pass(hour + minute);
    expect(asked).toEqual([names, names]);
    await pass(due + 3 * 24 * hour);
    expect(asked[3]).toEqual({ nodename: 'host', additionalPrincipals: ['192.0.2.1'] });
    expect(seen).toHaveLength(1);
  });

  it('stay as they are once the machine has stopped', async () => {
    const { renewal, asked, pass } = await rig();
    renewal.close();
    await pass(due + 3 * 24 * hour);
    expect(asked).toEqual([]);
  });
});

describe('the key that waits to be certified', () => {
  it('is one for all who ask, until it is', async () => {
    const { dataDir } = await rig();
    const made = pendingKey(dataDir, 'Node');
    expect(pendingKey(dataDir, 'Node').equals(made)).toBe(true);
    expect(pendingKey(dataDir, 'Proxy').equals(made)).toBe(false);
    forgetPendingKey(dataDir, 'Node');
    expect(pendingKey(dataDir, 'Node').equals(made)).toBe(false);
  });

  it('is made again where its file is damaged', async () => {
    const { dataDir } = await rig();
    writeFileSync(join(dataDir, 'proc', 'node.renewal.key'), 'half a k');
    const made = pendingKey(dataDir, 'Node');
    expect(pendingKey(dataDir, 'Node').equals(made)).toBe(true);
  });
});

describe('an identity that somebody else replaced', () => {
  it('is reckoned with from then on: what the other one lacked is forgotten', async () => {
    const { renewal, world, identity, pass } = await rig({ failures: [away] });
    await pass(89 * 24 * hour);
    expect(renewal.trouble()).toContain('no auth server answers');
    const joined = cluster.issue({ hostId, role: 'Node', ttlSeconds, at: world.now() });
    identity.replace({ client: joined, server: joined });
    expect(renewal.trouble()).toBeUndefined();
  });
});
