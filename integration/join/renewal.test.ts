import { spawn } from 'node:child_process';
import type { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostCertificateLife } from '../../src/pki/host-certificate-life.ts';
import type { HostIdentity } from '../../src/pki/host-identity.ts';
import { parseCertificate } from '../../src/pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { run, until } from '../harness/run-program.ts';
import { buildCluster, type BuiltCluster, type ProxyPorts, proxyPorts } from '../harness/built-cluster.ts';
import type { Fleet, Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, password, type PeopleCluster } from '../harness/people.ts';
import { command, failuresOf, startLoad, tallyLines } from '../restart/restart-load.ts';

const login = userInfo().username;
const tsh = resolve('bin/tsh');
const loadPauseMs = 1_000;

let cluster: BuiltCluster;
let fleet: Fleet;
let auth: Machine, proxy: Machine, node: Machine;
let ports: ProxyPorts;
let nodePort = 0;
let people: PeopleCluster;

beforeAll(async () => {
  cluster = await buildCluster();
  ({ fleet } = cluster);
  [nodePort = 0] = await freePorts(1);
  ports = await proxyPorts();
  auth = await cluster.authServer(1, { authService: ['host_certificate_ttl: 1m'] });
  proxy = await cluster.joiner('proxy1', { proxy: ports });
  node = await cluster.joiner('node1', { node: { port: nodePort } });
  for (const machine of [auth, proxy, node]) await machine.start();
  people = fleet.people({ auth, proxy, web: ports.web });
  await createFirstUser(people, 'joe', { logins: [login] });
  await createFirstUser(people, 'ann', { logins: [login] });
}, 120_000);

afterAll(async () => {
  await fleet.close();
});

const authPort = (): number => cluster.addresses[0]?.port ?? 0;

/** The node under another name. */
const renamed = ({ publicAddr, hasToken }: { publicAddr?: string; hasToken: boolean }): string =>
  cluster.joinerYaml(node, {
    nodename: 'node-renamed',
    hasToken,
    node: { port: nodePort, ...(publicAddr !== undefined && { publicAddr }) },
  });

const identityOf = (machine: Machine, role: string): HostIdentity =>
  JSON.parse(readFileSync(join(machine.dataDir, 'proc', `${role}.identity.json`), 'utf8')) as HostIdentity;
const namesOf = (identity: HostIdentity): readonly string[] =>
  parseCertificate(fromAuthorizedKeyLine(identity.sshCertificate)).principals;

/** What the server at a port shows to whoever connects. */
const shownBy = (port: number): Promise<X509Certificate> =>
  new Promise((settle, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      const shown = socket.getPeerX509Certificate();
      socket.destroy();
      if (shown === undefined) reject(new Error('no certificate'));
      else settle(shown);
    });
    socket.on('error', reject);
  });
const sshKeyAt = async (port: number): Promise<string> =>
  (await run('ssh-keyscan', ['-p', String(port), '-t', 'ed25519', '127.0.0.1'])).stdout;

/** Somebody on the node whose program answers each line. */
function openSession() {
  const child = spawn(tsh, ['ssh', `${login}@node1`, 'while read line; do echo "got $line"; done'], {
    env: people.env('joe'),
  });
  let text = '';
  child.stdout.on('data', (data: Buffer) => (text += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text += data.toString()));
  const ended = new Promise((settle) => child.once('close', settle));
  return {
    ended,
    close: () => child.stdin.end(),
    answers: async (line: string) => {
      child.stdin.write(`${line}\n`);
      await until(`an answer to ${line}, not: ${text}`, () =>
        text.includes(`got ${line}`) ? true : undefined,
      );
    },
  };
}

