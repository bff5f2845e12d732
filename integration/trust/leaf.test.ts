import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authorityLines } from '../../src/cli/tsh/login/known-hosts.ts';
import type { Cluster } from '../harness/cluster.ts';
import { createFirstUser } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { clusterNamed, login, tctl, trustRoot } from './trusting.ts';

let root: Cluster;
let leaf: Cluster;
beforeAll(async () => {
  [root, leaf] = await Promise.all([clusterNamed('root'), clusterNamed('leaf')]);
  await createFirstUser(root, 'alice', { logins: [login] });
  await trustRoot(leaf, root, { root: 'root', leaf: 'leaf' });
}, 180_000);
afterAll(() => Promise.all([root, leaf].map((one) => one.close())));

const tsh = (...args: string[]): Promise<Ran> => root.tsh('alice', args);
const said = (stdout: string): Partial<Ran> => ({ code: 0, stdout });

interface Event {
  readonly event: string;
  readonly sid: string;
  readonly [field: string]: unknown;
}
const eventsOf = async (cluster: Cluster, ...types: string[]): Promise<readonly Event[]> =>
  (await tctl(cluster, 'events', 'ls', ...types.map((type) => `--type=${type}`), '--format=json'))
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Event);

describe('people of a root, in a leaf, by tsh', () => {
  it('see it, and the nodes that its role map gives them', async () => {
    expect(await tsh('clusters')).toMatchObject(
      said('Cluster Name Status \n------------ ------ \nroot         online \nleaf         online \n\n'),
    );
    expect((await tsh('ls', '--cluster=leaf')).stdout).toMatch(/^leaf-node +127\.0\.0\.1:\d+ env=test $/m);
    expect((await tsh('ls')).stdout).toMatch(/^root-node /m);
  });

  it('enter its nodes under the name that they have there, from their own address', async () => {
    const ran = await tsh(
      'ssh',
      '--cluster=leaf',
      `${login}@leaf-node`,
      'echo $SSH_TELEPORT_USER $SSH_CLIENT',
    );
    expect(ran.stdout).toMatch(/^root\/alice 127\.0\.0\.1 \d+ \d+\n$/);
    // Not a node of the root, and not by its name.
    const none = await tsh('ssh', '--cluster=leaf', `${login}@root-node`, 'true');
    expect([none.code, none.stderr]).toEqual([
      1,
      'error: failed connecting to node root-node. no node of this cluster is called root-node ("tsh ls" shows them) (cluster leaf)\n',
    ]);
    const other = await tsh('ssh', '--cluster=leef', `${login}@leaf-node`, 'true');
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('unknown cluster "leef"')]);
  });

  it('copy files to it and back', async () => {
    const dir = join(root.dir, 'scp');
    mkdirSync(dir);
    writeFileSync(join(dir, 'there'), 'over there\n');
    const there = join(dir, 'arrived');
    const back = join(dir, 'back');
    for (const [from, to] of [
      [join(dir, 'there'), `${login}@leaf-node:${there}`],
      [`${login}@leaf-node:${there}`, back],
    ])
      expect(await tsh('scp', '--cluster=leaf', from ?? '', to ?? '')).toMatchObject({ code: 0 });
    expect(readFileSync(back, 'utf8')).toBe('over there\n');
  });

  it('go there from now on after "tsh login leaf", and back, without a password', async () => {
    const status = await tsh('login', 'leaf');
    expect([status.code, status.stdout, status.stderr]).toEqual([
      0,
      expect.stringMatching(/Cluster: +leaf\n/),
      '',
    ]);
    expect((await tsh('ls')).stdout).toMatch(/^leaf-node /m);
    expect(await tsh('ssh', `${login}@leaf-node`, 'echo in')).toMatchObject(said('in\n'));
    // What concerns themselves is still asked at home.
    expect((await tsh('mfa', 'ls')).code).toBe(0);
    const wrong = await tsh('login', 'leef');
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      'error: the proxy at localhost does not lead to a cluster "leef"; it leads to root, leaf\n',
    ]);
    expect((await tsh('status')).stdout).toMatch(/Cluster: +leaf\n/);
    expect((await tsh('login', 'root')).stdout).toMatch(/Cluster: +root\n/);
    expect((await tsh('ls')).stdout).toMatch(/^root-node /m);
  });
});

