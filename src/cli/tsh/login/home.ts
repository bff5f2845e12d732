import { join } from 'node:path';
import { CodedError } from '../../../base/errors.ts';
import { localHome } from '../ssh/local-person.ts';

/**
 * Where tsh keeps its files. `TSH_HOME` names another folder; `$HOME` is used only without a passwd record,
 * since the reference never uses it.
 */
export interface TshHome {
  readonly directory: string;
  readonly currentProfile: string;
  readonly knownHosts: string;
  readonly keys: string;
  profile(proxyHost: string): string;
  /** When and by which announcement the authorities of this proxy's cluster were learned. */
  learnt(proxyHost: string): string;
  keyFiles(proxyHost: string, user: string): KeyFiles;
}

export interface KeyFiles {
  readonly directory: string;
  readonly privateKey: string;
  readonly publicKey: string;
  readonly sshCertificate: string;
  readonly tlsCertificate: string;
  /** Shared by all users of the proxy. */
  readonly authorities: string;
}

export function openHome(env: Readonly<Record<string, string | undefined>>): TshHome {
  const override = env['TSH_HOME'] ?? '';
  return homeAt(override === '' ? join(localHome(env), '.tsh') : override);
}

export function homeAt(directory: string): TshHome {
  const keys = join(directory, 'keys');
  return {
    directory,
    keys,
    currentProfile: join(directory, 'current-profile'),
    knownHosts: join(directory, 'known_hosts'),
    profile: (proxyHost) => join(directory, `${checkedHost(proxyHost)}.yaml`),
    learnt: (proxyHost) => join(directory, `${checkedHost(proxyHost)}.learnt`),
    keyFiles: (proxyHost, user) => {
      const folder = join(keys, checkedHost(proxyHost));
      const name = join(folder, checkedUser(user));
      return {
        directory: folder,
        privateKey: name,
        publicKey: `${name}.pub`,
        sshCertificate: `${name}-cert.pub`,
        tlsCertificate: `${name}-x509.pem`,
        authorities: join(folder, 'certs.pem'),
      };
    },
  };
}

export const isHostName = (text: string): boolean =>
  /^[A-Za-z0-9_:][A-Za-z0-9._:-]*$/.test(text) && text.length <= 253;

/**
 * A host name or address that is safe as a file name.
 * @throws CodedError `bad_request`.
 */
export function checkedHost(host: string): string {
  if (isHostName(host)) return host;
  throw new CodedError('bad_request', `'${host}' is not a host name`);
}

/** Names that would collide with another user's files. */
const taken = /^(\.{1,2}|certs\.pem|.*\.pub|.*-x509\.pem|.*\.tmp)$/;

/**
 * A Teleport user name that is safe as a file name.
 * @throws CodedError `bad_request`.
 */
export function checkedUser(user: string): string {
  if (user !== '' && user.length <= 128 && !/[/\u0000-\u001f\u007f]/.test(user) && !taken.test(user))
    return user;
  throw new CodedError('bad_request', `'${user}' cannot be used as a user name`);
}
