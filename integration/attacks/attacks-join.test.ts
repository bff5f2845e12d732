import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { joinCluster, type Joining } from '../../src/api/join-client.ts';
import { realWorld } from '../../src/base/world.ts';
import { generateEd25519, generateP256, privateKeyPem } from '../../src/pki/key-pair.ts';
import { parseCertificate } from '../../src/pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { issueHostTlsCertificate } from '../../src/pki/tls-identity.ts';
import { createCaCertificate } from '../../src/pki/x509.ts';
import { type Answer, type Asking, type Attacked, startAttacked, tokens, uuid } from './attacked.ts';
import { until } from '../harness/run-program.ts';

let here: Attacked;
beforeAll(async () => {
  here = await startAttacked();
});
afterAll(() => here.cluster.close());

const publicKey = toAuthorizedKeyLine(publicKeyOf(generateEd25519()).blob);
/** `localAddress` where many come: twenty a second are looked at from each. */
const ask = (wish: object, asking: Asking = {}): Promise<Answer> =>
  here.auth('/v3/host.join', {
    ...asking,
    body: JSON.stringify({
      ...{ hostId: uuid(7), nodename: 'n7', role: 'Node', token: tokens.node, publicKey },
      ...{ additionalPrincipals: [], sentAt: realWorld.now() },
      ...wish,
    }),
  });
const told = ({ body }: Answer): string => (JSON.parse(body) as { message: string }).message;

describe('who has no token', () => {
  const wrong = [
    ...['', 'x', 'x'.repeat(1024), tokens.node.slice(0, -1), `${tokens.node}x`, tokens.node.toUpperCase()],
    ...['constructor', '__proto__', '\u0000', '☃'.repeat(300), `${tokens.node}\n`, '../../etc/passwd'],
  ];
  it('is told the same, whatever was guessed, for whichever role and host', async () => {
    for (const token of wrong) {
      const answer = await ask({ token }, { localAddress: '127.0.0.11' });
      expect(answer.status).toBe(403);
      expect(told(answer)).toBe(
        `"n7" [${uuid(7)}] can not join the cluster with role Node, the token is not valid`,
      );
    }
    expect((await ask({ token: 'x'.repeat(1025) }, { localAddress: '127.0.0.11' })).status).toBe(400);
    const ofProxy = await ask({ role: 'Proxy', token: 'x', hostId: here.node.hostId });
    expect(told(ofProxy)).toMatch(/the token is not valid$/);
    for (const role of ['Admin', 'Auth', 'admin', ''])
      expect((await ask({ role }, { localAddress: '127.0.0.12' })).status).toBe(400);
  });

  it('learns nothing from the time it takes', async () => {
    const median = async (token: string, from: string): Promise<number> => {
      const times: number[] = [];
      for (let i = 0; i < 9; i++) {
        const began = performance.now();
        await ask({ token }, { localAddress: from });
        times.push(performance.now() - began);
      }
      return times.sort((a, b) => a - b)[4] ?? 0;
    };
    const far = await median('x', '127.0.0.13');
    const near = await median(`${tokens.node}x`, '127.0.0.14');
    expect(Math.abs(far - near)).toBeLessThan(50);
  });

  it('gets twenty answers a second out of a thousand guesses; the audit counts them; others join meanwhile', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 20, localAddress: '127.0.0.15' });
    const began = performance.now();
    const guesses = Array.from({ length: 1_000 }, (_, i) => ask({ token: `guess-${i}` }, { agent }));
    const other = await here.join(here.joining({ nodename: 'meanwhile' }));
    expect(other.role).toBe('Node');
    const answers = await Promise.all(guesses);
    const seconds = (performance.now() - began) / 1000;
    agent.destroy();
    const looked = answers.filter(({ status }) => status === 403).length;
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(1_000 - looked);
    expect(looked).toBeLessThanOrEqual(20 + 20 * (seconds + 1));
    const limited = answers.find(({ status }) => status === 429);
    expect(limited && told(limited)).toMatch(/^too many attempts to join from this address/);
    await until('the audit to count them', async () => {
      const gaps = await here.events('gap');
      const counted = gaps.map(({ addresses }) => (addresses as Record<string, number>)['127.0.0.15'] ?? 0);
      return counted.reduce((a, b) => a + b, 0) > 900 ? true : undefined;
    });
    const single = (await here.events('join_token.use')).filter(
      (event) => event['success'] === false && String(event['addr.remote']).startsWith('127.0.0.15'),
    );
    expect(single.length).toBeLessThanOrEqual(2 + 2 * (seconds + 1));
    expect(here.cluster.output()).not.toContain('guess-');
  });
});

