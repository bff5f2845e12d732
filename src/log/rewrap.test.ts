import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import type { ClusterLog } from './event-log.ts';
import type { Cause, Recorded } from './event.ts';
import { type Keyring, keyringChain, keyringOf } from './keyring.ts';
import { type MemoryStore, memoryDriver, memoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import { findOrphans } from './orphans.ts';
import { destroyDataKeys } from './data-keys.ts';
import { rewrapVault, surveyVault } from './rewrap.ts';
import type { BlobStore } from './slot-driver.ts';
import { collect } from './testing.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r1' };
const secret = Buffer.from('the private key of an authority');
const ringId = (n: number): string => n.toString(16).padStart(16, '0');
const ring = (...ids: number[]): Keyring =>
  keyringOf(
    ids.map((n) => ({ id: ringId(n), key: Buffer.alloc(32, n) })),
    realWorld,
  );

let store: MemoryStore;
let vault: BlobStore;
beforeEach(() => {
  store = memoryStore();
  vault = memoryDriver(store).vault;
});

const open = (keyring: Keyring): Promise<ClusterLog> =>
  openLog({ driver: memoryDriver(store), keyring, world: realWorld, writer: 'test', sink: silentLog });

async function seal(log: ClusterLog, count: number): Promise<Recorded[]> {
  for (let n = 1; n <= count; n++)
    await log.state.append(
      [{ stream: `a-${n}`, expected: 0, facts: [{ type: 'a.b', data: {}, secrets: { key: secret } }] }],
      cause,
    );
  return collect(log.state.history(0));
}

describe('rewrapping a vault', () => {
  it('puts all under the newest key; the log does not change, and the older key is not needed any more', async () => {
    const before = await open(ring(1));
    const events = await seal(before, 20);
    const result = await rewrapVault(vault, ring(1, 2));
    expect(result).toEqual({ under: ringId(2), rewrapped: 21, stuck: [] });
    expect(await surveyVault(vault)).toEqual(new Map([[ringId(2), 21]]));
    const after = await open(ring(2));
    for (const event of events) expect(Buffer.from(await after.state.unseal(event, 'key'))).toEqual(secret);
    expect(await collect(after.state.history(0))).toEqual(events);
  });

  it('goes on where it was stopped', async () => {
    await seal(await open(ring(1)), 20);
    let calls = 0;
    const failing: BlobStore = {
      ...vault,
      replace: (...args) => (++calls > 7 ? Promise.reject(new Error('killed')) : vault.replace(...args)),
    };
    await expect(rewrapVault(failing, ring(1, 2))).rejects.toThrow('killed');
    const half = await surveyVault(vault);
    expect([...half.values()].reduce((a, b) => a + b)).toBe(21);
    expect(await rewrapVault(vault, ring(1, 2))).toMatchObject({
      rewrapped: half.get(ringId(1)),
      stuck: [],
    });
  });

  it('leaves and names what it cannot open', async () => {
    await vault.create('data-key/k', await ring(3).wrap(Buffer.alloc(32), 'k'));
    await vault.create('data-key/strange', Buffer.from('?'));
    const { stuck, rewrapped } = await rewrapVault(vault, ring(1, 2));
    expect(rewrapped).toBe(0);
    expect(stuck.map((one) => one.reason).sort()).toEqual([
      expect.stringContaining('form') as string,
      `it was sealed under the key ${ringId(3)}`,
    ]);
  });

  it('moves to another keyring with the older one still opening', async () => {
    const [event] = await seal(await open(ring(1)), 1);
    if (!event) throw new Error('nothing was stored');
    await rewrapVault(vault, keyringChain(ring(5), ring(1)));
    expect(Buffer.from(await (await open(ring(5))).state.unseal(event, 'key'))).toEqual(secret);
  });

  it('does not bring back a secret that is destroyed at any moment of it', async () => {
    // Before each call of the rewrapper on the vault, in turn, another process destroys the secret.
    for (let at = 1; ; at++) {
      const { vault: shared } = memoryDriver();
      await shared.create('data-key/k', await ring(1).wrap(Buffer.alloc(32), 'k'));
      let calls = 0;
      let destroyed = false;
      const before = async <T>(act: () => Promise<T>): Promise<T> => {
        if (++calls === at) {
          await destroyDataKeys(shared, ['k']);
          destroyed = true;
        }
        return act();
      };
      const watched: BlobStore = {
        create: (...args) => before(() => shared.create(...args)),
        replace: (...args) => before(() => shared.replace(...args)),
        get: (key) => before(() => shared.get(key)),
        destroy: (key) => before(() => shared.destroy(key)),
        remove: (key) => before(() => shared.remove(key)),
        list: (prefix) => before(() => shared.list(prefix)),
      };
      await rewrapVault(watched, ring(1, 2));
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set in the closure
      if (!destroyed) {
        expect(at).toBeGreaterThan(4);
        return;
      }
      expect(await shared.list('data-key/'), `destroyed before call ${at}`).toEqual([]);
    }
  });

  it('leaves alone what another run rewrapped meanwhile', async () => {
    await seal(await open(ring(1)), 1);
    let others = 1;
    const raced: BlobStore = {
      ...vault,
      replace: async (...args) => {
        if (others-- > 0) await rewrapVault(vault, ring(1, 2));
        return vault.replace(...args);
      },
    };
    expect(await rewrapVault(raced, ring(1, 2))).toEqual({ under: ringId(2), rewrapped: 1, stuck: [] });
    expect(await surveyVault(vault)).toEqual(new Map([[ringId(2), 2]]));
  });
});

describe('sealing while the keyring gets a newer key', () => {
  it('ends under the newer one', async () => {
    let keyring = ring(1);
    const turning: Keyring = {
      wrap: async (dataKey, context) => {
        const wrapped = await keyring.wrap(dataKey, context);
        keyring = ring(1, 2);
        return wrapped;
      },
      unwrap: (wrapped, context) => keyring.unwrap(wrapped, context),
      newest: () => keyring.newest(),
      holds: (name) => keyring.holds(name),
    };
    await seal(await open(turning), 1);
    expect(await surveyVault(vault)).toEqual(new Map([[ringId(2), 2]]));
  });
});

describe('looking for orphans', () => {
  const old = '0189acb0-0000-7000-8000-000000000001.key';
  it('finds data keys that no event refers to, and spares young ones', async () => {
    const log = await open(ring(1));
    await seal(log, 3);
    await vault.create(`data-key/${old}`, await ring(1).wrap(Buffer.alloc(32), old));
    await vault.create('data-key/without a time', await ring(1).wrap(Buffer.alloc(32), 'x'));
    expect(await findOrphans(vault, log, realWorld.now())).toEqual([old]);
    const later = new Date(Date.now() + 3 * 86_400_000).toISOString();
    expect(await findOrphans(vault, log, later)).toEqual([old]);
  });
});
