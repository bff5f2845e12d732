import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { macBytes, macKeyIdBytes } from '../../src/log/authenticity.ts';
import { decodeBatch, encodeBatch } from '../../src/log/batch.ts';
import { stranger } from '../../src/log/signed-head-testing.ts';
import type { SignedHead } from '../../src/log/signed-head.ts';
import { uuidV7 } from '../../src/log/uuid-v7.ts';
import { realWorld } from '../../src/base/world.ts';
import { type HttpWitness, openWitness } from './http-witness.ts';
import { readText, startCluster, type Cluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';

interface Info {
  readonly source: { readonly kind: string };
  readonly trouble: string;
  readonly keys: readonly { readonly publicKey: string }[];
  readonly partitions: readonly {
    readonly partition: string;
    readonly slot: number;
    readonly signedHead?: SignedHead;
  }[];
  readonly witnesses: readonly {
    readonly target: string;
    readonly sent: number;
    readonly failing?: { readonly reason: string };
  }[];
}

let witness: HttpWitness;
let cluster: Cluster;
let witnessFile: string;
let publicKey = '';

const info = async (...args: string[]): Promise<Info> => {
  const ran = await cluster.tctl('log', 'info', '--format=json', ...args);
  if (ran.code !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout) as Info;
};
const stateOf = (found: Info): Info['partitions'][number] =>
  found.partitions.find(({ partition }) => partition === 'state') ?? expect.unreachable();

/** Works on the database of the store, behind the back of everybody. */
function inStore<T>(act: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(join(cluster.dataDir, 'backend/log.db'));
  try {
    return act(db);
  } finally {
    db.close();
  }
}
const batchesFrom = (db: DatabaseSync, slot: number): { slot: number; batch: Uint8Array }[] =>
  db
    .prepare('SELECT slot, batch FROM state_slots WHERE slot >= ? ORDER BY slot')
    .all(slot)
    .map((row) => ({ slot: row['slot'] as number, batch: row['batch'] as Uint8Array }));
const put = (db: DatabaseSync, slot: number, batch: Uint8Array): void => {
  db.prepare('UPDATE state_slots SET batch = ? WHERE slot = ?').run(batch, slot);
};

/**
 * Changes a text in the log, and rewrites the chain behind it, as the owner of the store can without its
 * keyring.
 */
const rewrite = (from: string, to: string): number =>
  inStore((db) => {
    let previous: Buffer | undefined;
    let changed = 0;
    for (const { slot, batch: stored } of batchesFrom(db, 1)) {
      const batch = decodeBatch(stored);
      const bytes = Buffer.from(stored).subarray(
        0,
        batch.version === 1 ? -32 : -32 - macBytes - macKeyIdBytes,
      );
      const list = bytes.subarray(bytes.indexOf('[{"id"')).toString();
      if (previous === undefined && !list.includes(from)) continue;
      changed ||= slot;
      const events = JSON.parse(list.replaceAll(from, to)) as object[];
      const made = encodeBatch(
        { ...batch, previous: previous ?? batch.previous },
        events.map((one) => JSON.stringify(one)),
        stranger,
      );
      previous = decodeBatch(made).hash;
      put(db, slot, made);
    }
    return changed;
  });

beforeAll(async () => {
  witness = await openWitness();
  witnessFile = join(mkdtempSync(join(tmpdir(), 'witness-')), 'heads');
  cluster = await startCluster({
    yaml: (text) =>
      text.replace(
        'auth_service:',
        () => `  storage:\n    witness: ['file://${witnessFile}', '${witness.url}']\nauth_service:`,
      ),
  });
});
afterAll(async () => {
  await cluster.close();
  witness.close();
  rmSync(dirname(witnessFile), { recursive: true });
});

describe('signing the log of a running cluster', () => {
  it('shows the key and the newest signed heads, and a witness that fails', async () => {
    const found = await until('heads and a failing witness', async () => {
      const one = await info();
      return one.witnesses[1]?.failing && stateOf(one).signedHead ? one : undefined;
    });
    publicKey = found.keys[0]?.publicKey ?? '';
    expect(found.source.kind).toBe('auth');
    expect((await cluster.tctl('status')).stdout).toContain(`Log key  ${publicKey}`);
    expect(found.witnesses[1]?.target).toBe(witness.url.replace('joe:pass%20word@', ''));
    expect(found.witnesses[1]?.failing?.reason).toMatch(/answered 503: closed for lunch$/);
    expect(cluster.output()).not.toContain('pass%20word');
    const text = await cluster.tctl('log', 'info');
    expect(text.stdout).toMatch(/^Log key {2}ed25519:\S+ \([0-9a-f]{16}\) *$/m);
    expect(text.stdout).toMatch(/fails since .* answered 503/);
    expect(text.stderr).toBe('');
    expect((await cluster.readyz())?.code).toBe(200);
  });

  it('gives each witness what was signed, once it takes it', async () => {
    witness.away = false;
    await until('the witness to have heads', () => (witness.lines.length > 0 ? true : undefined));
    const heads = readText(witnessFile).trim().split('\n');
    expect(JSON.parse(heads[0] ?? '')).toMatchObject({ version: 1, hash: expect.any(String) as string });
    await until('both to have the same', async () => {
      const { witnesses } = await info();
      return witnesses.every(({ failing, sent }) => failing === undefined && sent > 0) ? true : undefined;
    });
  });

  it('verifies beside the daemon, with both witnesses and the key', async () => {
    const ran = await cluster.tctl(
      ...[
        'log',
        'verify',
        `--witness=${witnessFile}`,
        `--witness=${witness.url}`,
        `--public-key=${publicKey}`,
      ],
    );
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(
      /^witness http:\/\/127\.0\.0\.1:\d+\/heads: \d+ signed heads, the newest of /m,
    );
    expect(ran.stdout).toMatch(
      /^state .*\n +MACs: good, of every batch\n +signed heads: \d+, the newest of slot \d+ [\s\S]*\nok\n$/,
    );
    expect((await cluster.tctl('log', 'verify')).stdout).toContain(`witness file://${witnessFile}: `);
    const other = `ed25519:${Buffer.alloc(32, 3).toString('base64')}`;
    const refused = await cluster.tctl('log', 'verify', `--public-key=${other}`);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/state, slot \d+: the log has the key [0-9a-f]{16}, which is not the one/);
  });
});

