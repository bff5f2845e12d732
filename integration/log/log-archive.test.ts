import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readText, startCluster, type Cluster } from '../harness/cluster.ts';
import { run, type Ran } from '../harness/run-program.ts';
import { createFirstUser, password } from '../harness/people.ts';

const login = userInfo().username;

describe('backing up the log of a cluster that is in use', () => {
  let cluster: Cluster;
  const file = (name: string): string => join(cluster.dir, name);
  const canLogIn = async (person: string): Promise<boolean> => {
    const flags = [`--proxy=localhost:${cluster.ports.web}`, `--user=${person}`];
    const done = await cluster.tsh('other', ['login', ...flags], { input: `${password}\n` });
    await cluster.tsh('other', ['logout']);
    return done.code === 0;
  };
  /** The same cluster with its log elsewhere. */
  const configurationFor = (path: string): string => {
    const other = file('other.yaml');
    writeFileSync(
      other,
      readText(cluster.config)
        .replace(/^ {2}storage: .*\n/m, '')
        .replace(/^ {2}data_dir: .*$/m, (line) => `${line}\n  storage: {path: ${path}}`),
    );
    return other;
  };
  const tctl = (config: string, ...args: string[]): Promise<Ran> =>
    run('bin/tctl', [...args, `--config=${config}`]);

  beforeAll(async () => {
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
    await createFirstUser(cluster, 'eve', { logins: [login] });
  });
  afterAll(() => cluster.close());

  it('exports to one private file that can be verified anywhere', async () => {
    const exported = await cluster.tctl('log', 'export', file('backup'), '--with-secrets');
    expect(exported).toMatchObject({ code: 0, stderr: '' });
    expect(exported.stdout).toMatch(/^\d+ data keys, wrapped: whoever has this file and the keyring/m);
    expect(statSync(file('backup')).mode & 0o777).toBe(0o600);
    expect((await cluster.tctl('log', 'verify', file('backup'))).stdout).toMatch(
      /^state {4}slots 1 to[\s\S]*ok\n$/,
    );
    const again = await cluster.tctl('log', 'export', file('backup'));
    expect(again).toMatchObject({ code: 1, stderr: `error: ${file('backup')} exists: name another file\n` });
  });

  it('changes nothing in the log that has gone on: who was deleted since stays deleted', async () => {
    expect((await cluster.tctl('users', 'rm', 'eve')).code).toBe(0);
    await cluster.stop();
    const imported = await cluster.tctl('log', 'import', file('backup'));
    expect(imported).toMatchObject({ code: 0, stderr: '' });
    expect(imported.stdout).toContain('holds all of it and may have gone on since: nothing was changed');
    await cluster.start();
    expect((await cluster.tctl('users', 'ls')).stdout).not.toContain('eve');
    expect(await canLogIn('eve')).toBe(false);
    expect(await canLogIn('joe')).toBe(true);
  });

  it('brings the cluster back from nothing but the file and the keyring', async () => {
    await cluster.stop();
    const config = configurationFor(file('new'));
    const imported = await tctl(config, 'log', 'import', file('backup'));
    expect(imported).toMatchObject({ code: 0, stderr: '' });
    expect(imported.stdout).toMatch(/^state {4}\d+ slots imported$/m);
    cluster.configure(readText(config));
    await cluster.start();
    expect(await canLogIn('joe')).toBe(true);
    expect(await canLogIn('eve')).toBe(true);
    expect((await cluster.tctl('log', 'verify')).stdout).toContain('ok');
  });

  it('refuses a log that went another way since', async () => {
    const imported = await tctl(
      configurationFor(join(cluster.dataDir, 'backend')),
      'log',
      'export',
      file('first'),
    );
    expect(imported.code).toBe(0);
    const refused = await cluster.tctl('log', 'import', file('first'));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error: the store holds another log: slot \d+ of \w+ differs\n$/);
    expect(await canLogIn('joe')).toBe(true);
  });

  it('replaces neither the log of another cluster nor the cluster that a machine belongs to', async () => {
    const other = await startCluster();
    const path = join(other.dir, 'empty');
    const mistyped = join(other.dir, 'mistyped.yaml');
    writeFileSync(mistyped, `teleport: {data_dir: ${other.dataDir}, storage: {path: ${path}}}\n`);
    const into = await tctl(mistyped, 'log', 'import', file('backup'));
    expect(into.code).toBe(1);
    expect(into.stderr).toMatch(
      /^error: \S+ holds another cluster, "\S+" \(CA pin sha256:\w+\), but \S+ belongs to the cluster "\S+" \(CA pin sha256:\w+/,
    );
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
    const leave = /--leave-cluster=sha256:\w+/.exec(into.stderr)?.[0] ?? '';
    const onto = await tctl(other.config, 'log', 'import', file('backup'), leave);
    expect(onto.code).toBe(1);
    expect(onto.stderr).toMatch(
      /holds the log of cluster .*, and the archive that of cluster .*: nothing was changed/,
    );
    expect(await tctl(mistyped, 'log', 'import', file('backup'), leave)).toMatchObject({
      code: 0,
    });
    await other.close();
  });

  it('refuses a file with one changed byte, or cut, and makes no store of it', async () => {
    const bytes = readFileSync(file('backup'));
    const config = configurationFor(file('never'));
    const changed = Buffer.from(bytes);
    changed[700] = (changed[700] ?? 0) ^ 1;
    writeFileSync(file('changed'), changed);
    writeFileSync(file('cut'), bytes.subarray(0, -1));
    for (const name of ['changed', 'cut']) {
      const refused = await tctl(config, 'log', 'import', file(name));
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/^error: \S+ is damaged at byte \d+: .+\n$/);
      expect((await tctl(config, 'log', 'verify', file(name))).stderr).toMatch(/is damaged at byte/);
    }
    expect(statSync(file('never'), { throwIfNoEntry: false })).toBeUndefined();
    expect((await tctl(config, 'log', 'import', file('none'))).stderr).toBe(
      `error: there is no file ${file('none')}\n`,
    );
  });
});
