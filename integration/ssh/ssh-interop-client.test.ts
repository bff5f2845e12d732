import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SshAgent } from '../../src/ssh/agent-client.ts';
import { connectSsh } from '../../src/ssh/cert-client.ts';
import {
  blobOf,
  cleanUp,
  clientOptions,
  makeKey,
  runOverOurs,
  serve,
  sharedKey,
  startAgent,
  startSshd,
  strangeAuthority,
  textOf,
  userAuthority,
  userCertificate,
  userIdentity,
  workDirectory,
  type KeyKind,
  type Served,
} from './ssh-workbench.ts';

const keyKinds: readonly KeyKind[] = ['ed25519', 'p256', 'p384', 'p521', 'rsa'];
const hostAlgorithms = [
  'ssh-ed25519-cert-v01@openssh.com',
  'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  'rsa-sha2-512-cert-v01@openssh.com',
  'rsa-sha2-256-cert-v01@openssh.com',
];
const pairs = <A, B>(as: readonly A[], bs: readonly B[]): [A, B][] =>
  as.flatMap((a) => bs.map((b): [A, B] => [a, b]));

let ours: Served;
let sshd: number;
let agentSocket: string;

beforeAll(async () => {
  ours = await serve();
  sshd = await startSshd();
  agentSocket = await startAgent();
});
afterAll(cleanUp);

describe('our client to our server', () => {
  it.each(pairs(hostAlgorithms, keyKinds))(
    'host key %s, user certificate of %s',
    async (hostAlgorithm, kind) => {
      const client = await connectSsh(
        clientOptions(ours.port, { identities: [userIdentity(kind)], hostKeyAlgorithms: [hostAlgorithm] }),
      );
      expect(client.hostCertificate?.principals).toEqual(['node1', '127.0.0.1']);
      const session = await client.exec('hi');
      expect(await textOf(session.channel)).toBe('ran hi');
      expect(await session.exit).toEqual({ status: 'exited', code: 0 });
      client.close();
      expect(await client.closed).toBeUndefined();
    },
  );

  it('both sides renew keys while data flows', async () => {
    const eager = await serve({ rekeyBytes: 3 << 20 });
    const wish = { rekeyBytes: 2 << 20, hostKeyAlgorithms: ['rsa-sha2-512-cert-v01@openssh.com'] };
    expect((await runOverOurs(eager.port, 'bulk', wish)).length).toBe(48 << 20);
  });
});

