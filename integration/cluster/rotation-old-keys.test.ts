/*
 * What somebody can do with the private keys that a rotation has withdrawn: nothing, anywhere. Each is shown
 * first to be good while its key is trusted, where that is so.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../src/base/errors.ts';
import type { HostPort } from '../../src/base/service.ts';
import { realWorld } from '../../src/base/world.ts';
import { publicHalf, type SignedHead, signHead } from '../../src/log/signed-head.ts';
import { signAnnouncement, type SignedKeysAnnouncement } from '../../src/pki/authority-announcement.ts';
import { caPinOf } from '../../src/pki/ca-pin.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { greetNode } from '../../src/proxy/ssh/node-hello.ts';
import { clientSigner } from '../../src/ssh/signed-client.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';
import { run, until } from '../harness/run-program.ts';
import { cleanUp, serve } from '../ssh/ssh-workbench.ts';
import { login, type RotatingCluster, startRotatingCluster } from './rotating-cluster.ts';
import {
  forgedHost,
  forgedUser,
  takeKeys,
  type TakenKey,
  type TakenKeys,
  verdictOfAuth,
  verdictOfSsh,
  verdictOnUser,
} from './taken-keys.ts';

let cluster: RotatingCluster;
let taken: TakenKeys;
/** The web port of whoever stands between a person and the proxy. */
let web: Server;
let announced: unknown;
let hostKey: { old: TakenKey; new: TakenKey };
let oldUserKey: TakenKey;
let node: HostPort;

const person = (): PeopleCluster => cluster.people[0] ?? expect.unreachable();
const proxySsh = (): HostPort => ({ host: '127.0.0.1', port: cluster.proxySsh[0] ?? 0 });
const auth = (n: 0 | 1): HostPort => cluster.servers[n] ?? expect.unreachable();
const first = (keys: readonly TakenKey[]): TakenKey => keys[0] ?? expect.unreachable();
const idOf = (dataDir: string): string => readFileSync(join(dataDir, 'host_uuid'), 'utf8').trim();

beforeAll(async () => {
  cluster = await startRotatingCluster({ nodes: 1, proxies: 1 });
  await createFirstUser(person(), 'joe', { logins: [login] });
  await cluster.rotate('init', '--wait=50s');
  taken = await takeKeys(cluster);
  oldUserKey = first(taken.user);
  hostKey = { old: first(taken.host), new: taken.host[1] ?? expect.unreachable() };
  await cluster.rotate('update_clients', '--wait=50s');
  await cluster.rotate('update_servers', '--wait=50s');
  await refresh();
  node = await cluster.nodeAddress('node1');
  const pem = (name: string): Buffer => readFileSync(join(person().dataDir, name));
  web = createServer({ key: pem('webproxy_key.pem'), cert: pem('webproxy_cert.pem') }, (_asked, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ host: { announcement: announced } }));
  });
  await new Promise<void>((ready) => web.listen(0, '127.0.0.1', ready));
}, 600_000);
afterAll(async () => {
  web.close();
  web.closeAllConnections();
  await cleanUp();
  await cluster.close();
});

/** A person comes by, and learns which keys are trusted now. */
const refresh = async (): Promise<void> => {
  expect(await printed(person().tsh('joe', ['config', '--refresh']))).toContain('from now on: SHA256:');
};
const joinBy = (trust: Parameters<RotatingCluster['join']>[0]): Promise<string> =>
  cluster.join(trust).then(() => 'joined', messageOf);
const printed = async (ran: Promise<{ stdout: string; stderr: string }>): Promise<string> => {
  const { stdout, stderr } = await ran;
  return stdout + stderr;
};

/** A machine by the old key stands where the proxy's SSH is; tsh is told that it is there. */
async function tshAtImpostor(): Promise<string> {
  const { privateKeyPem, sshCertificate } = forgedHost(hostKey.old, {
    ...{ role: 'Proxy', names: ['localhost'], trusts: [] },
  });
  const privateKey = createPrivateKey(privateKeyPem);
  const { port } = await serve({
    hostKeys: [{ privateKey, certificate: fromAuthorizedKeyLine(sshCertificate) }],
    userAuthorities: () => [],
  });
  return printed(person().tsh('joe', ['ls', `--proxy=localhost:${person().ports.web},${port}`]));
}