describe('a log that its owner changed', () => {
  let whole: { slot: number; batch: Uint8Array }[];
  beforeAll(async () => {
    // The newest event is nothing that a start needs.
    expect((await cluster.tctl('users', 'add', 'joe')).code).toBe(0);
    await cluster.stop();
    whole = inStore((db) => batchesFrom(db, 1));
  });
  const restore = (): void => {
    inStore((db) => {
      for (const { slot, batch } of whole)
        db.prepare('INSERT OR REPLACE INTO state_slots (slot, batch) VALUES (?, ?)').run(slot, batch);
    });
  };

  afterEach(restore);

  /** As one who looks from elsewhere. */
  async function withoutKeyring(act: () => Promise<void>): Promise<void> {
    const [here, away] = [join(cluster.dataDir, 'keyring'), join(cluster.dir, 'keyring')];
    renameSync(here, away);
    try {
      await act();
    } finally {
      renameSync(away, here);
    }
  }

  it('is told from outside, though its chain holds', async () => {
    const slot = rewrite('"clusterName":"example"', '"clusterName":"another"');
    expect(slot).toBeGreaterThan(0);
    const known = await cluster.tctl('log', 'verify', `--witness=${witness.url}`);
    expect(known.code).toBe(1);
    expect(known.stderr).toMatch(/state, slot \d+: its MAC is under the key/);
    await withoutKeyring(async () => {
      const ran = await cluster.tctl('log', 'verify', `--witness=${witness.url}`);
      expect(ran.code).toBe(1);
      expect(ran.stdout).toMatch(/^MACs were not checked: there is no keyring/m);
      expect(ran.stderr).toMatch(
        /state, slot \d+: it is not the batch whose head was signed at \S+Z \(http:/,
      );
    });
    restore();
    expect((await cluster.tctl('log', 'verify')).code).toBe(0);
  });

  it('misses what was cut off', async () => {
    const head = stateOf(await info('--offline')).signedHead;
    inStore((db) => {
      db.exec(`DELETE FROM state_slots WHERE slot >= ${head?.slot ?? 0}`);
    });
    const ran = await cluster.tctl('log', 'verify');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`state, slot ${head?.slot ?? 0}: it is missing: the log was cut off`);
  });

  it('is compared in an exported file as well', async () => {
    const file = join(cluster.dir, 'archive');
    expect((await cluster.tctl('log', 'export', file)).code).toBe(0);
    const ran = await cluster.tctl('log', 'verify', file, `--witness=${witnessFile}`);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    rewrite('"clusterName":"example"', '"clusterName":"another"');
    const changed = join(cluster.dir, 'changed');
    expect((await cluster.tctl('log', 'export', changed)).code).toBe(0);
    expect((await cluster.tctl('log', 'verify', changed, `--witness=${witnessFile}`)).code).toBe(1);
  });
});

