/*
 * tsh, stock ssh and machines that join while the host authority is rotated. Who follows whom is decided by
 * units (`src/cli/tsh/trust`, `src/api/trust-authorities.test.ts`); here the programs are run.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectAuth } from '../../src/api/auth-connection.ts';
import { rotateAuthorities } from '../../src/api/operations/authority.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { loadIdentity } from '../../src/process/identity/identity-store.ts';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';
import { type Ran, run } from '../harness/run-program.ts';

const login = userInfo().username;
let cluster: Cluster;
let fleet: Fleet;
let sshConfig: string;
/** The pin of the key before the rotation. */
let oldPin = '';

const pins = async (): Promise<readonly string[]> =>
  (await cluster.tctl('status')).stdout.match(/sha256:[0-9a-f]{64}(?: \(.*\))?/g) ?? [];

beforeAll(async () => {
  cluster = await startCluster();
  fleet = createFleet();
  await createFirstUser(cluster, 'joe', { logins: [login] });
  sshConfig = await sshConfigFor(cluster, 'joe');
  [oldPin = ''] = await pins();
  await rotate('init');
});
afterAll(async () => {
  await fleet.close();
  await cluster.close();
});

/** Takes these steps with the host authority. Hosts go on with the old key: they are not what is tested. */
async function rotate(...phases: readonly ('init' | 'rollback' | 'standby')[]): Promise<void> {
  const identity = loadIdentity(cluster.dataDir, 'Admin') ?? expect.unreachable();
  const servers = [{ host: '127.0.0.1', port: cluster.ports.auth }];
  const auth = connectAuth({ servers, identity, world: realWorld, sink: silentLog });
  try {
    for (const phase of phases) {
      const asked = { types: ['host' as const], phase, gracePeriodMs: 3_600_000, force: phase !== 'init' };
      expect((await auth.call(rotateAuthorities, asked)).status).toBe('done');
    }
  } finally {
    auth.close();
  }
}

const home = (): string => cluster.tshHome('joe');
const knownHosts = (): string => join(home(), 'known_hosts');
const authorityFile = (): string => join(home(), 'keys', 'localhost', 'certs.pem');
const linesIn = (path: string, mark: string): readonly string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.includes(mark));
/** How many keys of the cluster joe's files hold: for SSH, and for TLS. */
const keysKnown = (): readonly number[] => [
  linesIn(knownHosts(), '@cert-authority').length,
  linesIn(authorityFile(), 'BEGIN CERTIFICATE').length,
];
const notAskedYet = (): void => {
  rmSync(join(home(), 'localhost.learnt'), { force: true });
};
const files = (): readonly (readonly [string, string])[] =>
  readdirSync(home(), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && !one.name.endsWith('.learnt'))
    .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'utf8')]);
const tsh = (...args: string[]): Promise<Ran> => cluster.tsh('joe', args);
const ok = async (ran: Promise<Ran>): Promise<string> => {
  const { code, stdout, stderr } = await ran;
  expect(`${String(code)} ${stderr}`).toBe('0 ');
  return stdout;
};