/** Who tells a node that somebody else comes, as proxies do. */
async function introducedBy(key: TakenKey): Promise<string> {
  const hostId = idOf(cluster.proxies[0]?.dataDir ?? '');
  const { privateKeyPem, sshCertificate } = forgedHost(key, { role: 'Proxy', hostId, trusts: [] });
  const signClient = clientSigner(createPrivateKey(privateKeyPem), fromAuthorizedKeyLine(sshCertificate));
  const stream = connect(node.port, node.host);
  const machine = cluster.nodes[0] ?? expect.unreachable();
  const client = { host: '203.0.113.9', port: 4711 };
  const before = machine.allOutput().length;
  await greetNode(stream, { client, hostId: idOf(machine.dataDir), signClient });
  const verdict = await verdictOfSsh(
    { stream },
    'node1',
    forgedUser(taken.user[1] ?? oldUserKey),
    taken.host,
  );
  if (verdict === 'admitted') return verdict;
  return until('the node to report it', () => {
    const lines = machine.allOutput().slice(before).split('\n');
    return lines.find((line) => line.includes('ssh connection refused'));
  });
}

/** Compares the log with its newest head, signed by another key than its own. */
async function verifiedWith(sign: (head: SignedHead) => SignedHead): Promise<string> {
  const info = JSON.parse((await cluster.tctl('log', 'info', '--format=json')).stdout) as {
    partitions: { partition: string; signedHead?: SignedHead }[];
  };
  const head = info.partitions.find(({ partition }) => partition === 'state')?.signedHead;
  const path = join(cluster.fleet.dir, 'witness');
  writeFileSync(path, `${JSON.stringify(sign(head ?? expect.unreachable()))}\n`);
  return printed(cluster.tctl('log', 'verify', `--witness=${path}`));
}

const rotated = (type: string): RegExp =>
  new RegExp(
    `the certificate is of a key of the ${type} authority \\(sha256:\\S+\\) that was rotated at \\S+Z by`,
  );
const noLogin = /unable to authenticate/;

interface Announced {
  readonly announcement: SignedKeysAnnouncement;
  readonly withdrawn: readonly object[];
}

interface Use {
  readonly what: string;
  readonly tried: () => Promise<string>;
  readonly whileTrusted: string | RegExp;
  readonly withdrawn: string | RegExp;
}

const uses: readonly Use[] = [
  ...([0, 1] as const).flatMap((n): Use[] => [
    {
      what: `the TLS certificate of a person, at auth server ${n + 1}`,
      tried: () => verdictOnUser(auth(n), forgedUser(oldUserKey), taken.host),
      ...{ whileTrusted: 'admitted', withdrawn: rotated('user') },
    },
    {
      what: `the TLS certificate of a machine, at auth server ${n + 1}`,
      tried: () => verdictOfAuth(auth(n), forgedHost(hostKey.old, { role: 'Proxy', trusts: taken.host })),
      ...{ whileTrusted: 'admitted', withdrawn: rotated('host') },
    },
  ]),
  {
    what: 'the SSH certificate of a person, at the proxy',
    tried: () => verdictOfSsh(proxySsh(), 'localhost', forgedUser(oldUserKey), taken.host),
    ...{ whileTrusted: 'admitted', withdrawn: noLogin },
  },
  {
    what: 'the SSH certificate of a person, at the node',
    tried: () => verdictOfSsh(node, 'node1', forgedUser(oldUserKey), taken.host),
    ...{ whileTrusted: 'admitted', withdrawn: noLogin },
  },
  {
    what: 'the SSH certificate of a machine, shown to tsh in the place of the proxy',
    tried: tshAtImpostor,
    whileTrusted: /refused the certificate of user 'joe'/,
    withdrawn:
      /is not trusted: the host certificate of localhost is signed by an authority that is not trusted/,
  },
  {
    what: "a proxy's word for the address of a client, at the node",
    tried: () => introducedBy(hostKey.old),
    ...{ whileTrusted: 'admitted', withdrawn: /its certificate: unknown-ca/ },
  },
  {
    what: 'the pin of the old key, at a machine that joins',
    tried: () => joinBy({ pins: [caPinOf(hostKey.old.tlsCertificatePem)] }),
    whileTrusted: 'joined',
    withdrawn: /provided certificate pin does not match cluster pin.* claims that sha256:\S+ was rotated at/,
  },
];

