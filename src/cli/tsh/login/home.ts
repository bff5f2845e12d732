import { join } from 'node:path';
import { CodedError } from '../../../base/errors.ts';
import { isClusterName } from '../../../domain/names.ts';
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
  /**
   * When and by which announcement the authorities of this proxy's cluster were learned; with `leaf`, those
   * of a cluster that it leads to.
   */
  learnt(proxyHost: string, leaf?: string): string;
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
    learnt: (proxyHost, leaf) =>
      join(
        directory,
        `${checkedHost(proxyHost)}${leaf === undefined ? '' : `@${checkedCluster(leaf)}`}.learnt`,
      ),
    keyFiles: (proxyHost, user) => {
      const folder = join(keys, checkedHost(proxyHost));
      const name = join(folder, userFileName(user));
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

/** @throws CodedError `bad_request`. */
function checkedCluster(name: string): string {
  if (isClusterName(name)) return name;
  throw new CodedError('bad_request', `'${name}' is not the name of a cluster`);
}

/** Names that would be those of other files here. */
const taken = /^certs\.pem$|(\.pub|-cert|-x509\.pem|\.tmp)$/;
/** Suffixes and temporary names still fit behind it. */
const longestFileName = 200;

/**
 * The name of a user as a file name. Letters, digits and `_ @ : . + -` stay as they are, and all else is a
 * comma and two digits for each byte: to a shell, ssh_config or a pattern it means nothing but itself.
 * @throws CodedError `bad_request`.
 */
export function userFileName(user: string): string {
  const bytes = (text: string): string =>
    Array.from(Buffer.from(text), (byte) => `,${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
  const written = checkedUser(user).replace(/[^A-Za-z0-9_@:.+-]+/g, bytes);
  if (written.length > longestFileName)
    throw new CodedError('bad_request', `'${user}' cannot be used as a user name: it is too long`);
  const shown = written.replace(/^\./, bytes);
  return taken.test(shown) ? shown.replace(/[.-](?=[^.-]*$)/, bytes) : shown;
}

/** The user whose files have this name. */
export const userOfFileName = (name: string): string =>
  name.replace(/(?:,[0-9A-F]{2})+/g, (hex) => Buffer.from(hex.replaceAll(',', ''), 'hex').toString());

/**
 * Passes what can be somebody's name; whether it is, the cluster knows.
 * @throws CodedError `bad_request`.
 */
export function checkedUser(user: string): string {
  if (user !== '' && user.length <= 128 && user.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(user))
    return user;
  throw new CodedError('bad_request', `'${user}' cannot be used as a user name`);
}