describe('certificates of hosts that live for a minute', () => {
  it('are renewed twice under load, and nobody is refused or cut', { timeout: 300_000 }, async () => {
    const session = openSession();
    await session.answers('before');
    const held = [
      [auth, 'admin'],
      [proxy, 'proxy'],
      [node, 'node'],
    ] as const;
    const first = held.map(([machine, role]) => identityOf(machine, role));
    const shownFirst = await shownBy(authPort());
    const keyFirst = await sshKeyAt(nodePort);
    const load = startLoad(
      { ports: { web: ports.web, proxySsh: ports.ssh, ssh: nodePort, auth: authPort() } },
      {
        'tsh ssh': command(tsh, ['ssh', `${login}@node1`, 'echo', 'hello'], people.env('joe'), 'hello'),
        'tsh login': async () => {
          const args = ['login', `--proxy=localhost:${ports.web}`, '--user=ann'];
          const ran = await people.tsh('ann', args, { input: `${password}\n` });
          if (ran.code !== 0) throw new Error(`${ran.stdout}${ran.stderr}`);
        },
        'tctl nodes ls': async () => {
          const ran = await fleet.tctl(auth, 'nodes', 'ls');
          if (ran.code !== 0 || !ran.stdout.includes('node1')) throw new Error(`${ran.stdout}${ran.stderr}`);
        },
      },
      // It lasts for minutes.
      loadPauseMs,
    );
    for (const [i, [machine, role]] of held.entries()) {
      let before = first[i]?.tlsCertificatePem;
      for (const nth of ['first', 'second'])
        before = await until(
          `the ${nth} renewal of ${role}`,
          () => {
            const { tlsCertificatePem } = identityOf(machine, role);
            return tlsCertificatePem === before ? undefined : tlsCertificatePem;
          },
          120_000,
        );
    }
    await session.answers('after');
    await load.stop();
    console.log(`certificates renewed twice\n${tallyLines(load)}`);
    expect(failuresOf(load)).toEqual([]);
    session.close();
    expect(await session.ended).toBe(0);
    for (const [i, [machine, role]] of held.entries()) {
      const [before, after] = [first[i], identityOf(machine, role)];
      if (before === undefined) throw new Error('three identities');
      // What was held at first has ended: nothing of the above was done by it.
      expect(Date.parse(hostCertificateLife(before).until ?? '')).toBeLessThan(Date.now());
      expect(after.privateKeyPem).not.toBe(before.privateKeyPem);
      expect(after.hostId).toBe(before.hostId);
    }
    expect((await shownBy(authPort())).serialNumber).not.toBe(shownFirst.serialNumber);
    expect(keyFirst).toContain('ssh-ed25519');
    expect(await sshKeyAt(nodePort)).not.toBe(keyFirst);
    for (const machine of [proxy, node]) {
      expect(machine.output()).not.toContain('lost the auth server');
      expect((await machine.readyz('strict'))?.code).toBe(200);
    }
  });

  it('get another nodename and public_addr at a start, without a token', { timeout: 120_000 }, async () => {
    const before = identityOf(node, 'node');
    await node.stop();
    node.configure(renamed({ publicAddr: 'db.example.com:3022', hasToken: false }));
    await node.start();
    const after = identityOf(node, 'node');
    expect(after.hostId).toBe(before.hostId);
    expect(namesOf(after)).toEqual(
      expect.arrayContaining(['node-renamed', 'node-renamed.example', 'db.example.com']),
    );
    expect(namesOf(after)).not.toContain('node1');
    expect((await fleet.tctl(auth, 'nodes', 'ls')).stdout).toContain('node-renamed');
    const ran = await people.tsh('joe', ['ssh', `${login}@node-renamed`, 'echo', 'hello']);
    expect(ran).toMatchObject({ code: 0, stdout: 'hello\n' });
  });

  it('keep a name that another host has from a machine that asks for it', { timeout: 60_000 }, async () => {
    await node.stop();
    node.configure(renamed({ publicAddr: 'proxy1:3022', hasToken: false }));
    node.spawn();
    await node.says(/could not be renewed with new names.*the name .*proxy1.* is that of/);
    await node.says(/its certificate does not name .*proxy1/);
    expect(namesOf(identityOf(node, 'node'))).not.toContain('proxy1');
  });

  it(
    'that could not be renewed are reported before they end; after that only a token helps',
    { timeout: 240_000 },
    async () => {
      await node.stop();
      node.configure(renamed({ hasToken: false }));
      await node.start();
      await auth.stop();
      await node.says(/the certificates of this Node end at \d{4}-.* should have been renewed at /, 90_000);
      const ready = await node.readyz();
      expect(ready).toMatchObject({
        code: 200,
        body: expect.stringMatching(/end at \d{4}-.*join again with a token/) as string,
      });
      await node.stop();
      const until60 = Date.parse(hostCertificateLife(identityOf(node, 'node')).until ?? '');
      await until('the certificates to end', () => (Date.now() > until60 ? true : undefined), 90_000);
      await auth.start();
      node.spawn();
      await node.says(/there is no token to join with|has expired/);
      await node.stop();
      // Its id counts as alive for ten minutes; nobody waits for that here.
      const { hostId } = identityOf(node, 'node');
      expect((await fleet.tctl(auth, 'nodes', 'rm', hostId)).code).toBe(0);
      node.configure(renamed({ hasToken: true }));
      await node.start();
      expect((await fleet.tctl(auth, 'nodes', 'ls')).stdout).toContain('node-renamed');
    },
  );
});
