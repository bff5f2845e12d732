import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { run, type Ran } from '../harness/run-program.ts';
import {
  authorityLine,
  blobOf,
  cleanUp,
  commands,
  hostAuthority,
  makeKey,
  saveKey,
  serve,
  sharedKey,
  startAgent,
  strangeAuthority,
  textOf,
  userAuthority,
  userCertificate,
  writeText,
  type KeyKind,
  type Served,
} from './ssh-workbench.ts';

const hostAlgorithms = [
  'ssh-ed25519-cert-v01@openssh.com',
  'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  'rsa-sha2-512-cert-v01@openssh.com',
  'rsa-sha2-256-cert-v01@openssh.com',
];
const pairs = <A, B>(as: readonly A[], bs: readonly B[]): [A, B][] =>
  as.flatMap((a) => bs.map((b): [A, B] => [a, b]));

let ours: Served;
let agentSocket: string;
let knownHosts: string;

beforeAll(async () => {
  ours = await serve();
  agentSocket = await startAgent();
  knownHosts = writeText('known_hosts', authorityLine(hostAuthority('ed25519')));
});
afterAll(cleanUp);

/** Stock ssh with the given key file. Verbose, so that stderr tells what was negotiated. */
const ssh = (
  port: number,
  key: string | undefined,
  options: readonly string[] = [],
  command = 'hello',
): Promise<Ran> =>
  run('ssh', [
    ...['-F', 'none', '-v', '-p', String(port)],
    ...options.flatMap((option) => ['-o', option]),
    ...['-o', 'BatchMode=yes', '-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'GlobalKnownHostsFile=none'],
    ...['-o', 'StrictHostKeyChecking=yes'],
    ...(key === undefined ? [] : ['-o', 'IdentitiesOnly=yes', '-i', key]),
    'root@127.0.0.1',
    command,
  ]);

const savedUser = (kind: KeyKind): string =>
  saveKey(
    `user_${kind}`,
    sharedKey(kind, 'user'),
    userCertificate(sharedKey(kind, 'user'), {
      ca: userAuthority(kind === 'p384' || kind === 'p521' ? 'ed25519' : kind),
    }),
  );

describe('ssh(1) to our server', () => {
  it.each(pairs(hostAlgorithms, ['ed25519', 'p256', 'rsa'] as const))(
    'host key %s, user certificate of %s',
    async (hostAlgorithm, kind) => {
      const ran = await ssh(ours.port, savedUser(kind), [`HostKeyAlgorithms=${hostAlgorithm}`]);
      expect(ran.stdout, ran.stderr).toBe('ran hello');
      expect(ran.stderr).toContain(`kex: host key algorithm: ${hostAlgorithm}`);
      expect(ran.stderr).toContain('Server host certificate:');
    },
  );

  it.each([
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
  ])('key exchange %s', async (kex) => {
    const ran = await ssh(ours.port, savedUser('ed25519'), [`KexAlgorithms=${kex}`]);
    expect(ran.stdout, ran.stderr).toBe('ran hello');
  });

  it.each([
    'aes128-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
  ])('cipher %s, 48 MiB down and 8 MiB up', async (cipher) => {
    const options = [`Ciphers=${cipher}`];
    const down = await ssh(ours.port, savedUser('ed25519'), options, 'bulk');
    expect(down.stdout.length, down.stderr).toBe(48 << 20);
    expect(down.stderr).toContain(`cipher: ${cipher}`);
  });

  it.each(['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'])('MAC %s', async (mac) => {
    const ran = await ssh(ours.port, savedUser('ed25519'), ['Ciphers=aes128-ctr', `MACs=${mac}`]);
    expect(ran.stdout, ran.stderr).toBe('ran hello');
  });

  it.each(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512'])('plain host key %s', async (algorithm) => {
    const keys = (['ed25519', 'p256', 'rsa'] as const).map((kind) =>
      toAuthorizedKeyLine(blobOf(sharedKey(kind, 'host'))),
    );
    const file = writeText('known_plain', keys.map((line) => `[127.0.0.1]:${ours.port} ${line}\n`).join(''));
    const ran = await ssh(ours.port, savedUser('ed25519'), [
      `HostKeyAlgorithms=${algorithm}`,
      `UserKnownHostsFile=${file}`,
    ]);
    expect(ran.stdout, ran.stderr).toBe('ran hello');
    expect(ran.stderr).toContain(`kex: host key algorithm: ${algorithm}`);
  });

  it('announces its signature algorithms, none of them with SHA-1', async () => {
    const { stderr } = await ssh(ours.port, savedUser('ed25519'));
    const announced = /server-sig-algs=<([^>]*)>/.exec(stderr)?.[1]?.split(',') ?? [];
    expect(announced).toContain('ecdsa-sha2-nistp521');
    expect(announced).toContain('rsa-sha2-512');
    expect(announced).not.toContain('ssh-rsa');
  });

  it('the client asks for new keys again and again, while data flows', async () => {
    const options = ['RekeyLimit=1M', 'HostKeyAlgorithms=rsa-sha2-512-cert-v01@openssh.com'];
    const ran = await ssh(ours.port, savedUser('ed25519'), options, 'bulk');
    expect(ran.code, ran.stderr.slice(-500)).toBe(0);
    expect(ran.stdout.length).toBe(48 << 20);
    expect(ran.stderr.match(/SSH2_MSG_KEXINIT sent/g)?.length).toBeGreaterThan(10);
  });

  it('the server asks for new keys again and again, while data flows both ways', async () => {
    const eager = await serve({ rekeyBytes: 1 << 20 });
    const user = savedUser('ed25519'); // once: a client must not read it while it is written again
    const [down, up] = await Promise.all([
      ssh(eager.port, user, [], 'bulk'),
      run(
        'ssh',
        [
          ...['-F', 'none', '-p', String(eager.port), '-i', user, '-o', 'BatchMode=yes'],
          ...['-o', `UserKnownHostsFile=${knownHosts}`, 'root@127.0.0.1', 'sink'],
        ],
        { input: Buffer.alloc(24 << 20) },
      ),
    ]);
    expect(down.code, down.stderr.slice(-500)).toBe(0);
    expect(down.stdout.length).toBe(48 << 20);
    expect(down.stderr.match(/SSH2_MSG_KEXINIT received/g)?.length).toBeGreaterThan(10);
    expect(up.stdout, up.stderr).toBe(String(24 << 20));
  });

  it('a certificate with force-command runs that, from its source-address', async () => {
    const key = makeKey('ed25519');
    const criticalOptions = { 'force-command': '/bin/forced', 'source-address': '127.0.0.1/32' };
    const ran = await ssh(ours.port, saveKey('forced', key, userCertificate(key, { criticalOptions })));
    expect(ran.stdout, ran.stderr).toBe('ran /bin/forced');
  });

  it('the client refuses a host certificate of another authority', async () => {
    const file = writeText('known_strange', authorityLine(strangeAuthority()));
    const ran = await ssh(ours.port, savedUser('ed25519'), [`UserKnownHostsFile=${file}`]);
    expect(ran.code).not.toBe(0);
    expect(ran.stdout).toBe('');
  });

  it.each(['ed25519', 'p256', 'rsa'] as const)('with a certificate of %s in ssh-agent', async (kind) => {
    const env = { ...process.env, SSH_AUTH_SOCK: agentSocket };
    await run('ssh-add', ['-q', savedUser(kind)], { env });
    const ran = await run(
      'ssh',
      [
        '-F',
        'none',
        '-p',
        String(ours.port),
        '-o',
        'BatchMode=yes',
        '-o',
        `UserKnownHostsFile=${knownHosts}`,
        'root@127.0.0.1',
        'agent',
      ],
      { env },
    );
    expect(ran.stdout, ran.stderr).toBe('ran agent');
    await run('ssh-add', ['-q', '-D'], { env });
  });

  it('input that ends before the command is accepted is not lost', async () => {
    const late = await serve({}, (connection) => ({
      session: (open) => {
        const handlers = commands(connection);
        handlers.session?.({
          ...open,
          accept: (onRequest) =>
            open.accept((request) => {
              setImmediate(() =>
                setImmediate(() => {
                  onRequest(request);
                }),
              );
            }),
        });
      },
    }));
    const ran = await run(
      'ssh',
      [
        '-F',
        'none',
        '-p',
        String(late.port),
        '-i',
        savedUser('ed25519'),
        '-o',
        `UserKnownHostsFile=${knownHosts}`,
        'root@127.0.0.1',
        'sink',
      ],
      { input: 'twelve bytes' },
    );
    expect(ran.stdout, ran.stderr).toBe('12');
  });

  it('ssh -W pipes through direct-tcpip, each direction to its own end', async () => {
    const forwarding = await serve({}, () => ({
      forward: (open) => {
        const channel = open.accept();
        void (async () => {
          const got = await textOf(channel); // ends at the client's EOF
          channel.end(`${open.target.host}:${open.target.port} got ${got}`);
        })();
      },
    }));
    const ran = await run(
      'ssh',
      [
        '-F',
        'none',
        '-p',
        String(forwarding.port),
        '-i',
        savedUser('ed25519'),
        '-o',
        `UserKnownHostsFile=${knownHosts}`,
        '-W',
        'inner:2222',
        'root@127.0.0.1',
      ],
      { input: 'ping' },
    );
    expect(ran.stdout, ran.stderr).toBe('inner:2222 got ping');
  });

  it('stdout, stderr and the exit signal arrive apart and whole', async () => {
    const both = await serve({}, () => ({
      session: (open) => {
        const channel = open.accept((request) => {
          request.accept();
          if (request.type !== 'exec') return;
          for (let i = 0; i < 200; i++) {
            channel.write(Buffer.alloc(30_000, 'o'));
            channel.stderr.write(Buffer.alloc(30_000, 'e'));
          }
          void channel.finish({ status: 'signalled', signal: 'TERM', coreDumped: false, message: 'stopped' });
        });
      },
    }));
    const ran = await run('ssh', [
      '-F',
      'none',
      '-q',
      '-p',
      String(both.port),
      '-i',
      savedUser('ed25519'),
      '-o',
      `UserKnownHostsFile=${knownHosts}`,
      'root@127.0.0.1',
      'x',
    ]);
    expect(ran.stdout.length).toBe(6_000_000);
    expect(ran.stderr.replace(/[^e]/g, '').length).toBe(6_000_000);
    expect(ran.code).toBe(255);
  });
});