/** Who stands in the place of the web port, with its certificate. */
let server: Server;
let respond: (response: ServerResponse) => void;
beforeAll(async () => {
  const pem = (name: string): Buffer => readFileSync(join(cluster.dataDir, name));
  server = createServer(
    { key: pem('webproxy_key.pem'), cert: pem('webproxy_cert.pem') },
    (_asked, response) => {
      respond(response);
    },
  );
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
const proxy = (): string => `--proxy=localhost:${(server.address() as AddressInfo).port}`;

const answering =
  (body: unknown, status = 200) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

describe('whoever holds the web port', () => {
  const forged = { host: { announcement: { text: '{"keys":[]}', signatures: [] } } };

  it.each([
    ['garbage', answering('<html>'), 'does not look like the web address of a proxy'],
    ['an error', answering({ message: 'go away' }, 500), 'go away'],
    ['a huge body', answering(`{"x":"${'x'.repeat(1024 * 1024)}"}`), 'the answer is too long'],
    ['what is not signed', answering(forged), 'is not an announcement of the keys of an authority'],
  ])('and answers with %s changes nothing, and tsh goes on without it', async (_what, answer, why) => {
    respond = answer;
    const before = files();
    const refreshed = await tsh('config', '--refresh', proxy());
    expect([refreshed.code, refreshed.stdout, refreshed.stderr]).toEqual([
      1,
      '',
      expect.stringContaining(why),
    ]);
    expect(refreshed.stderr.length).toBeLessThan(600);
    notAskedYet();
    expect((await tsh('ls', '--format=names', proxy())).stdout).toContain('node1');
    expect(files()).toEqual(before);
  });

  it('and never answers delays a command by little, once', async () => {
    let asked = 0;
    respond = () => asked++;
    const before = files();
    notAskedYet();
    expect((await tsh('ls', '--format=names', proxy())).stdout).toContain('node1');
    expect([asked, files()]).toEqual([1, before]);
  });
});

describe('tsh and the files that it gives to ssh', () => {
  it('learn the new key by the way of any command, without a login', async () => {
    expect(keysKnown()).toEqual([1, 1]);
    notAskedYet();
    expect(await ok(tsh('ls', '--format=names'))).toContain('node1');
    expect(keysKnown()).toEqual([2, 2]);
    expect(await ok(tsh('config', '--refresh'))).toContain('are known here already');
    expect(await ok(run('ssh', ['-F', sshConfig, `${login}@node1.example`, 'echo', 'hello']))).toBe(
      'hello\n',
    );
  });

  it('and in the same command, when a host shows a certificate of a key that is not known yet', async () => {
    const both = readFileSync(knownHosts(), 'utf8');
    const hosts = linesIn(knownHosts(), '@cert-authority');
    const authorities = readFileSync(authorityFile(), 'utf8').match(
      /-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g,
    );
    // Hosts are of the old key, which is the first line: the new one alone leads to it by the same chain.
    writeFileSync(knownHosts(), `${hosts[1] ?? ''}\n`);
    writeFileSync(authorityFile(), authorities?.[1] ?? '');
    expect(await ok(tsh('ssh', `${login}@node1`, 'echo', 'hello'))).toBe('hello\n');
    expect(readFileSync(knownHosts(), 'utf8').split('\n').sort()).toEqual(both.split('\n').sort());
    expect(keysKnown()).toEqual([2, 2]);
  });

  it('and when the auth server does, over TLS', async () => {
    const [, next = ''] = readFileSync(authorityFile(), 'utf8').split(/(?=-----BEGIN)/);
    writeFileSync(authorityFile(), next);
    const { code, stdout, stderr } = await tsh('ls', '--format=names');
    expect([code, stdout.trim(), stderr, keysKnown()]).toEqual([0, 'node1', '', [2, 2]]);
  });

  it('and who knows neither key is refused, with the key that is known and what to do', async () => {
    const both = readFileSync(knownHosts(), 'utf8');
    const stranger = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDZtCx7mC2Gz0VEyM0Ea5RyZpmzWGRzwl3GOZlBrkGqQ';
    const tls = readFileSync(authorityFile(), 'utf8');
    writeFileSync(knownHosts(), both.replace(/ssh-ed25519 \S+/g, stranger));
    writeFileSync(authorityFile(), '');
    const ran = await tsh('ssh', `${login}@node1`, 'true');
    expect(ran.code).toBe(1);
    for (const part of [
      'is not trusted',
      'The host authorities of cluster example that are known here: SHA256:',
      'no key that is trusted here has signed it',
      "'tsh logout', then 'tsh login'",
    ])
      expect(ran.stderr).toContain(part);
    expect(readFileSync(knownHosts(), 'utf8')).toContain(stranger);
    writeFileSync(knownHosts(), both);
    writeFileSync(authorityFile(), tls);
  });
});

async function joining(name: string, pin: string): Promise<Machine> {
  const made = await cluster.tctl('tokens', 'add', '--type=node', '--format=json');
  const [token = ''] = JSON.parse(made.stdout) as string[];
  const machine = await fleet.add(name);
  machine.configure(`teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  auth_servers: ["127.0.0.1:${cluster.ports.auth}"]
  auth_token: ${token}
  ca_pin: "${pin}"
auth_service: {enabled: no}
proxy_service: {enabled: no}
ssh_service: {listen_addr: "127.0.0.1:0"}
`);
  return machine;
}

describe('a machine that joins during the rotation', () => {
  it('is given both pins, and the one that stays', async () => {
    const known = await pins();
    const [, newPin = ''] = known.map((line) => line.split(' ')[0]);
    expect(known).toEqual([
      `${oldPin} (signs now, until the rotation ends)`,
      `${newPin} (stays valid after the rotation)`,
    ]);
    const { stdout } = await cluster.tctl('tokens', 'add', '--type=node');
    expect(stdout.match(/--ca-pin=\S+/g)).toEqual([`--ca-pin=${oldPin}`, `--ca-pin=${newPin}`]);
    expect(stdout).toContain(`keep ${newPin}, no other pin is valid after that`);
  });

  it.each(['old', 'new'])('needs only the pin of the %s key', async (which) => {
    const pin = (await pins())[which === 'old' ? 0 : 1]?.split(' ')[0] ?? '';
    const machine = await joining(`${which}pin`, pin);
    await machine.start();
    await machine.stop();
  });
});

describe('when the rotation has ended', () => {
  let newPin = '';
  let during: string;
  beforeAll(async () => {
    newPin = (await pins())[1]?.split(' ')[0] ?? '';
    const path = `https://localhost:${cluster.ports.web}/v1/webapi/authorities`;
    during = await ok(run('curl', ['-sS', '--cacert', join(cluster.dataDir, 'webproxy_cert.pem'), path]));
    await rotate('rollback', 'standby');
  });

  it('tsh config --refresh drops the key that went, and tctl status its pin', async () => {
    expect(keysKnown()).toEqual([2, 2]);
    expect(await ok(tsh('config', '--refresh'))).toMatch(
      /^Host authorities of cluster example from now on: SHA256:[^, ]+\n$/,
    );
    expect([keysKnown(), await pins()]).toEqual([[1, 1], [oldPin]]);
    expect(await ok(run('ssh', ['-F', sshConfig, `${login}@node1.example`, 'echo', 'hello']))).toBe(
      'hello\n',
    );
  });

  it('who repeats an announcement of before brings it back to nobody', async () => {
    expect(during).toContain('signatures');
    respond = answering(during);
    const before = files();
    const { code, stderr } = await tsh('config', '--refresh', proxy());
    expect([code, stderr, files()]).toEqual([1, expect.stringContaining('it is older (number 1)'), before]);
  });

  it('the pin that went is refused: expected, got, when, by whom', async () => {
    const machine = await joining('latepin', newPin);
    machine.spawn();
    const line = await machine.says('provided certificate pin does not match');
    await machine.stop();
    expect(line).toContain(`Expected: ${newPin}. Got from 127.0.0.1:${cluster.ports.auth}: ${oldPin}`);
    expect(line).toMatch(new RegExp(`claims that ${newPin} was taken back at 20\\S+Z by \\S+`));
  });
});
