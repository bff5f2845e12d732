import { spawn, type ChildProcess } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log-sink.ts';
import { encodeOpensshPrivateKey } from '../../src/pki/openssh-private-key.ts';
import { issueCertificate, type IssueOptions } from '../../src/pki/ssh-certificate.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { supportedAlgorithms } from '../../src/ssh/algorithms.ts';
import { connectSsh, keyIdentity, type Identity, type SshClientOptions } from '../../src/ssh/cert-client.ts';
import {
  createSshServer,
  type AuthFailure,
  type ConnectionHandlers,
  type HostKey,
  type SshConnection,
  type SshServer,
  type SshServerOptions,
} from '../../src/ssh/cert-server.ts';

export type KeyKind = 'ed25519' | 'p256' | 'p384' | 'p521' | 'rsa';

const generators: Readonly<Record<KeyKind, () => KeyObject>> = {
  ed25519: () => generateKeyPairSync('ed25519').privateKey,
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  p521: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};
export const makeKey = (kind: KeyKind): KeyObject => generators[kind]();

export const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));

/** RSA keys cost half a second each: the tests share one of each kind where it does not matter. */
const shared = new Map<string, KeyObject>();
export function sharedKey(kind: KeyKind, purpose: string): KeyObject {
  const name = `${kind} ${purpose}`;
  const key = shared.get(name) ?? makeKey(kind);
  shared.set(name, key);
  return key;
}

export const userAuthority = (kind: KeyKind): KeyObject => sharedKey(kind, 'user authority');
export const hostAuthority = (kind: KeyKind): KeyObject => sharedKey(kind, 'host authority');
/** Of another cluster: nobody here trusts it. */
export const strangeAuthority = (): KeyObject => sharedKey('ed25519', 'strange authority');

export const blobOf = (key: KeyObject): Buffer => publicKeyOf(key).blob;
export const userAuthorities = (): Buffer[] =>
  (['ed25519', 'p256', 'rsa'] as const).map((kind) => blobOf(userAuthority(kind)));

type Wish = Partial<IssueOptions>;

export const userCertificate = (key: KeyObject, wish: Wish = {}): Buffer =>
  issueCertificate({
    key: publicKeyOf(key),
    ca: userAuthority('ed25519'),
    kind: 'user',
    keyId: 'alice',
    principals: ['root'],
    serial: 42n,
    validAfter: now() - 60n,
    validBefore: now() + 3600n,
    extensions: { 'permit-pty': '', 'permit-port-forwarding': '' },
    ...wish,
  });

export const hostCertificate = (key: KeyObject, wish: Wish = {}): Buffer =>
  issueCertificate({
    key: publicKeyOf(key),
    ca: hostAuthority('ed25519'),
    kind: 'host',
    keyId: 'host',
    principals: ['node1', '127.0.0.1'],
    serial: 43n,
    validAfter: now() - 60n,
    validBefore: now() + 3600n,
    ...wish,
  });

/** An identity with a user certificate; a fresh key unless one is given. */
export function userIdentity(kind: KeyKind, wish: Wish = {}, key = sharedKey(kind, 'user')): Identity {
  return keyIdentity(key, userCertificate(key, wish));
}

export const hostKeysOf = (kinds: readonly KeyKind[], wish: Wish = {}): HostKey[] =>
  kinds.map((kind) => {
    const privateKey = sharedKey(kind, 'host');
    return { privateKey, certificate: hostCertificate(privateKey, wish) };
  });

/** What is undone when the tests of a file are over, last first. */
const cleanups: (() => Promise<void> | void)[] = [];
export async function cleanUp(): Promise<void> {
  for (const undo of cleanups.splice(0).reverse()) await undo();
}
export const later = (undo: () => Promise<void> | void): void => void cleanups.push(undo);

let directory: string | undefined;
/** One folder for the files of this test file. */
export function workDirectory(): string {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'ssh-test-'));
    directory = made;
    later(() => {
      rmSync(made, { recursive: true });
      directory = undefined;
    });
  }
  return directory;
}

export function writeText(name: string, text: string, mode = 0o644): string {
  const path = join(workDirectory(), name);
  writeFileSync(path, text, { mode });
  return path;
}

/**
 * Writes a key as ssh(1) wants it, its public half, and its certificate beside it. Returns the path of the
 * key.
 */
export function saveKey(name: string, key: KeyObject, certificate?: Buffer): string {
  const text =
    key.asymmetricKeyType === 'ed25519'
      ? encodeOpensshPrivateKey(key, name)
      : key.export({ format: 'pem', type: 'pkcs8' }).toString();
  const path = writeText(name, text, 0o600);
  writeText(`${name}.pub`, `${toAuthorizedKeyLine(publicKeyOf(createPublicKey(key)).blob, name)}\n`);
  if (certificate !== undefined) writeText(`${name}-cert.pub`, `${toAuthorizedKeyLine(certificate, name)}\n`);
  return path;
}

/** A line of known_hosts that trusts `authority` for every host. */
export const authorityLine = (authority: KeyObject): string =>
  `@cert-authority * ${toAuthorizedKeyLine(blobOf(authority))}\n`;

