import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, createCluster, linkIn } from '../harness/cluster.ts';
import { acceptLink, logIn } from '../harness/people.ts';
import { type Ran, run } from '../harness/run-program.ts';
import { replay } from '../harness/transcript.ts';
import { withTctlOf } from '../harness/wrapped-tctl.ts';

const me = userInfo().username;
const beginning = `kind: role
version: v3
metadata: {name: dba}
spec:
  allow: {logins: [postgres]}
---
kind: user
version: v2
metadata: {name: ann}
spec: {roles: [dba, access], traits: {logins: [${me}]}}
`;
const phrase = 'export private keys of example\n';

describe('a cluster that began with a file of resources', { timeout: 240_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'bootstrap-'));
  const file = join(dir, 'all.yaml');
  let cluster: Cluster;
  const must = async (ran: Promise<Ran>): Promise<string> => {
    const { code, stdout, stderr } = await ran;
    expect(`${String(code)} ${stderr}`).toMatch(/^0 /);
    return stdout;
  };
  const everything = (): Promise<string> =>
    must(run(resolve('bin/tctl'), ['-c', cluster.config, 'get', 'all', '--with-secrets'], { input: phrase }));
  /** Without when each user was made, which is the moment of the restore. */
  const undated = (text: string): string => text.replaceAll(/created_by:\n\s+time: .*/g, '');
  const pinOf = (status: string): string => /sha256:[0-9a-f]{64}/.exec(status)?.[0] ?? '';

  beforeAll(async () => {
    cluster = await createCluster({ args: [`--bootstrap=${file}`] });
  });
  afterAll(async () => {
    await cluster.close();
    rmSync(dir, { recursive: true });
  });

  it('does not begin with a fault in it, which is told at its place, and begins once it is corrected', async () => {
    writeFileSync(file, beginning.replace('traits', 'trats'), { mode: 0o600 });
    await expect(cluster.start()).rejects.toThrow();
    expect(cluster.output()).toContain(`${file}:10:30: unknown key "trats" in spec; did you mean traits?`);
    writeFileSync(file, beginning);
    await cluster.start();
    expect(await must(cluster.tctl('users', 'ls'))).toMatch(/ann .*dba,access/);
  });

  it('is administered as the transcript says', async () => {
    const env = { ...withTctlOf(cluster, cluster.env('operator')), VISUAL: '' };
    await replay('integration/harness/transcripts/resources.txt', env, cluster.dir);
  });

  it('comes back on an empty store: same authorities, passwords and certificates', async () => {
    await acceptLink(cluster, linkIn(await must(cluster.tctl('users', 'reset', 'ann'))));
    await logIn(cluster, 'ann');
    const enter = ['ssh', `${me}@${cluster.nodename}`, 'echo', 'entered'];
    expect(await must(cluster.tsh('ann', enter))).toContain('entered');
    const before = { all: await everything(), status: await must(cluster.tctl('status')) };
    expect(await must(cluster.tctl('events', 'ls', '--type=resource.export'))).toContain('user');

    await cluster.stop();
    renameSync(cluster.dataDir, join(dir, 'lost'));
    writeFileSync(file, before.all);
    await cluster.start();

    expect(undated(await everything())).toBe(undated(before.all));
    expect(pinOf(await must(cluster.tctl('status')))).toBe(pinOf(before.status));
    // With the certificate of before, then with the password.
    expect(await must(cluster.tsh('ann', enter))).toContain('entered');
    await must(cluster.tsh('ann', ['logout']));
    await logIn(cluster, 'ann');
    expect(await must(cluster.tsh('ann', enter))).toContain('entered');
    const stored = await run('grep', ['-rlaF', 'argon2id', cluster.dataDir]);
    expect(stored.stdout).toBe('');
  });

  it('is left as it is at the next start, with or without the file', async () => {
    await cluster.stop();
    rmSync(file);
    await cluster.start();
    expect(cluster.output()).toContain('the file of --bootstrap was not used');
    expect(await must(cluster.tctl('users', 'ls'))).toContain('ann');
  });
});