describe('who has a token', () => {
  let addresses = 0;
  it('comes in once with one for one use, and in no other role', async () => {
    const made = await here.cluster.tctl('tokens', 'add', '--type=node', '--uses=1', '--format=json');
    const [token = ''] = JSON.parse(made.stdout) as string[];
    expect((await ask({ token, role: 'Proxy', hostId: uuid(20) })).body).toContain(
      'the token does not allow \\"Proxy\\" role',
    );
    expect((await ask({ token, hostId: uuid(21) })).status).toBe(200);
    expect((await ask({ token, hostId: uuid(22) })).body).toContain('the token is used up');
    const refused = (await here.events('join_token.use')).filter(({ success }) => success === false);
    for (const host_id of [uuid(20), uuid(22)])
      expect(refused).toContainEqual(expect.objectContaining({ host_id, code: 'TJT02W' }));
    expect(JSON.stringify(refused) + here.cluster.output()).not.toContain(token);
  });

  it('does not get the id of the auth server, of a proxy, or of a node that is alive', async () => {
    const listed = await here.cluster.tctl('nodes', 'ls', '--format=json');
    const [alive] = JSON.parse(listed.stdout) as { hostId?: string; metadata?: { name: string } }[];
    const hostId = alive?.hostId ?? alive?.metadata?.name ?? '';
    expect(hostId).toMatch(/^[0-9a-f-]{36}$/);
    // One process with all roles has one id.
    const ofAuth = await ask({ hostId });
    expect([ofAuth.status, told(ofAuth)]).toEqual([
      403,
      expect.stringMatching(/its host id is that of a machine in role (Auth|Proxy), to which the token/),
    ]);
    expect((await ask({ hostId: here.proxy.hostId })).body).toContain('that of a machine in role Proxy');
    for (const malformed of ['', '../x', hostId.toUpperCase(), `${hostId}\n`, '0'.repeat(300)])
      expect((await ask({ hostId: malformed }, { localAddress: '127.0.0.17' })).status).toBe(400);
  });

  it.each([
    ...['a,b', 'a\nb', 'a\u0000b', 'a\u001b[2Jb', '', '*', '*.example', 'x'.repeat(300), 'x*y'],
    ...['teleport.cluster.local', 'x.teleport.cluster.local', 'Teleport.Cluster.LOCAL.', uuid(99)],
    ...[
      `${uuid(99)}.example`,
      `${uuid(99).toUpperCase().replaceAll('0', 'A')}.example`,
      '\ud800',
      'a b',
      '\u202egnp.exe',
    ],
  ])('is not called %j, neither by its name nor beside it', async (name) => {
    const from = { localAddress: `127.0.1.${++addresses}` };
    for (const wish of [{ nodename: name }, { additionalPrincipals: [name] }]) {
      const answer = await ask({ ...wish, hostId: uuid(30) }, from);
      expect({ name, ...answer }).toMatchObject({ status: 400 });
      expect(answer.body).not.toContain('\u001b');
    }
  });

  it("is not called as the cluster's own machine, its proxy or another node", async () => {
    const from = { localAddress: '127.0.2.1' };
    for (const wish of [
      { nodename: here.cluster.nodename },
      { additionalPrincipals: [`${here.cluster.nodename}.example`] },
      { nodename: 'localhost' },
    ]) {
      const answer = await ask({ ...wish, hostId: uuid(31) }, from);
      expect([answer.status, told(answer)]).toEqual([
        403,
        expect.stringMatching(
          /can not join the cluster with role Node, (the name "node1|"localhost" is every machine)/,
        ),
      ]);
    }
    const answer = await ask(
      { hostId: uuid(31), additionalPrincipals: ['localhost', '127.0.0.1', '::1', 'n7.lan'] },
      from,
    );
    const given = JSON.parse(answer.body) as { sshCertificate: string; tlsCertificatePem: string };
    const { principals } = parseCertificate(fromAuthorizedKeyLine(given.sshCertificate));
    expect(principals).toEqual([`${uuid(31)}.example`, uuid(31), 'n7.example', 'n7', 'n7.lan']);
    expect(new X509Certificate(given.tlsCertificatePem).subjectAltName).toBe('DNS:n7, DNS:n7.lan');
  });

  it("takes no name from a node by announcing it, and tells nobody's session or terminal anything", async () => {
    const said = (extra: object, who = here.node): object => ({
      host: {
        ...{
          hostId: who.hostId,
          role: who.role,
          nodename: who === here.node ? 'n1' : 'p1',
          address: '127.0.0.1:9',
          publicAddress: '',
        },
        ...{ sshPublicAddress: '', labels: {}, version: '4.5.0', ...extra },
      },
      ttlSeconds: 600,
    });
    const beat = (extra: object, who = here.node): Promise<Answer> =>
      here.auth('/v3/host.heartbeat', { as: who, body: JSON.stringify(said(extra, who)) });
    const text = 'x:1\nBASH_ENV=$(id)';
    const wrong = [
      ...[
        { address: `${here.cluster.nodename}:3022` },
        { nodename: here.cluster.nodename },
        { nodename: 'n9' },
      ],
      ...[{ publicAddress: text }, { sshPublicAddress: '*:3023' }, { address: text }, { nodename: text }],
      ...[
        { version: text },
        { labels: { l: text } },
        { labels: { [text]: 'x' } },
        { publicAddress: 'evil.example:443' },
      ],
      ...[{ labels: JSON.parse('{"__proto__":"x"}') as object }, { labels: { l: '\u009b2J\u202e' } }],
    ];
    for (const extra of wrong)
      for (const who of [here.node, here.proxy]) {
        const { status } = await beat(extra, who);
        expect({ extra, refused: status === 400 || status === 403 }).toEqual({ extra, refused: true });
      }
    const listed = await here.cluster.tctl('nodes', 'ls');
    expect(listed.stdout).not.toMatch(/evil|BASH_ENV|n9/);
  });

  it('selects no node by a label that is lost on the way', async () => {
    const selected = (labels: string): Promise<Answer> =>
      here.auth('/v3/host.list', { as: here.alice, body: `{"role":"Node","labels":${labels}}` });
    expect((await selected('{"env":"test"}')).body).toContain(here.cluster.nodename);
    expect((await selected('{"nolabel":"x"}')).body).not.toContain(here.cluster.nodename);
    const lost = await selected('{"__proto__":"x"}');
    expect([lost.status, told(lost)]).toEqual([400, expect.stringContaining('__proto__')]);
  });

  it('has not changed anything by all that', async () => {
    const hosts = await here.cluster.tctl('nodes', 'ls');
    expect(hosts.stdout).not.toMatch(/\u001b|x\*y|\*\.example/);
    await here.unharmed();
  });
});

describe('a fake auth server in front of a machine with a pin', () => {
  const servers: Server[] = [];
  afterAll(() => {
    for (const server of servers) server.closeAllConnections();
    for (const server of servers) server.close();
  });
  const heard: string[] = [];
  /** Answers the open questions as the real one does, or with its own authority, and keeps what it hears. */
  async function fake(claims: 'the real authority' | 'its own'): Promise<number> {
    const caKey = generateP256();
    const now = realWorld.now();
    const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now });
    const key = generateEd25519();
    const cert = issueHostTlsCertificate({
      ...{ publicKey: publicKeyOf(key).key, caPem, caKey, hostId: uuid(50), clusterName: 'example' },
      ...{ role: 'Auth', additionalPrincipals: ['127.0.0.1'], now },
    });
    const real = await here.auth('/v3/cluster.host-authorities', { body: '{}' });
    const own = { ...(JSON.parse(real.body) as object), tlsCertificatesPem: [caPem] };
    const server = createServer({ key: privateKeyPem(key), cert }, (request, response) => {
      void text(request).then((body) => {
        heard.push(`${request.url ?? ''} ${body}`);
        response.end(claims === 'its own' ? JSON.stringify(own) : real.body);
      });
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
  const lured = (port: number, joining: Joining, pins: readonly string[]): Promise<unknown> =>
    joinCluster({ servers: [{ host: '127.0.0.1', port }], pins }, joining, realWorld);

  it.each([
    ['its own', /provided certificate pin does not match cluster pin/],
    ['the real authority', /its certificate is not signed by an authority with a configured pin/],
  ] as const)('that claims %s never hears the token', async (claims, reason) => {
    heard.length = 0;
    const port = await fake(claims);
    await expect(lured(port, here.joining(), [here.pin])).rejects.toThrow(reason);
    expect(heard).toEqual(['/v3/cluster.host-authorities {}']);
    expect(heard.join()).not.toContain(tokens.node);
  });

  it('would hear it without a pin: that is what the pin is for', async () => {
    heard.length = 0;
    await expect(lured(await fake('its own'), here.joining(), [])).rejects.toThrow();
    expect(heard.join()).toContain(tokens.node);
  });
});
