import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { silentLog } from '../../base/log-sink.ts';
import { authorityStream, restoreStream } from '../../domain/streams.ts';
import { writeMark } from '../../log/copy-mark.ts';
import type { Fact, StreamName } from '../../log/event.ts';
import { memoryKeyring } from '../../log/keyring.ts';
import { memoryDriver } from '../../log/memory-driver.ts';
import { emptyLog } from '../../log/open-log.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import { clusterInStore } from './cluster-in-store.ts';
import { clusterOfDataDir, hasServedAuth, setClusterAside } from '../identity/cluster-of-data-dir.ts';
import { requireFittingArchive } from './fitting-store.ts';
import { identityPath, saveIdentity } from '../identity/identity-store.ts';
import { type TestAuthority, testAuthority } from '../testing.ts';

const world = fakeWorld();
const hostId = '11111111-1111-4111-8111-111111111111';
const [own, other] = [testAuthority('own', world.now()), testAuthority('other', world.now())];

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fitting-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const keep = (authority: TestAuthority, role: string): void => {
  saveIdentity(dir, authority.issue({ hostId, role }));
};

/** The log of a cluster whose host authority this is, and some events before it. */
async function logOf(authority: TestAuthority, clusterName: string): Promise<SlotDriver> {
  const driver = memoryDriver();
  const log = emptyLog({ driver, keyring: memoryKeyring(world), world, writer: 'w', sink: silentLog });
  const cause = { at: world.now(), actor: 'admin', requestId: 'r' };
  const append = (stream: StreamName, fact: Fact) =>
    log.state.append([{ stream, expected: 0, facts: [fact] }], cause);
  await append('role-x', { type: 'role.created', data: {} });
  const key = { keyId: 'k', sshPublicKey: authority.sshKey, activeFrom: world.now() };
  const data = { type: 'host', clusterName, keys: [{ ...key, tlsCertificatePem: authority.pem }] };
  await append(authorityStream('host'), { type: 'authority.created', data });
  return driver;
}

describe('the cluster in a store', () => {
  it('is that of its host authorities', async () => {
    expect(await clusterInStore(await logOf(own, 'own'), [])).toEqual({
      status: 'holds',
      clusterName: 'own',
      caPins: [own.pin],
    });
  });
  it('is none in an empty one, and not told before a copy into it is whole', async () => {
    const driver = memoryDriver();
    expect(await clusterInStore(driver, [])).toEqual({ status: 'none' });
    await writeMark(driver, { kind: 'copy', id: 'i', from: 'f', begunAt: world.now() });
    expect(await clusterInStore(driver, [])).toEqual({ status: 'unfinished' });
  });
});

describe('the cluster in a store that is restored', () => {
  it('is not told until that has ended', async () => {
    const driver = memoryDriver();
    const log = emptyLog({ driver, keyring: memoryKeyring(world), world, writer: 'w', sink: silentLog });
    const cause = { at: world.now(), actor: 'admin', requestId: 'r' };
    const facts = [{ type: 'restore.begun', data: { digest: 'sha256:1' } }];
    await log.state.append([{ stream: restoreStream, expected: 0, facts }], cause);
    expect(await clusterInStore(driver, [])).toEqual({ status: 'unfinished' });
  });
});

describe('the cluster of a data directory', () => {
  it('is none before it served', () => {
    expect(clusterOfDataDir(dir)).toEqual({ status: 'none' });
    expect(hasServedAuth(dir)).toBe(false);
  });
  it('is that of the auth role’s own identity, whatever is left of others', () => {
    keep(other, 'Node');
    keep(own, 'Admin');
    expect(clusterOfDataDir(dir)).toEqual({
      status: 'known',
      clusters: [{ clusterName: 'own', hostId, caPins: [own.pin], file: identityPath(dir, 'Admin') }],
    });
    expect(hasServedAuth(dir)).toBe(true);
  });
  it('is that of proxy and node, where both count', () => {
    keep(own, 'Node');
    keep(other, 'Proxy');
    const found = clusterOfDataDir(dir);
    expect(found.status === 'known' && found.clusters.map((one) => one.clusterName)).toEqual([
      'other',
      'own',
    ]);
    expect(hasServedAuth(dir)).toBe(false);
  });
  it('is not told by what is damaged, nor by what is known of a log', () => {
    keep(own, 'Admin');
    writeFileSync(identityPath(dir, 'Admin'), '{');
    writeFileSync(join(dir, 'log-known.json'), '{}');
    expect(clusterOfDataDir(dir)).toEqual({
      status: 'not told',
      files: [identityPath(dir, 'Admin'), join(dir, 'log-known.json')],
    });
  });
  it('is kept when it is left', () => {
    keep(own, 'Admin');
    writeFileSync(join(dir, 'log-known.json'), '{}');
    const kept = setClusterAside(dir, world.now());
    expect(clusterOfDataDir(dir)).toEqual({ status: 'none' });
    expect(kept.map((path) => existsSync(path))).toEqual([true, true]);
    expect(readdirSync(join(dir, 'proc'))[0]).toMatch(/^admin\.identity\.json\.left-/);
  });
});

describe('the log of an archive', () => {
  const check = async (archived: TestAuthority, leaveClusters: readonly string[] = []): Promise<void> =>
    requireFittingArchive({ dataDir: dir, leaveClusters }, await logOf(archived, 'x'), '/a.tlog');

  it('fits a machine of its cluster, and one of none', async () => {
    await check(own);
    keep(own, 'Admin');
    await check(own);
  });
  it('does not fit one of another cluster, which is named with its file, host and pin', async () => {
    keep(own, 'Admin');
    const refused = { code: 'misconfigured', message: expect.stringContaining(own.pin) as string };
    await expect(check(other)).rejects.toMatchObject(refused);
    await expect(check(other)).rejects.toThrow(
      `/a.tlog holds another cluster, "x" (CA pin ${other.pin}), but ${dir} belongs to the cluster "own"`,
    );
    await expect(check(other)).rejects.toThrow(`as host ${hostId}, ${identityPath(dir, 'Admin')}`);
  });
  it('fits where that cluster is left, and no other', async () => {
    keep(own, 'Admin');
    await check(other, [own.pin]);
    await expect(check(other, [other.pin])).rejects.toThrow(`--leave-cluster=${own.pin}`);
  });
  it('fits only where all that are known are left', async () => {
    keep(own, 'Node');
    keep(testAuthority('third', world.now()), 'Proxy');
    await expect(check(other, [own.pin])).rejects.toThrow(/the cluster "third"/);
  });
});