describe('people of a root, in a leaf, by stock ssh', () => {
  /** As a person types it after `tsh login`: the known hosts and the key are those of tsh. */
  const options = (): string[] => {
    const home = root.tshHome('alice');
    const key = join(home, 'keys', 'localhost', 'alice');
    const config = join(root.dir, 'jump.conf');
    writeFileSync(
      config,
      `Host *
  UserKnownHostsFile ${home}/known_hosts
  IdentityFile ${key}
  CertificateFile ${key}-cert.pub
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  BatchMode yes
Host *.leaf leaf-node
  Port ${leaf.ports.ssh}
Host *.root
  Port ${root.ports.ssh}
Host *.leaf *.root
  ProxyJump ${login}@localhost:${root.ports.proxySsh}
`,
    );
    return ['-F', config];
  };

  it('reach node.cluster by -J, with host keys checked', async () => {
    for (const [host, user] of [
      ['leaf-node.leaf', 'root/alice'],
      ['root-node.root', 'alice'],
    ]) {
      const ran = await run('ssh', [...options(), `${login}@${host ?? ''}`, 'echo $SSH_TELEPORT_USER']);
      expect([ran.code, ran.stdout, ran.stderr]).toEqual([0, `${user ?? ''}\n`, '']);
    }
    const none = await run('ssh', [...options(), `${login}@leaf-node.root`, 'true']);
    expect([none.code, none.stderr]).toEqual([
      255,
      expect.stringContaining('no node of this cluster is called leaf-node'),
    ]);
  });

  it('use scp, sftp and rsync there', async () => {
    const dir = join(root.dir, 'stock');
    mkdirSync(dir);
    const source = join(dir, 'source');
    writeFileSync(source, 'x'.repeat(300_000));
    const there = (name: string): string => `${login}@leaf-node.leaf:${join(dir, name)}`;
    const runs = [
      ['scp', [...options(), source, there('by-scp')]],
      ['scp', ['-O', ...options(), source, there('by-old-scp')]],
      ['rsync', ['-e', `ssh ${options().join(' ')}`, source, there('by-rsync')]],
    ] as const;
    for (const [program, args] of runs) expect(await run(program, [...args])).toMatchObject({ code: 0 });
    const got = await run('sftp', [...options(), '-b', '-', `${login}@leaf-node.leaf`], {
      input: `get ${source} ${join(dir, 'by-sftp')}\n`,
    });
    expect(got).toMatchObject({ code: 0 });
    for (const name of ['by-scp', 'by-old-scp', 'by-rsync', 'by-sftp'])
      expect(readFileSync(join(dir, name))).toEqual(readFileSync(source));
  });

  it('go by the configuration that "tsh config --cluster=leaf" prints', async () => {
    const printed = await tsh('config', '--cluster=leaf');
    expect(printed.code).toBe(0);
    const config = join(root.dir, 'leaf.conf');
    writeFileSync(config, printed.stdout);
    const ran = await run('ssh', ['-F', config, `${login}@leaf-node.leaf`, 'echo $SSH_TELEPORT_USER'], {
      env: root.env('alice'),
    });
    expect([ran.code, ran.stdout]).toEqual([0, 'root/alice\n']);
    expect((await tsh('config', '--cluster=leaf', '--refresh')).stdout).toContain(
      'of cluster leaf are known here',
    );
  });

  it('are led to the leaf by a certificate of "tsh login leaf"', async () => {
    await tsh('login', 'leaf');
    const args = (): string[] => [...options(), '-J', `${login}@localhost:${root.ports.proxySsh}`];
    // The name is that of the certificate that the node shows.
    const ran = await run('ssh', [
      ...args(),
      '-o',
      'HostKeyAlias=leaf-node.leaf',
      `${login}@leaf-node`,
      'echo in',
    ]);
    expect([ran.code, ran.stdout]).toEqual([0, 'in\n']);
    await tsh('login', 'root');
  });
});

describe('the keys of a leaf', () => {
  it('vouch for nothing of the root, to stock ssh as well', async () => {
    const file = join(root.dir, 'wide');
    const key = `ssh-ed25519 ${/AAAA\S+/.exec(readFileSync(join(root.tshHome('alice'), 'known_hosts'), 'utf8'))?.[0] ?? ''}`;
    // A leaf whose name covers those of the root.
    const proxy = {
      clusterName: 'a.example',
      proxyHost: 'proxy.example',
      ssh: { host: 'ssh.example', port: 3023 },
    };
    writeFileSync(file, authorityLines([{ clusterName: 'example', checkingKeys: [key] }], proxy).join('\n'));
    const finds = async (host: string): Promise<boolean> =>
      (await run('ssh-keygen', ['-F', host, '-f', file])).code === 0;
    for (const host of ['node1.example', '[node1.example]:3022']) expect(await finds(host)).toBe(true);
    for (const host of ['proxy.example', '[ssh.example]:3023', 'node1.a.example', '[node1.a.example]:3022'])
      expect(await finds(host)).toBe(false);
  });
});

describe('the audit of both clusters', () => {
  it('has a session under one id, and further ones of a connection beside it', async () => {
    await tsh('ssh', '--cluster=leaf', `${login}@leaf-node`, 'echo for the record');
    const started = await until('the leaf to have it', async () =>
      (await eventsOf(leaf, 'session.start')).find(({ command }) => command === 'echo for the record'),
    );
    expect(started).toMatchObject({ user: 'root/alice', login });
    const { connects, disconnects } = await until('the root to have it', async () => {
      const all = (await eventsOf(root, 'session.connect', 'session.disconnect')).filter(
        ({ sid }) => sid === started.sid,
      );
      return all.length < 2
        ? undefined
        : {
            connects: all.filter(({ event }) => event === 'session.connect'),
            disconnects: all.filter(({ event }) => event === 'session.disconnect'),
          };
    });
    expect(connects).toMatchObject([{ user: 'alice', cluster_name: 'leaf', addr: 'leaf-node:0' }]);
    expect(connects[0]?.['addr.remote']).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(disconnects).toHaveLength(1);
  });

  it('has what could not be reached, in the leaf with the reason', async () => {
    await tsh('ssh', '--cluster=leaf', `${login}@nowhere`, 'true');
    expect(root.output()).toContain('no node of this cluster is called nowhere');
  });
});
