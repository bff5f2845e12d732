import { describe, expect, it } from 'vitest';
import { blobStore } from './blobs.ts';
import { keysBelow } from './keys.ts';
import type { Act, Peers } from './peers.ts';
import { trimSlots } from './slots.ts';

const keys = keysBelow('/teleport');

interface Range {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

/** Keys and values, as etcd would hold them, and what was told to be freed. */
function setUp(): {
  peers: Peers;
  stored: Map<string, Buffer>;
  freed: (string | undefined)[];
  tell: (revision?: string) => void;
  fail: (e: Error) => void;
} {
  const stored = new Map<string, Buffer>();
  const freed: (string | undefined)[] = [];
  let revision = 10;
  let failure: Error | undefined;
  const within = ({ key, range_end: end }: Range): string[] =>
    [...stored.keys()].filter((one) => one >= key.toString() && one < end.toString()).sort();
  const client = {
    kv: {
      range: (range: Range & { limit: number }) => {
        const found = within(range);
        const kvs = found
          .slice(0, range.limit)
          .map((key) => ({ key: Buffer.from(key), value: stored.get(key), mod_revision: '1' }));
        return Promise.resolve({ kvs, more: found.length > range.limit });
      },
      put: ({ key, value }: { key: Buffer; value: Buffer }) => {
        stored.set(key.toString(), value);
        revision++;
        return Promise.resolve({});
      },
      deleteRange: (range: Range) => {
        for (const key of within(range)) stored.delete(key);
        revision++;
        return failure
          ? Promise.reject(failure)
          : Promise.resolve({ header: { revision: String(revision) } });
      },
    },
  };
  const peers: Pick<Peers, 'call'> = {
    call: <T>(act: Act<T>) => act(client as never, { deadline: 0 }),
  };
  return {
    peers: peers as Peers,
    stored,
    freed,
    tell: (at) => freed.push(at),
    fail: (e) => (failure = e),
  };
}

describe('deleting a blob', () => {
  it('frees, at the revision that etcd had then, and keeps those beside it', async () => {
    const { peers, freed, tell, stored } = setUp();
    const vault = blobStore(peers, keys, 'vault', tell);
    await vault.put('one', Buffer.from('1'));
    await vault.put('one2', Buffer.from('2'));
    expect(freed).toEqual([]);
    await vault.delete('one');
    expect(freed).toEqual(['13']);
    expect([...stored.keys()]).toEqual([keys.blob('vault', 'one2', 0)]);
  });

  it('frees also when no answer came: it may be done', async () => {
    const { peers, freed, tell, fail } = setUp();
    const vault = blobStore(peers, keys, 'vault', tell);
    fail(new Error('no answer'));
    await expect(vault.delete('one')).rejects.toThrow('no answer');
    expect(freed).toEqual([undefined]);
  });
});

describe('a blob that gets shorter', () => {
  it('leaves no piece behind, and frees', async () => {
    const { peers, freed, tell, stored } = setUp();
    const snapshots = blobStore(peers, keys, 'snapshots', tell);
    const long = Buffer.alloc(2 * 1024 * 1024 + 5, 7);
    await snapshots.put('s', long);
    expect(stored.size).toBe(3);
    expect(freed).toEqual([]);
    expect(long.equals((await snapshots.get('s')) ?? Buffer.alloc(0))).toBe(true);
    await snapshots.put('s', Buffer.from('short'));
    expect(stored.size).toBe(1);
    expect(freed).toHaveLength(1);
    expect((await snapshots.get('s'))?.toString()).toBe('short');
  });
});

describe('trimming slots', () => {
  it('deletes those before, from the oldest on, some at once, and frees each time', async () => {
    const { peers, freed, tell, stored } = setUp();
    for (let slot = 1; slot <= 4_500; slot++) stored.set(keys.slot('state', slot), Buffer.alloc(0));
    stored.set(keys.slot('audit', 1), Buffer.alloc(0));
    await trimSlots(peers, keys, 'state', 4_500, tell);
    expect([...stored.keys()]).toEqual([keys.slot('state', 4_500), keys.slot('audit', 1)]);
    expect(freed).toEqual(['11', '12', '13']);
    await trimSlots(peers, keys, 'state', 4_500, tell);
    expect(freed).toHaveLength(3);
  });
});
