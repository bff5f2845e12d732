import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, readText, startCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';

const login = userInfo().username;
const commands = 40;
/** 30 KB in 10,000 characters, which the log counts as bytes. */
const long = `: ${'字'.repeat(10_000)}; true`;

interface Told {
  readonly event: string;
  readonly command?: string;
  readonly cut?: { readonly command?: { readonly bytes: number; readonly sha256: string } };
}

describe('long commands in a script of three bytes a character', () => {
  let cluster: Cluster;
  let config: string;
  const ssh = (command: string): Promise<Ran> =>
    run(
      'ssh',
      [
        ...['-F', config, '-o', 'ControlMaster=auto', '-o', `ControlPath=${join(cluster.dir, 'cm-%C')}`],
        ...['-o', 'ControlPersist=60', `${login}@node1.example`, command],
      ],
      { env: cluster.env('joe'), cwd: cluster.dir },
    );
  const told = async (): Promise<Told[]> =>
    (await cluster.tctl('events', 'ls', '--type=exec', '--format=json', '--limit=1000')).stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Told);

  beforeAll(async () => {
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
    config = await sshConfigFor(cluster, 'joe');
    expect(await ssh('echo ok')).toMatchObject({ code: 0 });
  });
  afterAll(() => cluster.close());

  it('are all in the audit, cut with their length said, and stop nobody', async () => {
    const all = await Promise.all(Array.from({ length: commands }, () => ssh(long)));
    expect([...new Set(all.map(({ code }) => code))]).toEqual([0]);
    expect(await ssh('echo afterwards')).toMatchObject({ code: 0, stdout: 'afterwards\n' });
    const events = await until('the audit has the last command', async () => {
      const some = await told();
      return some.some(({ command }) => command === 'echo afterwards') ? some : undefined;
    });
    const cut = events.filter((one) => one.cut?.command !== undefined);
    expect(cut).toHaveLength(commands);
    expect(new Set(cut.map((one) => one.cut?.command?.bytes))).toEqual(new Set([Buffer.byteLength(long)]));
    expect((await cluster.tctl('status')).stdout).not.toContain('audit events wait');
  });
});

describe('a node that has more to tell than its quota', () => {
  let cluster: Cluster;
  const plain = (text: string): string => text.replace(/ {2}quotas: .*\n/, '');
  beforeAll(async () => {
    cluster = await startCluster({
      yaml: (text) => text.replace('ssh_service:', '  quotas: {audit_events: 60}\nssh_service:'),
    });
    await createFirstUser(cluster, 'joe', { logins: [login] });
  });
  afterAll(() => cluster.close());

  it('goes on, is shown to the operator, and gives every event once there is room', async () => {
    const config = await sshConfigFor(cluster, 'joe');
    const says = ['one', 'two', 'three', 'four', 'five'].map((text) => `echo ${text}`);
    for (const command of says)
      expect(
        await run('ssh', ['-F', config, `${login}@node1.example`, command], {
          env: cluster.env('joe'),
          cwd: cluster.dir,
        }),
      ).toMatchObject({ code: 0 });
    await until('the operator to see it', async () =>
      /Over quota +node:[0-9a-f-]{36}: audit_events/.test((await cluster.tctl('status')).stdout)
        ? true
        : undefined,
    );
    await until('the node to say so', async () => {
      const ready = await cluster.readyz();
      return /audit events wait .*the quota of audit events is used up/.test(ready?.body ?? '')
        ? true
        : undefined;
    });
    await cluster.stop();
    cluster.configure(plain(readText(cluster.config)));
    await cluster.start();
    const told = await until('all that waited', async () => {
      const { stdout } = await cluster.tctl('events', 'ls', '--type=exec', '--format=json');
      const lines = stdout.split('\n').filter((line) => line !== '');
      return lines.length >= says.length
        ? lines.map((line) => (JSON.parse(line) as Told).command)
        : undefined;
    });
    expect(told).toEqual(says);
    const { stdout } = await cluster.tctl('events', 'ls', '--type=quota.exceeded', '--format=json');
    expect(stdout).toContain('"quota":"audit_events"');
  });
});
