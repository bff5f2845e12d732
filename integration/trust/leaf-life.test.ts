import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgePerson, sshByWay } from '../cluster/forged-person.ts';
import { openEchoSession } from '../cluster/echo-session.ts';
import type { Cluster } from '../harness/cluster.ts';
import { createFirstUser } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import {
  clusterNamed,
  create,
  guestRole,
  isOnline,
  login,
  tctl,
  trustedYaml,
  trustRoot,
} from './trusting.ts';

/* What ends the way from a root into a leaf, and what does not. */

let root: Cluster;
let leaf: Cluster;
beforeAll(async () => {
  [root, leaf] = await Promise.all([clusterNamed('root'), clusterNamed('leaf')]);
  await createFirstUser(root, 'alice', { logins: [login] });
  await trustRoot(leaf, root, { root: 'root', leaf: 'leaf' });
}, 180_000);
afterAll(() => Promise.all([root, leaf].map((one) => one.close())));

const enter = (): Promise<Ran> =>
  root.tsh('alice', ['ssh', '--cluster=leaf', `${login}@leaf-node`, 'echo in']);
const isIn = (): Promise<true> =>
  until('alice to be let in', async () => ((await enter()).stdout === 'in\n' ? true : undefined), 30_000);
const session = () => openEchoSession(root, 'alice', 'leaf-node', ['--cluster=leaf']);
const remote = (): Promise<string> => tctl(root, 'get', 'rc', '--format=text');
const settings = (enabled: boolean): readonly string[] =>
  trustedYaml({ name: 'root', web: root.ports.web, tunnel: root.ports.web }, enabled);

describe('a leaf', () => {
  it('that is disabled lets go of everybody, and takes them back without another login', async () => {
    const before = session();
    await before.echo('in');
    await create(leaf, 'trusted', ...settings(false));
    await until('the session to end', () => before.ended());
    const refused = await enter();
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining('cluster "leaf" is not reached'),
    ]);
    await until('it to be offline', async () =>
      /^leaf +offline +\d{4}-/m.test(await remote()) ? true : undefined,
    );
    expect((await root.tsh('alice', ['clusters'])).stdout).toMatch(/^leaf +offline $/m);
    const offline = await enter();
    expect(offline.stderr).toContain('cluster "leaf" is not reached: it is offline');
    expect((await root.tsh('alice', ['ls', '--cluster=leaf'])).stderr).toContain('it is offline');
    await create(leaf, 'trusted', ...settings(true));
    await isOnline(root, 'leaf');
    await isIn();
  });

  it('ends what a person does when the certificate ends, where its own role says so', async () => {
    const role = guestRole.map((line) =>
      line.replace('spec: {', 'spec: {options: {disconnect_expired_cert: true}, '),
    );
    await create(leaf, 'guest', ...role);
    const at = { dataDir: root.dataDir, authPort: root.ports.auth, clusterName: 'root' };
    const own = await forgePerson(at, join(root.dir, 'short'), { username: 'alice', ttlSeconds: 10 });
    const by = (command: string): Promise<Ran> => {
      const node = { name: 'leaf-node.leaf', port: leaf.ports.ssh };
      return run('ssh', sshByWay(own, root.ports.proxySsh, node, command));
    };
    const began = Date.now();
    // It would stay a minute.
    const open = await by('echo in; sleep 60');
    expect([open.stdout, open.code, open.stderr]).toEqual(['in\n', 255, expect.stringContaining('expired')]);
    expect(Date.now() - began).toBeLessThan(30_000);
    expect(await tctl(leaf, 'events', 'ls', '--type=client.disconnect', '--format=json')).toMatch(
      /"user": ?"root\/alice"/,
    );
    const later = await by('echo in');
    expect([later.stdout, later.code]).toEqual(['', 255]);
    await create(leaf, 'guest', ...guestRole);
  });

  it('that the root removes is cut off at once, told why, and comes back by a new token alone', async () => {
    const before = session();
    await before.echo('in');
    await tctl(root, 'rm', 'rc/leaf');
    await until('the session to end', () => before.ended());
    await until('the leaf to know', () =>
      leaf.output().includes('is not known here any more') ? true : undefined,
    );
    expect((await root.tsh('alice', ['clusters'])).stdout).not.toContain('leaf');
    const refused = await enter();
    expect(refused.stderr).toContain('unknown cluster "leaf"');
    expect((await leaf.readyz())?.body).toMatch(/people of a trusted cluster may not reach this one.*root/);
    await trustRoot(leaf, root, { root: 'root', leaf: 'leaf' });
    await isIn();
  });

  it('that removes the root is offline there, and its people are refused', async () => {
    await tctl(leaf, 'rm', 'tc/root');
    await until('it to be offline', async () =>
      /^leaf +offline +\d{4}-/m.test(await remote()) ? true : undefined,
    );
    expect((await enter()).stderr).toContain('it is offline');
    await trustRoot(leaf, root, { root: 'root', leaf: 'leaf' });
    await isIn();
  });

  it('comes back by itself after it was killed, and after the root was', async () => {
    for (const one of [leaf, root]) {
      await one.stop('SIGKILL');
      await one.start();
      await isOnline(root, 'leaf');
      await isIn();
    }
  });

  it.each([
    ['leaf', 'the host authority of the leaf', () => leaf, 'T7102I', () => root, 'remote_cluster.keys'],
    ['root', 'the host authority of the root', () => root, 'T7004I', () => leaf, 'trusted_cluster.keys'],
  ] as const)('stays reached, with sessions, while %s rotates (%s), and tsh follows', async (...about) => {
    const [, , rotating, code, following, type] = about;
    const rotate = (phase: string): Promise<string> =>
      tctl(rotating(), 'auth', 'rotate', '--type=host', '--manual', `--phase=${phase}`, '--force');
    await rotate('init');
    // Keys are asked for once a minute, and at a start.
    await leaf.stop();
    await leaf.start();
    await until('the other one to know the new key', async () =>
      (await tctl(following(), 'events', 'ls', `--type=${type}`)).includes(code) ? true : undefined,
    );
    await isOnline(root, 'leaf');
    await isIn();
    const before = session();
    for (const phase of ['update_clients', 'update_servers', 'standby']) {
      await before.echo(phase);
      await rotate(phase);
      await isOnline(root, 'leaf');
      await isIn();
      expect((await root.tsh('alice', ['ls', '--cluster=leaf'])).stdout).toContain('leaf-node');
    }
    await before.echo('still in');
    before.close();
  });
});
