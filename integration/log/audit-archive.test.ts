import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, createCluster, readText } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';

interface Info {
  readonly partitions: readonly { readonly partition: string; readonly firstSlot: number }[];
  readonly archive?: {
    readonly found?: { readonly segments: number; readonly lastSlot: number; readonly deletedUntil?: string };
    readonly trouble?: string;
  };
}

let cluster: Cluster;
let folder = '';
const settings = (retention: string): string => `  audit_archive: file://${folder}
  audit_kept_in_store: 2s
${retention}`;
let plain = '';
/** Events of one `act`. */
let each = 0;
const configured = (more: string): string => plain.replace('auth_service:\n', `auth_service:\n${more}`);

beforeAll(async () => {
  cluster = await createCluster({ yaml: (text) => (plain = text) });
  folder = join(cluster.dir, 'archive');
  cluster.configure(configured(settings('')));
  await cluster.start();
});
afterAll(() => cluster.close());

const told = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await cluster.tctl(...args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
};
const info = async (): Promise<Info> => JSON.parse(await told('log', 'info', '--format=json')) as Info;
const auditFrom = async (): Promise<number> =>
  (await info()).partitions.find(({ partition }) => partition === 'audit')?.firstSlot ?? 0;
const segments = (): string[] => {
  const audit = join(folder, 'audit');
  // One that was killed leaves what it was writing, under a name that begins with a dot.
  const files = existsSync(audit) ? readdirSync(audit).sort() : [];
  return files.filter((name) => name.endsWith('.segment'));
};
/** What the audit has of what this test did, by uid; the oldest first. */
const exported = async (): Promise<string[]> =>
  (await told('events', 'ls', '--type=cert_authority.export', '--limit=1000', '--format=json'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly uid: string }).uid);
/** Something that `audit` alone tells. */
async function act(times: number): Promise<void> {
  const args = ['--config', cluster.config, 'auth', 'export', '--keys'];
  for (let i = 0; i < times; i++) {
    const { code, stderr } = await run(resolve('bin/tctl'), args, {
      input: 'export private keys of example\n',
    });
    if (code !== 0) throw new Error(stderr);
  }
}
/** Until everything up to now is in the archive, and not in the store any more. */
async function moved(): Promise<void> {
  const [from, before] = [await auditFrom(), segments().length];
  const isMoved = async (): Promise<true | undefined> =>
    (await auditFrom()) > from && segments().length > before ? true : undefined;
  await until('the audit to go into its archive', isMoved, 90_000);
}

describe('the audit of a cluster with an archive', () => {
  it('goes there, and is listed, searched and verified as before', { timeout: 240_000 }, async () => {
    await act(5);
    const before = await exported();
    each = before.length / 5;
    expect(each).toBeGreaterThanOrEqual(1);
    await moved();
    expect(await exported()).toEqual(before);
    expect((await info()).archive?.trouble).toBeUndefined();
    const verified = await told('log', 'verify');
    expect(verified).toMatch(/^audit +slots 1 to \d+, \d+ events$/m);
    expect(verified).toMatch(/^ok$/m);
    const text = await told('log', 'info');
    expect(text).toContain(`Audit archive`);
    expect(text).toContain(`file://${folder}: slots 1-`);
    expect(await told('log', 'info', '--offline')).toContain(`file://${folder}: slots 1-`);
  });

  it('keeps all when it is killed in the middle of that', { timeout: 300_000 }, async () => {
    for (let round = 0; round < 2; round++) {
      await act(3);
      const known = segments().length;
      await until('a new segment', () => Promise.resolve(segments().length > known || undefined), 90_000);
      await cluster.stop('SIGKILL');
      await cluster.start();
    }
    await moved();
    expect(await exported()).toHaveLength(11 * each);
    expect(await told('log', 'verify')).toMatch(/^ok$/m);
    expect((await info()).archive?.trouble).toBeUndefined();
  });

  it('names a segment that is damaged or missing, to who searches and to who verifies', async () => {
    const [first = ''] = segments();
    const path = join(folder, 'audit', first);
    const bytes = readFileSync(path);
    const search = () => cluster.tctl('events', 'ls', '--limit=1000');
    const changed = Buffer.from(bytes);
    changed[changed.length - 3] = (changed.at(-3) ?? 0) ^ 1;
    writeFileSync(path, changed);
    // The running server has it in memory: another is asked.
    await cluster.stop();
    await cluster.start();
    const damaged = /from 20\S+Z to 20\S+Z, cannot be read: the segment audit\/\S+\.segment/;
    const found = await search();
    expect([found.code, found.stderr]).toEqual([1, expect.stringMatching(damaged) as string]);
    const verified = await cluster.tctl('log', 'verify');
    expect([verified.code, verified.stderr]).toEqual([
      1,
      expect.stringContaining(`audit, slot 1:`) as string,
    ]);
    renameSync(path, `${path}.away`);
    expect((await search()).stderr).toMatch(/is in no segment in file:\S+: a segment is missing/);
    expect((await cluster.tctl('log', 'verify')).stderr).toContain('a segment is missing');
    expect((await info()).archive?.trouble).toMatch(/slots 1 to \d+ are in no segment/);
    writeFileSync(path, bytes);
    expect(await exported()).toHaveLength(11 * each);
    expect(await told('log', 'verify')).toMatch(/^ok$/m);
  });

  it('is not served by a server that does not know the archive', async () => {
    await cluster.stop();
    cluster.configure(plain);
    cluster.spawn();
    await until('the start to be refused', () =>
      Promise.resolve(cluster.output().includes('set auth_service.audit_archive') || undefined),
    );
    await cluster.stop('SIGKILL').catch(() => undefined);
    const alone = await cluster.tctl('log', 'verify');
    expect(alone.stdout).toMatch(
      /slots 1 to \d+ are in the archive file:\S+ by what the log says: not looked at/,
    );
    expect(alone.stdout).toMatch(/^ok$/m);
    expect(await told('log', 'verify', `--archive=file://${folder}`)).toMatch(/^audit +slots 1 to/m);
  });

  it(
    'is deleted there after its time, which is an event, and verified then',
    { timeout: 240_000 },
    async () => {
      cluster.configure(configured(settings('  audit_retention: 10s\n')));
      await cluster.start();
      const [first = ''] = segments();
      await until(
        'the first segment to be deleted',
        () => Promise.resolve(!segments().includes(first) || undefined),
        120_000,
      );
      expect((await info()).archive?.found?.deletedUntil).toMatch(/^20/);
      expect(await told('log', 'verify')).toMatch(
        /slots 1 to \d+ were deleted from the archive when their time was over, as the log says/,
      );
      expect((await told('events', 'ls', '--type=audit.delete')).trim()).toContain('audit.delete');
      expect(readText(cluster.config)).toContain('audit_retention');
    },
  );
});
