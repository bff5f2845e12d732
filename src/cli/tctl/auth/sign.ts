import type { KeyObject } from 'node:crypto';
import type { OutputOf } from '../../../api/operation.ts';
import { signHostIdentity, signUserIdentity } from '../../../api/operations/identity.ts';
import { CodedError } from '../../../base/errors.ts';
import { writeFileAtomic } from '../../../base/files.ts';
import { generateEd25519, privateKeyPem } from '../../../pki/key-pair.ts';
import { encodeOpensshPrivateKey } from '../../../pki/openssh-private-key.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { formatGoDuration, parseTtl } from '../../duration.ts';
import type { Run } from '../../program.ts';
import { withAuth } from '../connect.ts';
import { orLost } from '../lost-answer.ts';
import { hostAuthorityLine } from './authority-lines.ts';

interface WrittenFile {
  readonly path: string;
  readonly text: string;
}

/** `tctl auth sign`. The private key is made here, and is in no other place than the file. */
export const sign: Run = async (invocation, io) => {
  const [user, host] = [invocation.text('user'), invocation.text('host')];
  if ((user === undefined) === (host === undefined))
    throw new CodedError('bad_request', '--user or --host must be specified, and not both');
  if (invocation.text('format') === 'kubernetes')
    throw new CodedError(
      'unavailable',
      '--format=kubernetes is not in this release: no proxy of it serves a Kubernetes cluster, so nobody would accept the file',
    );
  const out = invocation.text('out') ?? '';
  if (out === '') throw new CodedError('bad_request', '--out: the name of a file is missing');
  const files =
    host === undefined
      ? await userFiles(invocation, io, user ?? '', out)
      : await hostFiles(invocation, io, host, out);
  // The private key is written last, so that one without its certificate is never left behind.
  for (const { path, text } of files) writeFileAtomic(path, text, 0o600);
  io.stdout.write(
    `\nThe credentials have been written to ${files
      .map(({ path }) => path)
      .reverse()
      .join(', ')}\n`,
  );
  return 0;
};

/** Nobody has the certificate that was lost, nor its key. */
const signAgain = 'nobody has what was signed, so run the command again';

async function userFiles(
  invocation: Invocation,
  io: CliIo,
  username: string,
  out: string,
): Promise<readonly WrittenFile[]> {
  const given = invocation.text('format');
  const format = given === 'openssh' || given === 'tls' ? given : 'file';
  const ttlSeconds = parseTtl(invocation.text('ttl') ?? '', '--ttl');
  const key = generateEd25519();
  const signed = await withAuth(invocation, io, (auth) =>
    orLost(
      auth.call(signUserIdentity, {
        username,
        publicKey: toAuthorizedKeyLine(publicKeyOf(key).blob),
        ttlSeconds,
        format,
        certificateFormat: invocation.text('compat') === 'oldssh' ? 'oldssh' : 'standard',
        administers: invocation.on('admin'),
        force: invocation.on('force'),
      }),
      signAgain,
    ),
  );
  report(io, signed, ttlSeconds, `the roles of user "${username}" allow`);
  if (signed.administers)
    io.stderr.write(
      'With this identity tctl -i administers the cluster; --no-admin makes one that cannot.\n',
    );
  return filesOf(format, { key, signed, out, comment: `teleport:${username}` });
}

type SignedUser = OutputOf<typeof signUserIdentity>;

interface Made {
  readonly key: KeyObject;
  readonly signed: SignedUser;
  readonly out: string;
  readonly comment: string;
}

function filesOf(format: 'file' | 'openssh' | 'tls', { key, signed, out, comment }: Made): WrittenFile[] {
  const { sshCertificate, tlsCertificatePem = '', hostSigners } = signed;
  const authorities = hostSigners.flatMap((one) => one.tlsCertificatesPem);
  if (format === 'openssh') return opensshFiles(out, key, sshCertificate, comment);
  if (format === 'tls')
    return [
      { path: `${out}.cas`, text: joined(authorities) },
      { path: `${out}.crt`, text: joined([tlsCertificatePem]) },
      { path: `${out}.key`, text: privateKeyPem(key) },
    ];
  const lines = hostSigners.flatMap(({ clusterName, checkingKeys }) =>
    checkingKeys.map((line) => hostAuthorityLine(clusterName, line.trim())),
  );
  const parts = [encodeOpensshPrivateKey(key, comment), sshCertificate, tlsCertificatePem];
  return [{ path: out, text: joined([...parts, ...lines, ...authorities]) }];
}

const opensshFiles = (out: string, key: KeyObject, certificate: string, comment: string): WrittenFile[] => [
  { path: `${out}-cert.pub`, text: joined([certificate]) },
  { path: out, text: encodeOpensshPrivateKey(key, comment) },
];

const joined = (parts: readonly string[]): string => parts.map((part) => `${part.trim()}\n`).join('');

async function hostFiles(
  invocation: Invocation,
  io: CliIo,
  host: string,
  out: string,
): Promise<readonly WrittenFile[]> {
  const format = invocation.text('format');
  if (format !== undefined && format !== 'openssh')
    throw new CodedError('bad_request', `--host is for SSH servers: --format=openssh, not ${format}`);
  if (invocation.given('compat') || invocation.given('admin'))
    throw new CodedError('bad_request', '--compat and --admin are for --user');
  const names = host
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw new CodedError('bad_request', '--host: names are missing');
  const ttlSeconds = parseTtl(invocation.text('ttl') ?? '', '--ttl');
  const key = generateEd25519();
  const publicKey = toAuthorizedKeyLine(publicKeyOf(key).blob);
  const signed = await withAuth(invocation, io, (auth) =>
    orLost(
      auth.call(signHostIdentity, { names, publicKey, ttlSeconds, force: invocation.on('force') }),
      signAgain,
    ),
  );
  report(io, signed, ttlSeconds, 'auth_service.host_certificate_ttl allows');
  return opensshFiles(out, key, signed.sshCertificate, names[0] ?? '');
}

/** What an operator must know to lock it, and that it expires earlier than requested. */
function report(
  io: CliIo,
  { serial, expiresAt, ttlSeconds }: Pick<SignedUser, 'serial' | 'expiresAt' | 'ttlSeconds'>,
  asked: number,
  limit: string,
): void {
  io.stderr.write(`serial ${serial}, valid until ${expiresAt}\n`);
  if (ttlSeconds < asked)
    io.stderr.write(
      `WARNING: ${limit} ${formatGoDuration(ttlSeconds * 1000)}, not ${formatGoDuration(asked * 1000)}: it ends then (--force insists)\n`,
    );
  else if (ttlSeconds > asked)
    io.stderr.write(
      `WARNING: no certificate of a person lasts less than ${formatGoDuration(ttlSeconds * 1000)}: it ends then, not after ${formatGoDuration(asked * 1000)}\n`,
    );
}
