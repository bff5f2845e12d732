import type { z } from 'zod';
import { signHostIdentity as row } from '../../api/operations/identity.ts';
import { CodedError } from '../../base/errors.ts';
import { plusMs, second } from '../../base/time.ts';
import { namesHeldBy } from '../../domain/held-names.ts';
import { canonicalHostPart } from '../../domain/host-text.ts';
import { identity } from '../../domain/identity.ts';
import { identityStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { issueHostSshCertificate } from '../../pki/host-certificate.ts';
import { newSerial, serialText } from '../../pki/serial.ts';
import { fingerprint } from '../../pki/ssh-key.ts';
import { allHosts } from '../../views/hosts.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { checkNamesToCertify } from '../host/claimed-names.ts';
import { seesPresence } from '../host/machine-request.ts';
import { grantNames } from '../host/names-of-others.ts';
import { implementing } from '../implementing.ts';
import { requireUnlocked } from '../lock/in-force.ts';
import { clusterOf } from '../lookups.ts';
import { readPublicKey } from '../user/issue-certificates.ts';

type Input = z.output<typeof row.input>;

/**
 * An SSH certificate for a machine that is not part of the cluster, for exactly these names. On the log
 * before it is signed.
 * @throws CodedError `bad_request` for a name that no machine can have; `access_denied` for the name of a
 *   host of the cluster, unless it is forced, and for that of a locked node, even if it is forced.
 */
export const signHostIdentity = implementing(row, async (deps, call, input) => {
  deps.lag.require();
  const publicKey = readPublicKey(input.publicKey);
  const names = [...new Set(input.names)];
  checkNamesToCertify(names);
  const [asOf] = await Promise.all([deps.views.fresh(), seesPresence(deps)]);
  requireNodesUnlocked(deps, names);
  const ofOthers = whyOthersNames(deps, names);
  if (ofOthers !== undefined && !input.force) throw ofOthers;
  const { ttlSeconds, isLonger } = lifeOf(deps, input);
  const signer = await deps.keys.signer('host');
  const serial = newSerial();
  const now = deps.world.now();
  const expiresAt = plusMs(now, ttlSeconds * second);
  const { position } = await transact(
    deps.log.state,
    [
      step(identity, identityStream(serialText(serial)), {
        type: 'sign-identity',
        identity: {
          serial: serialText(serial),
          holder: { kind: 'host', names },
          key: fingerprint(publicKey.blob),
          format: 'openssh',
          expiresAt,
          forced: isLonger || ofOthers !== undefined,
        },
      }),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position !== undefined) await deps.views.reached(position);
  deps.lag.require();
  requireNodesUnlocked(deps, names);
  const sshCertificate = issueHostSshCertificate({
    publicKey,
    ca: signer.ssh,
    hostId: '',
    nodename: '',
    clusterName: clusterOf(deps.views).clusterName,
    role: 'Node',
    additionalPrincipals: names,
    now,
    ttlSeconds,
    serial,
  });
  return { sshCertificate, serial: serialText(serial), expiresAt, ttlSeconds };
});

function lifeOf(
  { hostCertificateTtlMs }: AuthDeps,
  { ttlSeconds, force }: Input,
): { readonly ttlSeconds: number; readonly isLonger: boolean } {
  const limit = Math.floor(hostCertificateTtlMs / second);
  return ttlSeconds > limit && !force
    ? { ttlSeconds: limit, isLonger: false }
    : { ttlSeconds, isLonger: ttlSeconds > limit };
}

/**
 * The lock may be on a name that is to be certified, or on the id or another name of a node that has one.
 * @throws CodedError `access_denied` with the text of the lock.
 */
function requireNodesUnlocked(deps: AuthDeps, names: readonly string[]): void {
  const { clusterName } = clusterOf(deps.views);
  const wanted = names.filter((name) => !isOwnOfEveryMachine(name)).map(canonicalHostPart);
  const suffix = `.${clusterName.toLowerCase()}`;
  const holders = allHosts(deps.views.hosts.state(), ['Node']).filter((host) => {
    const held = namesHeldBy(host, clusterName);
    return wanted.some((name) => held.has(name));
  });
  requireUnlocked(deps, {
    node: [
      ...names,
      ...wanted.flatMap((name) => (name.endsWith(suffix) ? [name, name.slice(0, -suffix.length)] : [name])),
      ...holders.flatMap(({ hostId, nodename, otherNames = [] }) => [hostId, nodename, ...otherNames]),
    ],
  });
}

/**
 * Why these names are not free: whoever has such a certificate could be taken for that host. Undefined:
 * nobody has them.
 */
function whyOthersNames(deps: AuthDeps, names: readonly string[]): CodedError | undefined {
  const refuse = (why: string): CodedError =>
    new CodedError('access_denied', `${why} (--force to sign it all the same)`);
  const [nodename = '', ...others] = names;
  try {
    const claim = {
      hostId: '',
      nodename,
      role: 'Node',
      others,
      peer: '',
      patterns: [],
      when: 'joining',
    } as const;
    const left = grantNames(deps, claim, refuse).leftOut.filter((name) => !isOwnOfEveryMachine(name));
    return left.length === 0
      ? undefined
      : refuse(`${left.map((name) => JSON.stringify(name)).join(', ')} belongs to another host`);
  } catch (e) {
    if (e instanceof CodedError) return e;
    throw e;
  }
}

const isOwnOfEveryMachine = (name: string): boolean =>
  ['localhost', '127.0.0.1', '::1'].includes(canonicalHostPart(name));