describe('our client to sshd', () => {
  it.each(pairs(hostAlgorithms.slice(0, 3), ['ed25519', 'p256', 'p384', 'rsa'] as const))(
    'host key %s, user certificate of %s',
    async (hostAlgorithm, kind) => {
      const identities = [userIdentity(kind, { ca: userAuthority(kind === 'p384' ? 'ed25519' : kind) })];
      const wish = { identities, hostKeyAlgorithms: [hostAlgorithm] };
      expect(await runOverOurs(sshd, 'echo -n sshd-$((40+2))', wish)).toBe('sshd-42');
    },
  );

  it('streams apart, exact exit status', async () => {
    const client = await connectSsh(clientOptions(sshd));
    const session = await client.exec('echo out; echo err >&2; exit 37');
    expect(
      await Promise.all([textOf(session.channel), textOf(session.channel.stderr), session.exit]),
    ).toEqual(['out\n', 'err\n', { status: 'exited', code: 37 }]);
    const killed = await client.exec('kill -TERM $$');
    killed.channel.resume();
    expect(await killed.exit).toMatchObject({ status: 'signalled', signal: 'TERM' });
    client.close();
  });

  it('input is byte-clean, its end arrives', async () => {
    const client = await connectSsh(clientOptions(sshd));
    const session = await client.exec('sha256sum; exit 3');
    const bytes = Buffer.alloc(
      5 << 20,
      Uint8Array.from({ length: 256 }, (_, i) => i),
    );
    session.channel.end(bytes);
    const { createHash } = await import('node:crypto');
    expect(await textOf(session.channel)).toContain(createHash('sha256').update(bytes).digest('hex'));
    expect(await session.exit).toEqual({ status: 'exited', code: 3 });
    client.close();
  });

  it('a shell on a terminal, which is resized and interrupted', async () => {
    const client = await connectSsh(clientOptions(sshd));
    const size = { columns: 91, rows: 33, widthPixels: 0, heightPixels: 0 };
    const session = await client.exec('stty size; read -r line; stty size; echo "got $line $TERM"', {
      pty: { term: 'vt220', size, modes: new Map([[53, 0]]) },
    });
    let text = '';
    for await (const chunk of session.channel) {
      text += String(chunk);
      if (text === '33 91\r\n') {
        session.windowChange({ ...size, columns: 120 });
        session.channel.write('go\n');
      }
    }
    expect(text).toBe('33 91\r\n33 120\r\ngot go vt220\r\n');
    client.close();
  });

  it('the sftp subsystem answers; an unknown one is refused', async () => {
    const client = await connectSsh(clientOptions(sshd));
    const { channel } = await client.subsystem('sftp');
    channel.write(Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3])); // SSH_FXP_INIT, version 3
    for await (const chunk of channel) {
      expect((chunk as Buffer)[4]).toBe(2); // SSH_FXP_VERSION
      break;
    }
    await expect(client.subsystem('nothing')).rejects.toMatchObject({ code: 'access_denied' });
    client.close();
  });

  it('forwards through direct-tcpip, and runs over such a channel again', async () => {
    const client = await connectSsh(clientOptions(sshd));
    const stream = await client.forwardOut({ host: '127.0.0.1', port: sshd });
    const inner = await connectSsh({ ...clientOptions(sshd), target: { stream } });
    const session = await inner.exec('echo -n inner');
    expect(await textOf(session.channel)).toBe('inner');
    inner.close();
    await inner.closed;
    await expect(client.forwardOut({ host: '127.0.0.1', port: 1 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    client.close();
  });

  it('many channels on one connection', async () => {
    const client = await connectSsh(clientOptions(ours.port));
    const texts = Array.from({ length: 100 }, async (_, i) => textOf((await client.exec(String(i))).channel));
    expect(await Promise.all(texts)).toEqual(Array.from({ length: 100 }, (_, i) => `ran ${i}`));
    client.close();
  });

  it('group exchange with an RSA host certificate', async () => {
    const algorithms = {
      ciphers: ['aes128-ctr'],
      keyExchanges: ['diffie-hellman-group-exchange-sha256'],
      macs: ['hmac-sha2-256'],
    };
    const wish = { algorithms, hostKeyAlgorithms: ['rsa-sha2-512-cert-v01@openssh.com'] };
    expect(await runOverOurs(sshd, 'echo -n gex', wish)).toBe('gex');
  });

  it('sshd asks for new keys again and again, each time with its RSA certificate', async () => {
    const eager = await startSshd('RekeyLimit 1M');
    const wish = { hostKeyAlgorithms: ['rsa-sha2-512-cert-v01@openssh.com'] };
    expect((await runOverOurs(eager, 'head -c 33554432 /dev/zero', wish)).length).toBe(33554432);
  });

  it('our client refuses sshd when its authority is not trusted', async () => {
    const refused = runOverOurs(sshd, 'true', { hostAuthorities: () => [blobOf(strangeAuthority())] });
    await expect(refused).rejects.toMatchObject({
      code: 'access_denied',
      message: expect.stringMatching(
        /^handshake failed: the host certificate of 127\.0\.0\.1 is signed by an authority/,
      ) as string,
    });
  });

  it('sshd refuses our certificate for another name', async () => {
    const refused = runOverOurs(sshd, 'true', {
      identities: [userIdentity('ed25519', { principals: ['nobody'] })],
    });
    await expect(refused).rejects.toMatchObject({ code: 'access_denied' });
  });
});

describe('certificates in ssh-agent', () => {
  it.each(keyKinds)('one of %s is added, listed, used with both servers, and removed', async (kind) => {
    const agent = new SshAgent(agentSocket);
    const privateKey = sharedKey(kind, 'user');
    const certificate = userCertificate(privateKey);
    await agent.add({ privateKey, certificate, comment: 'teleport:alice', lifetimeSeconds: 60 });
    const identities = await agent.identities();
    expect(identities.map(({ blob, comment }) => ({ blob, comment }))).toEqual([
      { blob: certificate, comment: 'teleport:alice' },
    ]);
    expect(await runOverOurs(ours.port, 'hi', { identities })).toBe('ran hi');
    expect(await runOverOurs(sshd, 'echo -n hi', { identities: () => agent.identities() })).toBe('hi');
    await agent.remove(certificate);
    expect(await agent.identities()).toEqual([]);
  });

  it.each(keyKinds)('a plain key of %s is taken too', async (kind) => {
    const agent = new SshAgent(agentSocket);
    const privateKey = sharedKey(kind, 'user');
    await agent.add({ privateKey, comment: 'plain' });
    expect((await agent.identities()).map(({ blob }) => blob)).toEqual([blobOf(privateKey)]);
    await agent.remove(blobOf(privateKey));
  });

  it('plain keys beside the certificate do no harm', async () => {
    const agent = new SshAgent(agentSocket);
    for (let i = 0; i < 8; i++) await agent.add({ privateKey: makeKey('ed25519'), comment: `key ${i}` });
    const privateKey = sharedKey('ed25519', 'user');
    await agent.add({ privateKey, certificate: userCertificate(privateKey), comment: 'certificate' });
    expect(await runOverOurs(ours.port, 'hi', { identities: () => agent.identities() })).toBe('ran hi');
    await Promise.all((await agent.identities()).map(({ blob }) => agent.remove(blob)));
  });

  it('an agent that is not there counts as empty', async () => {
    const troubles: string[] = [];
    const agent = new SshAgent(`${workDirectory()}/no-agent`);
    expect(await agent.identitiesOrNone((reason) => troubles.push(reason))).toEqual([]);
    expect(troubles.join()).toContain('ENOENT');
  });
});