export function listen(server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  later(async () => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

export interface Served {
  readonly server: SshServer;
  readonly port: number;
  readonly failures: AuthFailure[];
  readonly connections: SshConnection[];
}

/** Runs the commands of the tests: `bulk` sends 48 MiB, `sink` counts what it gets, others are named back. */
export function commands(connection: SshConnection): ConnectionHandlers {
  return {
    session: (open) => {
      const channel = open.accept((request) => {
        request.accept();
        if (request.type !== 'exec') return;
        const command = connection.permits.forceCommand ?? request.command;
        void (async () => {
          if (command === 'bulk') {
            const piece = Buffer.alloc(1 << 20);
            for (let left = 48; left > 0; left--) if (!channel.write(piece)) await once(channel, 'drain');
          } else if (command === 'sink') {
            let bytes = 0;
            for await (const chunk of channel) bytes += (chunk as Buffer).length;
            channel.write(String(bytes));
          } else {
            channel.write(`ran ${command}`);
          }
          await channel.finish({ status: 'exited', code: 0 });
        })();
      });
    },
  };
}

/** A server of ours on a port of its own. */
export async function serve(
  wish: Partial<SshServerOptions> = {},
  handlers: (connection: SshConnection) => ConnectionHandlers = commands,
): Promise<Served> {
  const failures: AuthFailure[] = [];
  const connections: SshConnection[] = [];
  const server = createSshServer(
    {
      hostKeys: hostKeysOf(['ed25519', 'p256', 'rsa']),
      userAuthorities,
      now,
      authorize: () => undefined,
      onAuthFailure: (failure) => failures.push(failure),
      version: '4.5.0',
      sink: silentLog,
      algorithms: supportedAlgorithms,
      ...wish,
    },
    (connection) => {
      connections.push(connection);
      return handlers(connection);
    },
  );
  const port = await listen(
    net.createServer((socket) => {
      server.accept(socket);
    }),
  );
  later(() => server.closeConnections('the test is over'));
  return { server, port, failures, connections };
}

/** What our client wants, with a good certificate of alice. */
export const clientOptions = (port: number, wish: Partial<SshClientOptions> = {}): SshClientOptions => ({
  target: { host: '127.0.0.1', port },
  username: 'root',
  identities: [userIdentity('ed25519')],
  hostAuthorities: () => [blobOf(hostAuthority('ed25519'))],
  hostPrincipals: ['127.0.0.1'],
  now,
  ...wish,
});

export async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of stream) parts.push(chunk as Buffer);
  return Buffer.concat(parts).toString();
}

/** Logs in with our client, runs one command, and answers what it wrote. */
export async function runOverOurs(
  port: number,
  command: string,
  wish: Partial<SshClientOptions> = {},
): Promise<string> {
  const client = await connectSsh(clientOptions(port, wish));
  try {
    const session = await client.exec(command);
    session.channel.end();
    return await textOf(session.channel);
  } finally {
    client.close();
  }
}

/** Resolves with all that was written once `pattern` was seen. Rejects when the program ends before. */
export function said(
  child: ChildProcess,
  stream: 'stdout' | 'stderr',
  pattern: RegExp,
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = '';
    child[stream]?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const match = pattern.exec(text);
      if (match !== null) resolve(match);
    });
    child.once('close', () => {
      reject(new Error(`it ended, having said: ${text}`));
    });
  });
}

/** Starts a program that is ended with the tests. */
export function startProgram(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  later(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    await once(child, 'close');
  });
  return child;
}

/** An ssh-agent of its own. Returns the path of its socket. */
export async function startAgent(name = 'agent.sock'): Promise<string> {
  const path = join(workDirectory(), name);
  await said(startProgram('ssh-agent', ['-D', '-a', path]), 'stdout', /SSH_AUTH_SOCK/);
  return path;
}

/**
 * OpenSSH's server with host certificates and the user authorities as TrustedUserCAKeys. One sshd per
 * connection, on the socket that we accepted: no port has to be found for it.
 */
export async function startSshd(extra = ''): Promise<number> {
  mkdirSync('/run/sshd', { recursive: true });
  const hostKeys = (['ed25519', 'p256', 'rsa'] as const).map((kind) => {
    const key = sharedKey(kind, 'host');
    const path = saveKey(`sshd_${kind}`, key, hostCertificate(key, { principals: ['127.0.0.1'] }));
    return `HostKey ${path}\nHostCertificate ${path}-cert.pub\n`;
  });
  const authorities = writeText(
    'user_ca.pub',
    userAuthorities()
      .map((blob) => `${toAuthorizedKeyLine(blob)}\n`)
      .join(''),
  );
  const configuration = writeText(
    `sshd_config${extra.replace(/\W/g, '')}`,
    `${hostKeys.join('')}TrustedUserCAKeys ${authorities}
AuthorizedKeysFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
Subsystem sftp internal-sftp
${extra}
`,
  );
  return listen(
    net.createServer({ pauseOnConnect: true }, (socket) => {
      const child = spawn('/usr/sbin/sshd', ['-i', '-f', configuration], {
        stdio: [socket, socket, 'ignore'],
      });
      socket.destroy(); // the child has its own
      later(() => void child.kill());
    }),
  );
}

export const gone = (socket: net.Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('close', () => {
      resolve();
    });
  });
