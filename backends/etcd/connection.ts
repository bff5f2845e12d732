import { Stream } from 'node:stream';
import { Etcd3, type IOptions } from 'etcd3';
import { checked, unchecked } from '../../src/base/dial-tls.ts';
import { CodedError } from '../../src/base/errors.ts';
import { channelOptions, grpc, type Metadata } from './grpc.ts';
import { callTimeoutMs, defaultMessageBytes, type EtcdOptions, usesTls } from './options.ts';
import { readFile, readTlsFiles, type TlsFiles } from './tls-files.ts';
import { TokenSource } from './token.ts';

/** One peer, and the client for it alone. */
export interface Connection {
  readonly name: string;
  readonly client: Etcd3;
  /** The token was refused: the next call gets a new one. False when none is used. */
  renewToken(): boolean;
  close(): void;
}

/** Runs its argument once: etcd3's own retries report false conflicts. */
const once: never = {
  execute: (act: () => unknown) =>
    new Promise((resolve) => {
      const made = act();
      // A stream may fail before its caller has it: the caller then finds it destroyed.
      if (made instanceof Stream) made.on('error', () => undefined);
      resolve(made);
    }),
  onSuccess: () => ({ dispose: () => undefined }),
  onFailure: () => ({ dispose: () => undefined }),
} as never;

/** Private parts of etcd3. */
interface Inside {
  readonly pool: { readonly hosts: readonly [Host]; authenticator: unknown };
}
interface Host {
  channelCredentials: unknown;
  getServiceClient(name: 'Auth'): {
    authenticate(
      request: { readonly name: string; readonly password: string },
      metadata: Metadata,
      options: { readonly deadline: number },
      done: (e: Error | null, answer: { readonly token: string }) => void,
    ): void;
  };
}

/**
 * One connection to each peer. `notAsked` is called once when a name and a password were given and etcd
 * requires none.
 * @throws CodedError `misconfigured` for peers and files that cannot be used, naming them.
 */
export function connectionsTo(options: EtcdOptions, notAsked: () => void): Connection[] {
  const { peers, insecure, username, passwordFile } = options;
  if (peers.length === 0) throw new CodedError('misconfigured', 'etcd: no peers');
  if ((username === undefined) !== (passwordFile === undefined))
    throw new CodedError('misconfigured', 'etcd: set both username and password_file, or neither');
  const files = readTlsFiles(options);
  if (passwordFile !== undefined) passwordIn(passwordFile);
  let told = false;
  // Each peer notices this by itself, and again whenever it would renew its token.
  const notAskedOnce = (): void => {
    if (!told) notAsked();
    told = true;
  };
  return peers.map((peer) => {
    const tls = usesTls(peer, options);
    const client = new Etcd3({
      hosts: peer,
      // Makes the library use TLS at all; its settings are replaced below.
      ...(tls && { credentials: credentialsOf(files) }),
      grpcOptions: channelOptions(options.maxClientMessageBytes ?? defaultMessageBytes),
      faultHandling: { host: () => once, global: once },
    });
    const { pool } = client as unknown as Inside;
    if (tls) pool.hosts[0].channelCredentials = insecure ? withoutLooking(files) : looking(files);
    const token =
      username === undefined || passwordFile === undefined
        ? undefined
        : new TokenSource({
            logIn: () => logIn(pool.hosts[0], username, passwordIn(passwordFile)),
            clock: () => performance.now(),
            notAsked: notAskedOnce,
          });
    if (token) pool.authenticator = token;
    return {
      name: peer,
      client,
      renewToken: () => {
        token?.invalidateMetadata();
        return token !== undefined;
      },
      close: () => {
        client.close();
      },
    };
  });
}

const credentialsOf = ({ ca, client }: TlsFiles): NonNullable<IOptions['credentials']> =>
  // Without a CA file: the authorities of the system.
  ({
    rootCertificate: ca,
    ...(client && { privateKey: client.key, certChain: client.cert }),
  }) as NonNullable<IOptions['credentials']>;

/** Set explicitly, because an environment variable turns off the runtime's default. */
const looking = ({ ca, client }: TlsFiles): unknown =>
  grpc.credentials.createSsl(ca ?? null, client?.key ?? null, client?.cert ?? null, checked);

/** TLS to a server whose certificate nobody checks. */
const withoutLooking = ({ client }: TlsFiles): unknown =>
  grpc.credentials.createSsl(null, client?.key ?? null, client?.cert ?? null, {
    ...unchecked,
    checkServerIdentity: () => undefined,
  });

/** Read at each login, so that a changed password is used from then on. */
function passwordIn(path: string): string {
  const password = readFile(path, 'password_file').toString('utf8').trim();
  if (password === '') throw new CodedError('misconfigured', `etcd: password_file: ${path} is empty`);
  return password;
}

const logIn = async (host: Host, name: string, password: string): Promise<string> => {
  const service = host.getServiceClient('Auth');
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + callTimeoutMs };
    service.authenticate({ name, password }, new grpc.Metadata(), options, (e, answer) => {
      if (e) reject(e);
      else resolve(answer.token);
    });
  });
};
