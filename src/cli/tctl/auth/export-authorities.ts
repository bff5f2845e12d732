import type { AuthClient } from '../../../api/client.ts';
import { listAuthorities } from '../../../api/operations/authority.ts';
import { exportAuthorityKeys, exportPhrase } from '../../../api/operations/authority-keys.ts';
import { CodedError } from '../../../base/errors.ts';
import type { AuthorityType } from '../../../domain/authority-facts.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import type { Run } from '../../program.ts';
import { withAuth } from '../connect.ts';
import { spelledOut } from '../spelled-out.ts';
import { hostAuthorityLine, userAuthorityLine } from './authority-lines.ts';

interface Wanted {
  readonly types: readonly AuthorityType[];
  /** X.509 rather than SSH. */
  readonly tls: boolean;
  /** Undefined: every key that is trusted. */
  readonly fingerprint: string | undefined;
  readonly compat: string | undefined;
}

interface ShownKey {
  readonly clusterName: string;
  readonly type: AuthorityType;
  readonly line: string;
  readonly tlsCertificatePem: string;
  readonly fingerprint: string;
}

/** `tctl auth export`: public keys for those who should trust them; with `--keys` the private ones. */
export const exportAuthorities: Run = async (invocation, io) => {
  const wanted = wantedBy(invocation);
  const text = await withAuth(invocation, io, async (auth) => {
    const keys = (await trustedKeysOf(auth, wanted)).filter(
      (key) => wanted.fingerprint === undefined || key.fingerprint === wanted.fingerprint,
    );
    if (keys.length === 0)
      throw new CodedError(
        'not_found',
        `no key that is trusted has the fingerprint ${wanted.fingerprint ?? ''}: tctl auth ls lists them`,
      );
    return invocation.on('keys')
      ? privateText(auth, io, wanted, keys)
      : keys.map((key) => publicText(key, wanted)).join('');
  });
  io.stdout.write(text);
  return 0;
};

function wantedBy(invocation: Invocation): Wanted {
  const type = invocation.text('type');
  const compat = invocation.text('compat');
  const given = invocation.text('fingerprint');
  if (given !== undefined && !/^SHA256:[A-Za-z0-9+/]{43}$/.test(given))
    throw new CodedError('bad_request', `--fingerprint: expected SHA256:…, got "${given.slice(0, 100)}"`);
  if (compat !== undefined && (type === 'tls' || invocation.on('keys')))
    throw new CodedError('bad_request', '--compat is for public keys of SSH');
  return {
    types: type === 'user' ? ['user'] : type === undefined ? ['host', 'user'] : ['host'],
    tls: type === 'tls',
    fingerprint: given,
    compat,
  };
}

async function trustedKeysOf(auth: AuthClient, { types }: Wanted): Promise<readonly ShownKey[]> {
  const found = await Promise.all(
    types.map(async (type) => {
      const { authorities } = await auth.call(listAuthorities, { type });
      return authorities.flatMap(({ clusterName, checkingKeys, tlsCertificatesPem }) =>
        checkingKeys.map((line, i) => ({
          clusterName,
          type,
          line: line.trim(),
          tlsCertificatePem: tlsCertificatesPem[i] ?? '',
          fingerprint: fingerprint(fromAuthorizedKeyLine(line)),
        })),
      );
    }),
  );
  return found.flat();
}

function publicText(
  { clusterName, type, line, tlsCertificatePem }: ShownKey,
  { tls, compat }: Wanted,
): string {
  if (tls) return tlsCertificatePem;
  const asHost = type === 'host' || compat === '1.0';
  return `${asHost ? hostAuthorityLine(clusterName, line) : userAuthorityLine(clusterName, line)}\n`;
}

async function privateText(
  auth: AuthClient,
  io: CliIo,
  { types, tls }: Wanted,
  keys: readonly ShownKey[],
): Promise<string> {
  const phrase = exportPhrase(keys[0]?.clusterName ?? '');
  const confirmation = await spelledOut(
    io,
    'Whoever has these keys can be anybody in the cluster, and nothing but a rotation of the authority ends that. ' +
      'The export is recorded.',
    phrase,
  );
  const given = await Promise.all(
    types.map((type) => auth.call(exportAuthorityKeys, { type, confirmation })),
  );
  const wanted = new Set(keys.map((key) => key.fingerprint));
  return given
    .flatMap((one) => one.keys)
    .filter((key) => wanted.has(key.fingerprint))
    .map((key) => (tls ? key.tlsPrivateKeyPem : key.sshPrivateKeyPem))
    .join('');
}
