import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuthPair, authPair, type AuthServer } from '../harness/auth-pair.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import { run, until } from '../harness/run-program.ts';

let etcd: EtcdCluster;
let pair: AuthPair;
let folder = '';
beforeAll(async () => {
  etcd = await startEtcd();
  pair = await authPair(`type: etcd, peers: ["${etcd.urls.join('", "')}"], prefix: /shared, insecure: true`);
  folder = join(pair.dir, 'archive');
  const auth = `  audit_archive: file://${folder}\n  audit_kept_in_store: 2s`;
  for (const one of [pair.a, pair.b]) one.configure({ auth });
  await pair.a.start();
  await pair.b.start();
});
afterAll(async () => {
  await pair.close();
  await etcd.close();
});

/** Something that `audit` alone tells. */
async function act(at: AuthServer, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const { code, stderr } = await run(
      resolve('bin/tctl'),
      ['--config', at.config, 'auth', 'export', '--keys'],
      {
        input: 'export private keys of example\n',
      },
    );
    if (code !== 0) throw new Error(stderr);
  }
}

/** What the audit has of that, by uid. */
const uids = async (at: AuthServer): Promise<string[]> =>
  (await at.must('events', 'ls', '--type=cert_authority.export', '--limit=1000', '--format=json'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly uid: string }).uid);

const segments = (): string[] => {
  const audit = join(folder, 'audit');
  return existsSync(audit) ? readdirSync(audit).filter((name) => name.endsWith('.segment')) : [];
};

const more = (what: string, known: number): Promise<true> =>
  until(what, () => Promise.resolve(segments().length > known || undefined), 90_000);

describe('two auth servers on etcd, whose audit goes into one archive', () => {
  it(
    'find all of it, whoever moved it, also when one is killed meanwhile',
    { timeout: 300_000 },
    async () => {
      const { a, b } = pair;
      await act(a, 2);
      await act(b, 2);
      await more('the audit to go into its archive', 0);
      const each = (await uids(a)).length / 4;
      expect(each).toBeGreaterThanOrEqual(1);
      for (const [killed, other] of [
        [a, b],
        [b, a],
      ] as const) {
        await act(killed, 1);
        await act(other, 1);
        // In the middle of whatever it does with the next segment.
        await more('a new segment', segments().length);
        await killed.stop('SIGKILL');
        await act(other, 1);
        await more('the other to go on', segments().length);
        await killed.start();
      }
      const found = await uids(a);
      expect(found).toHaveLength(10 * each);
      expect(new Set(found).size).toBe(10 * each);
      expect(await uids(b)).toEqual(found);
      for (const one of [a, b]) {
        const verified = await one.must('log', 'verify');
        expect(verified).toMatch(/^audit +slots 1 to \d+, \d+ events$/m);
        expect(verified).toMatch(/^ok$/m);
        expect(JSON.parse(await one.must('log', 'info', '--format=json'))).not.toHaveProperty(
          'archive.trouble',
        );
      }
    },
  );
});
