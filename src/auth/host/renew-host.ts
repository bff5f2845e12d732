import type { z } from 'zod';
import { renewHost as row } from '../../api/operations/host.ts';
import type { Caller } from '../../api/operation.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { isApiName } from '../../domain/held-names.ts';
import { type Admission, host } from '../../domain/host.ts';
import { canonicalHostPart, isIpAddress } from '../../domain/host-text.ts';
import { joinRole, type JoinRole, tokenIdOf } from '../../domain/join-token.ts';
import { hostStream } from '../../domain/streams.ts';
import type { Cause, Position } from '../../log/event.ts';
import { load, step, transact } from '../../log/execute.ts';
import { fingerprint } from '../../pki/ssh-key.ts';
import { findHost } from '../../views/hosts.ts';
import { createdTokens } from '../../views/tokens.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { requireUnlockedHost } from '../lock/in-force.ts';
import { whoseTelling } from '../limits/quota-rules.ts';
import { certifyHost, tellCertified } from './certify-host.ts';
import { checkClaimedNames } from './claimed-names.ts';
import { clockFault, ipOf, readEd25519, withCallersAddress } from './machine-request.ts';
import { grantNames } from './names-of-others.ts';

type Input = z.output<typeof row.input>;
type Output = z.input<typeof row.output>;

/**
 * Certifies a machine again, for a key of its choice, because its certificate is still valid: for its own id,
 * in its own role. It keeps the names in its certificate; new names are granted as at a join, by the terms of
 * the token it once joined with.
 * @throws CodedError `access_denied` for one that is locked, when another key has been certified for the id
 *   since, for a name of another host, and for clocks that differ; `bad_request` for an invalid key or name;
 *   `quota` when it asks too often; `limit_exceeded` when too many do; `unavailable` while nothing can be
 *   signed.
 */
export const renewHost = implementing(row, async (deps, call, input) => {
  const caller = machineOf(call.caller);
  deps.lag.require();
  const giveBack = deps.quotas.take(whoseTelling(caller), { changes: 1 });
  try {
    return await deps.renewals.run(call.deadline, (asOf) => renew(deps, { call, caller, input, asOf }));
  } catch (e) {
    giveBack();
    throw e;
  }
});

interface Machine {
  readonly hostId: string;
  readonly role: JoinRole;
  readonly address: string;
  /** Fingerprint of the key in its certificate. */
  readonly key: string;
  readonly serial: bigint | undefined;
  readonly certified: readonly string[];
}

/**
 * @throws CodedError `access_denied` for a caller that is not a machine that joined, or showed no certificate
 *   of one.
 */
function machineOf(caller: Caller): Machine {
  const role = caller.kind === 'host' ? joinRole.safeParse(caller.role).data : undefined;
  if (caller.kind !== 'host' || role === undefined || caller.key === undefined)
    throw new CodedError(
      'access_denied',
      'only a node or a proxy renews its certificates, by showing its valid one',
    );
  const { hostId, address, key, serial, certifiedNames = [] } = caller;
  return { hostId, role, address, key, serial, certified: certifiedNames.filter((name) => !isForAll(name)) };
}

/** A name that a certificate has by its role alone belongs to nobody. */
const isForAll = (name: string): boolean => isApiName(name) || name.includes('*');

interface Renewal {
  readonly call: Call;
  readonly caller: Machine;
  readonly input: Input;
  /** The head of the log, which the views have reached. */
  readonly asOf: Position;
}

