import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { joinCluster, type Joining, tryIdentity } from '../../src/api/join-client.ts';
import type { HostPort } from '../../src/base/service.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { fromAuthorizedKeyLine, parsePublicKey } from '../../src/pki/ssh-key.ts';
import { type TestAuthority, testAuthority } from '../../src/process/testing.ts';

const hostId = randomUUID();
const own = testAuthority('example', realWorld.now());
const evil = testAuthority('example', realWorld.now());
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Answer {
  readonly status: number;
  readonly body: string;
}
const ok = (value: object): Answer => ({ status: 200, body: JSON.stringify(value) });

/** An auth server as an attacker, or a broken one, might be. Keeps what it was sent. */
interface Peer {
  readonly address: HostPort;
  readonly got: { path: string; body: string }[];
}

interface PeerOptions {
  /** Whose certificate it shows. */
  readonly shows?: TestAuthority;
  /** Which authorities it names. */
  readonly names?: readonly TestAuthority[];
  readonly role?: string;
  /** By operation; default: as an auth server that takes any token. */
  readonly answers?: Readonly<Record<string, (body: string) => Answer | undefined>>;
}

async function startPeer({ shows = own, names = [shows], role = 'Auth', answers = {} }: PeerOptions = {}) {
  const certificate = shows.issue({ hostId: randomUUID(), role });
  const got: Peer['got'] = [];
  const usual: NonNullable<PeerOptions['answers']> = {
    'cluster.ping': () => ok({ clusterName: 'example', serverVersion: '4.5.0' }),
    'cluster.host-authorities': () =>
      ok({
        clusterName: 'example',
        checkingKeys: names.map(({ sshKey }) => sshKey),
        tlsCertificatesPem: names.map(({ pem }) => pem),
      }),
    'host.join': (body) => ok(certify(body, shows)),
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    const path = request.url ?? '';
    got.push({ path, body });
    const answer = { ...usual, ...answers }[path.replace('/v3/', '')]?.(body);
    if (answer === undefined) {
      request.socket.destroy();
      return;
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(answer.body);
  };
  const server: Server = createServer(
    {
      key: certificate.privateKeyPem,
      cert: certificate.tlsCertificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => void serve(request, response),
  );
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, got };
}

/** What a real auth server answers, but for the private key, which it never sees. */
function certify(body: string, by: TestAuthority): object {
  const asked = JSON.parse(body) as { hostId: string; role: string; publicKey: string };
  const { key } = parsePublicKey(fromAuthorizedKeyLine(asked.publicKey));
  const { clusterName, sshCertificate, tlsCertificatePem, tlsCasPem, sshHostCas } = by.certify({
    hostId: asked.hostId,
    role: asked.role,
    key,
  });
  return { clusterName, sshCertificate, tlsCertificatePem, tlsCasPem, sshHostCas };
}

const joining = (token = 's3cret-token'): Joining => ({
  hostId,
  nodename: 'n1',
  role: 'Node',
  additionalPrincipals: ['n1'],
  key: generateEd25519(),
  token: () => token,
});
const heard = ({ got }: Peer): string => JSON.stringify(got);
const join = (peers: readonly Peer[], pins: readonly string[], world: World = realWorld) =>
  joinCluster({ servers: peers.map(({ address }) => address), pins }, joining(), world);
const denied = (message: RegExp) => ({
  code: 'access_denied',
  message: expect.stringMatching(message) as string,
});

describe('joining over TLS', () => {
  it('reads the authorities first, and sends the token over a second, verified connection', async () => {
    const peer = await startPeer();
    const identity = await join([peer], [own.pin]);
    expect(identity).toMatchObject({ hostId, role: 'Node', clusterName: 'example', tlsCasPem: [own.pem] });
    expect(peer.got.map(({ path }) => path)).toEqual(['/v3/cluster.host-authorities', '/v3/host.join']);
    expect(peer.got[0]?.body).not.toContain('s3cret');
    const sent = JSON.parse(peer.got[1]?.body ?? '') as { token: string; sentAt: string };
    expect(sent.token).toBe('s3cret-token');
    expect(Math.abs(Date.parse(sent.sentAt) - Date.now())).toBeLessThan(10_000);
  });

  it('tells nothing to a server with another pin', async () => {
    const peer = await startPeer({ shows: evil });
    await expect(join([peer], [own.pin])).rejects.toMatchObject(
      denied(
        /certificate pin does not match.*Expected: sha256:[0-9a-f]{64}\. Got from 127\.0\.0\.1:\d+: sha256:/,
      ),
    );
    expect(heard(peer)).not.toContain('s3cret');
    expect(peer.got).toHaveLength(1);
  });

  it('tells nothing to one that names the real authority, alone or beside its own', async () => {
    for (const names of [[own], [own, evil], [evil, own]]) {
      const peer = await startPeer({ shows: evil, names });
      await expect(join([peer], [own.pin])).rejects.toMatchObject(
        denied(/its certificate is not signed by an authority with a configured pin/),
      );
      expect(heard(peer)).not.toContain('s3cret');
    }
  });

  it('tells nothing, without a pin, to one that does not hold what it names', async () => {
    const peer = await startPeer({ shows: evil, names: [own] });
    await expect(join([peer], [])).rejects.toMatchObject(denied(/not signed by the authority it named/));
    expect(heard(peer)).not.toContain('s3cret');
  });

  it('tells nothing to a node of the cluster that poses as its auth server', async () => {
    for (const role of ['Node', 'Proxy']) {
      const peer = await startPeer({ role });
      await expect(join([peer], [own.pin])).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('is not an auth server') as string,
      });
      expect(heard(peer)).not.toContain('s3cret');
    }
  });

  it('takes any of several pins, and any of several servers', async () => {
    const wrong = await startPeer({ shows: evil });
    const good = await startPeer();
    const gone = { address: { host: '127.0.0.1', port: 1 }, got: [] };
    await expect(join([gone, wrong, good], [`sha256:${'0'.repeat(64)}`, own.pin])).resolves.toMatchObject({
      clusterName: 'example',
    });
    expect(heard(wrong)).not.toContain('s3cret');
  });

  it('names each server that was tried, and what somebody has to mend first', async () => {
    const gone = { address: { host: '127.0.0.1', port: 1 }, got: [] };
    const wrong = await startPeer({ shows: evil });
    await expect(join([gone, wrong], [own.pin])).rejects.toMatchObject(
      denied(/^127\.0\.0\.1:\d+: provided certificate pin .*; 127\.0\.0\.1:1: connect ECONNREFUSED/),
    );
    await expect(join([gone], [own.pin])).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('asks no second server when the cluster has refused the token', async () => {
    const refusing = await startPeer({
      answers: {
        'host.join': () => ({
          status: 403,
          body: '{"code":"access_denied","message":"the token is not valid"}',
        }),
      },
    });
    const other = await startPeer();
    await expect(join([refusing, other], [own.pin])).rejects.toMatchObject(denied(/the token is not valid/));
    expect(other.got).toEqual([]);
  });

  it('takes no certificates that are not for it', async () => {
    const strange: ((body: string) => Answer)[] = [
      (body) => ok(certify(JSON.stringify({ ...(JSON.parse(body) as object), role: 'Auth' }), own)),
      (body) => ok(certify(JSON.stringify({ ...(JSON.parse(body) as object), hostId: randomUUID() }), own)),
      (body) => ok({ ...certify(body, own), tlsCasPem: [evil.pem] }),
    ];
    for (const answer of strange) {
      const peer = await startPeer({ answers: { 'host.join': answer } });
      await expect(join([peer], [own.pin])).rejects.toMatchObject({ code: 'damaged' });
    }
  });

  it('blames the clock of this machine when it is behind', async () => {
    const peer = await startPeer();
    const behind: World = { ...realWorld, now: () => new Date(Date.now() - 3_600_000).toISOString() };
    await expect(join([peer], [own.pin], behind)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('clock skew') as string,
    });
    expect(heard(peer)).not.toContain('s3cret');
  });

  it('does not choke on a server that sends without end, nonsense, or nothing', async () => {
    const answers: (() => Answer | undefined)[] = [
      () => ({ status: 200, body: 'x'.repeat(3_000_000) }),
      () => ({ status: 200, body: '{"clusterName":7}' }),
      () => ({ status: 404, body: '<html>' }),
      () => ok({ clusterName: 'example', checkingKeys: [], tlsCertificatesPem: ['nonsense'] }),
      () => undefined,
    ];
    for (const answer of answers) {
      const peer = await startPeer({ answers: { 'cluster.host-authorities': answer } });
      await expect(join([peer], [own.pin])).rejects.toMatchObject({ name: 'CodedError' });
      expect(heard(peer)).not.toContain('s3cret');
    }
  });

  it('says so when what answers speaks no TLS', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    closers.push(() => server.close());
    const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
    await expect(join([{ address, got: [] }], [own.pin])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('does not speak TLS') as string,
    });
  });
});