describe('a log that cannot be read to its end', () => {
  it('is shown from the store when no auth server runs', async () => {
    const found = await info();
    expect(found.source).toMatchObject({
      kind: 'store',
      reason: expect.stringContaining('Cannot connect') as string,
    });
    expect(found.keys[0]?.publicKey).toBe(publicKey);
  });

  it('is not decided by when a batch is damaged, which the start, verify and info name', async () => {
    const last = stateOf(await info('--offline')).slot;
    const [stored] = inStore((db) => batchesFrom(db, last));
    const batch = Uint8Array.from(stored?.batch ?? []);
    batch[100] = (batch[100] ?? 0) ^ 1;
    inStore((db) => {
      put(db, last, batch);
    });
    const child = cluster.spawn();
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(1);
    const named = `the state log is damaged at slot ${last}: the bytes do not have their hash`;
    expect(cluster.output()).toContain(named);
    expect((await info('--offline')).trouble).toMatch(
      new RegExp(`the state log is damaged: slot ${last}: the bytes do not have their hash`),
    );
    expect((await cluster.tctl('log', 'verify')).code).toBe(1);
    inStore((db) => {
      put(db, last, stored?.batch ?? batch);
    });
  });

  it('is not added to by who can write to the store, and has no keyring', async () => {
    const last = stateOf(await info('--offline')).slot;
    const [stored] = inStore((db) => batchesFrom(db, last));
    const { firstPosition, events, hash: previous } = decodeBatch(stored?.batch ?? expect.unreachable());
    const at = events.at(-1)?.cause.at;
    const token = {
      ...{ id: uuidV7(realWorld), stream: `token-${'a'.repeat(64)}`, type: 'token.created', actor: 'admin' },
      ...{ requestId: 'r', data: { roles: ['Proxy'], expiresAt: '2099-01-01T00:00:00.000Z', uses: null } },
      ...{ revision: 1, at },
    };
    const header = {
      partition: 'state',
      slot: last + 1,
      firstPosition: firstPosition + events.length,
    } as const;
    const by = { previous, id: uuidV7(realWorld), writer: 'w' };
    for (const made of [undefined, stranger]) {
      const batch = encodeBatch({ ...header, ...by }, [JSON.stringify(token)], made);
      inStore((db) => {
        db.prepare('INSERT OR REPLACE INTO state_slots (slot, batch) VALUES (?, ?)').run(last + 1, batch);
      });
      const child = cluster.spawn();
      expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(1);
      const named = new RegExp(`the state log is damaged at slot ${last + 1}: .* does not hold the keyring`);
      expect(cluster.output()).toMatch(named);
      const verified = await cluster.tctl('log', 'verify');
      expect(verified).toMatchObject({ code: 1 });
      expect(verified.stderr).toMatch(/somebody who does not hold the keyring wrote it/);
    }
    inStore((db) => {
      db.prepare('DELETE FROM state_slots WHERE slot = ?').run(last + 1);
    });
    const sound = await cluster.tctl('log', 'verify');
    expect(sound.stdout).toMatch(/^state .*\n +MACs: good, of every batch\n/m);
    expect(stateOf(await info('--offline'))).toMatchObject({ authenticFrom: 1 });
  });

  it('is refused when a newer version wrote it', async () => {
    const last = stateOf(await info('--offline')).slot;
    const content = Buffer.concat([Buffer.of(3), Buffer.alloc(200, 'newer')]);
    const newer = Buffer.concat([content, createHash('sha256').update(content).digest()]);
    inStore((db) => {
      db.prepare('INSERT INTO state_slots (slot, batch) VALUES (?, ?)').run(last + 1, newer);
    });
    const child = cluster.spawn();
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect(code).toBe(1);
    const said = `slot ${last + 1} of the state log cannot be read: it was written by a newer version of teleport`;
    expect(cluster.output()).toContain(said);
    expect((await cluster.tctl('log', 'info', '--offline')).stderr).toContain(`error: ${said}`);
    expect((await cluster.tctl('log', 'verify')).stderr).toContain(
      'was written by a newer version of teleport',
    );
  });
});