async function renew(deps: AuthDeps, { call, caller, input, asOf }: Renewal): Promise<Output> {
  const { hostId, role, address } = caller;
  const { nodename } = input;
  const publicKey = readEd25519(input.publicKey);
  const asked = input.additionalPrincipals.map((name) => withCallersAddress(name, address));
  const refuse = (why: string): CodedError =>
    new CodedError(
      'access_denied',
      `${JSON.stringify(nodename)} [${hostId}] cannot have its certificates renewed in role ${role}: ${why}`,
    );
  const checkLocks = (): void => {
    requireUnlockedHost(deps, { ...caller, certifiedNames: caller.certified }, nodename);
  };
  checkLocks();
  const now = deps.world.now();
  const fault = clockFault(input.sentAt, now);
  if (fault !== undefined) throw refuse(fault);
  const announced = findHost(deps.views.hosts.state(), hostId, role)?.nodename;
  const certified = [...caller.certified, ...(announced === undefined ? [] : [announced])];
  const isNew = isAmongNone(certified);
  checkNewNames({ hostId, nodename, additionalPrincipals: asked }, isNew);
  const stream = hostStream(hostId);
  const { state } = await load(deps.log.state, host, stream, asOf);
  const wanted = {
    type: 'renew-host',
    hostId,
    nodename,
    role,
    key: fingerprint(publicKey.blob),
    shownKey: caller.key,
    address,
  } as const;
  // Checked before anything is signed, as the append below checks it again.
  host.decide(state, wanted);
  const newNames = [nodename, ...asked].filter(
    (name) => isNew(name) && !isIpAddress(name) && name !== hostId,
  );
  const patterns = patternsFor(deps, state.admitted[role], newNames, refuse);
  const { others, leftOut } = grantNames(
    deps,
    { hostId, nodename, role, others: asked, peer: ipOf(address), patterns, certified, when: 'joining' },
    refuse,
  );
  const certificates = await certifyHost(deps, {
    hostId,
    nodename,
    role,
    additionalPrincipals: others,
    publicKey,
    now,
  });
  const cause: Cause = causeOf(deps, call);
  const { position } = await transact(
    deps.log.state,
    [step(host, stream, wanted)],
    cause,
    termsOf(call, asOf),
  );
  if (position !== undefined) await deps.views.reached(position);
  checkLocks();
  await tellCertified(deps, { hostId, nodename, role, ...certificates }, cause);
  deps.sink.info('the certificates of a machine were renewed', {
    ...{ hostId, nodename, role, address },
    ...(newNames.length > 0 && { newNames: newNames.join(', ') }),
    ...(leftOut.length > 0 && { leftOut: leftOut.join(', ') }),
  });
  return certificates;
}

function isAmongNone(certified: readonly string[]): (name: string) => boolean {
  const has = new Set(certified.map(canonicalHostPart));
  return (name) => !has.has(canonicalHostPart(name));
}

function checkNewNames(
  { hostId, nodename, additionalPrincipals }: Parameters<typeof checkClaimedNames>[0],
  isNew: (name: string) => boolean,
): void {
  const others = additionalPrincipals.filter(isNew);
  // For a name that it already has there is no need to ask again.
  const [first = hostId] = isNew(nodename) ? [nodename] : [];
  checkClaimedNames({ hostId, nodename: first, additionalPrincipals: others });
}

/**
 * What the token of its join lets a machine be called. When an older release did not record that and the
 * token is gone, it is unknown: the machine keeps its names and gets no new ones.
 */
function patternsFor(
  deps: AuthDeps,
  admission: Admission | undefined,
  newNames: readonly string[],
  refuse: (why: string) => CodedError,
): readonly string[] {
  if (admission === undefined || newNames.length === 0) return [];
  if (admission.names !== undefined) return admission.names;
  const { tokenId } = admission;
  // Hosts from before tokens had names have none, and tokens in a file do not limit names.
  if (tokenId === '' || tokenId.startsWith('static-')) return [];
  const token = createdTokens(deps.views.tokens.state()).find(([hash]) => tokenIdOf(hash) === tokenId);
  if (token !== undefined) return token[1].names ?? [];
  throw refuse(
    `it joined by a token (${tokenId}) of which it is not known any more what its machines may be called: to be called ` +
      `${newNames.map((name) => JSON.stringify(name)).join(', ')}, join again with a token`,
  );
}