/** What the old key never could, or what takes a machine over: it is tried when the key is withdrawn. */
const tricks: readonly Pick<Use, 'what' | 'tried' | 'withdrawn'>[] = [
  {
    what: 'a machine that joins and knows only the old key believes no server',
    tried: () => joinBy({ pins: [], known: [hostKey.old.tlsCertificatePem] }),
    withdrawn: /its certificate is not signed by an authority this machine knows/,
  },
  {
    what: 'a list of keys that the old one signs, with a great number, is not followed by tsh',
    tried: async () => {
      const { ssh, tls, tlsCertificatePem } = hostKey.old;
      const sshPublicKey = toAuthorizedKeyLine(publicKeyOf(ssh).blob);
      announced = signAnnouncement(
        {
          ...{ clusterName: 'example', type: 'host', number: 1_000_000, at: realWorld.now() },
          keys: [{ keyId: 'old', sshPublicKey, tlsCertificatePem }],
        },
        [{ keyId: 'old', ssh, tls }],
      );
      const { port } = web.address() as AddressInfo;
      return printed(person().tsh('joe', ['config', '--refresh', `--proxy=localhost:${port}`]));
    },
    withdrawn: /not accepted: no key that is trusted here has signed it/,
  },
  {
    what: 'a signed head of the log by the old key is none',
    tried: () => verifiedWith((head) => signHead(head, publicHalf(hostKey.old.ssh), hostKey.old.ssh)),
    withdrawn: /names the key [0-9a-f]{16}, which is not on the log/,
  },
];

describe('a key that is trusted until its rotation has ended', () => {
  it.each(uses)('is good for $what', async ({ tried, whileTrusted }) => {
    expect(await tried()).toMatch(whileTrusted);
  });
});

describe('a key that a rotation has withdrawn', () => {
  beforeAll(async () => {
    const head = await verifiedWith((one) => one);
    expect(head).toMatch(/\nok\n$/);
    await cluster.rotate('standby', '--wait=50s');
    await refresh();
  }, 120_000);

  it.each([...uses, ...tricks])('is refused: $what', async ({ tried, withdrawn }) => {
    expect(await tried()).toMatch(withdrawn);
  });

  it('is not what the proxy announces, nor what signs the announcement', async () => {
    const path = `https://localhost:${person().ports.web}/v1/webapi/authorities`;
    const cert = join(person().dataDir, 'webproxy_cert.pem');
    const { stdout } = await run('curl', ['-sS', '--cacert', cert, path]);
    const { announcement, withdrawn } = (JSON.parse(stdout) as { host: Announced }).host;
    const { keys } = JSON.parse(announcement.text) as { keys: { tlsCertificatePem: string }[] };
    const pinOf = (key: TakenKey): string => caPinOf(key.tlsCertificatePem);
    expect(keys.map((key) => caPinOf(key.tlsCertificatePem))).toEqual([pinOf(hostKey.new)]);
    expect(announcement.signatures).toHaveLength(1);
    expect(withdrawn).toMatchObject([{ ca_pin: pinOf(hostKey.old), why: 'rotated' }]);
  });

  it('leaves the evidence of the log as it was', async () => {
    expect(await printed(cluster.tctl('log', 'verify'))).toMatch(/\nok\n$/);
  });
});