describe('showing an identity to an auth server', () => {
  const identity = own.issue({ hostId, role: 'Node' });
  it('tells admitted, refused by the own cluster, refused by a stranger, and away apart', async () => {
    const good = await startPeer();
    expect(await tryIdentity(good.address, identity, realWorld)).toEqual({ status: 'admitted' });
    const refusing = await startPeer({
      answers: { 'cluster.ping': () => ({ status: 403, body: '{"code":"access_denied","message":"no"}' }) },
    });
    expect(await tryIdentity(refusing.address, identity, realWorld)).toMatchObject({
      status: 'refused',
      by: 'own-cluster',
      reason: 'no',
    });
    const other = await startPeer({ shows: evil });
    expect(await tryIdentity(other.address, identity, realWorld)).toMatchObject({
      status: 'refused',
      by: 'stranger',
    });
    expect(await tryIdentity({ host: '127.0.0.1', port: 1 }, identity, realWorld)).toMatchObject({
      status: 'away',
      reason: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  it('takes a server that cuts the connection for away, never for a refusal', async () => {
    const cutting = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.resetAndDestroy();
    });
    await new Promise<void>((ready) => cutting.listen(0, '127.0.0.1', ready));
    closers.push(() => cutting.close());
    const { port } = cutting.address() as AddressInfo;
    expect(await tryIdentity({ host: '127.0.0.1', port }, identity, realWorld)).toMatchObject({
      status: 'away',
    });
  });
});
