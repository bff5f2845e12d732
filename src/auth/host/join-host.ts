import type { z } from 'zod';
import { joinHost as row } from '../../api/operations/host.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError, errorCodes, isCoded } from '../../base/errors.ts';
import { unprovedName, unprovedReason } from '../../base/unproved-text.ts';
import type { Instant } from '../../base/time.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { toldOfJoiner } from '../../domain/audit-from-state.ts';
import { host, type HostFact, type HostState, replacesKey } from '../../domain/host.ts';
import {
  countsUses,
  type Joiner,
  joinRefusal,
  joinToken,
  type TokenRole,
  tokenIdOf,
  type TokenUse,
  type TokenFact,
  type TokenState,
  unknownToken,
  type UseToken,
} from '../../domain/join-token.ts';
import { hostStream, tokenStream } from '../../domain/streams.ts';
import type { Cause, Position } from '../../log/event.ts';
import { guard, load, type Step, step, transact } from '../../log/execute.ts';
import { fingerprint } from '../../pki/ssh-key.ts';
import { tokenHash } from '../../pki/token.ts';
import { certifiedUntil } from './certified-until.ts';
import { certifyHost, tellCertified } from './certify-host.ts';
import { checkClaimedNames } from './claimed-names.ts';
import { timeForToken } from '../deciding-time-of.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { clockFault, ipOf, readEd25519, seesPresence, withCallersAddress } from './machine-request.ts';
import { grantNames } from './names-of-others.ts';
import { requireUnlocked } from '../lock/in-force.ts';
import { checkHostId } from './issue-host-identity.ts';
import { sourceOf } from '../limits/rate-limit.ts';
import { findStatic, type KnownStaticToken } from '../token/static-tokens.ts';

type Input = z.output<typeof row.input>;
type Output = z.input<typeof row.output>;

/**
 * Certifies a machine for a token. The use of the token and the key that now holds the id are recorded in one
 * append; where uses are not counted, in one fact of the machine, with the token as it was read for a
 * condition, so that any number of machines join side by side. A refusal spends nothing, and the audit has
 * the reason that the machine is told.
 * @throws CodedError `access_denied`, with one message for every secret that was never a token, and with what
 *   became of it for one that was; for clocks that differ, and for the id or a name of another machine.
 *   `bad_request` for an invalid role, key or name. `limit_exceeded` when too many come, `quota` when one
 *   token admits too many.
 */
export const joinHost = implementing(row, (deps, call, input) => {
  const { address } = call.caller;
  return deps.joins.admit(address, async () => {
    deps.lag.require();
    const hash = tokenHash(input.token);
    try {
      return await admit(deps, call, { input, hash });
    } catch (e) {
      if (isCoded(e) && !errorCodes[e.code].retry)
        await tellRefusal(deps, call, { input, hash, reason: e.message });
      throw e;
    }
  });
});

interface Attempt {
  readonly input: Input;
  /** Of the secret. */
  readonly hash: string;
}

async function admit(deps: AuthDeps, call: Call, { input, hash }: Attempt): Promise<Output> {
  const { hostId, nodename, role } = input;
  const { address } = call.caller;
  checkHostId(hostId);
  const publicKey = readEd25519(input.publicKey);
  const additionalPrincipals = input.additionalPrincipals.map((name) => withCallersAddress(name, address));
  checkClaimedNames({ hostId, nodename, additionalPrincipals });
  const [asOf] = await Promise.all([deps.views.fresh(), seesPresence(deps)]);
  const fromFile = findStatic(deps.staticTokens, hash);
  const use = {
    ...{ hostId, nodename, role, address, key: fingerprint(publicKey.blob) },
    ...(fromFile === undefined ? {} : { tokenId: fromFile.tokenId }),
  } satisfies TokenUse;
  const { tokenRoles, patterns, counted, ofToken } = await termsOfToken(deps, { hash, fromFile, use, asOf });
  // For a caller that has a token: others get the one message for a secret that was never one.
  const checkLocks = (): void => {
    requireUnlocked(deps, { node: [hostId, nodename, ...additionalPrincipals] });
  };
  checkLocks();
  const now = deps.world.now();
  checkClock(input, input.sentAt, now);
  const refuse = (why: string): CodedError =>
    new CodedError('access_denied', `${joinRefusal(input)}, ${why}`);
  const granted = grantNames(
    deps,
    { hostId, nodename, role, others: additionalPrincipals, peer: ipOf(address), patterns, when: 'joining' },
    refuse,
  );
  const tokenId = fromFile?.tokenId ?? tokenIdOf(hash);
  takeJoin(deps, tokenId, address);
  const certificates = await certifyHost(deps, {
    hostId,
    nodename,
    role,
    additionalPrincipals: granted.others,
    publicKey,
    now,
  });
  const cause: Cause = { ...causeOf(deps, call), actor: `${role.toLowerCase()}:${hostId}` };
  const ofHost = step(host, hostStream(hostId), {
    type: 'admit-host',
    ...use,
    tokenId,
    tokenRoles,
    tokenNames: patterns,
    recordsUse: !counted,
    aliveUntil: certifiedUntil(deps, { hostId, role }),
  });
  const steps: readonly Step<TokenState | HostState, TokenFact | HostFact>[] = [...ofToken, ofHost];
  const { position, outcomes } = await transact(deps.log.state, steps, cause, termsOf(call, asOf));
  if (position !== undefined) await deps.views.reached(position);
  checkLocks();
  await tellCertified(deps, { hostId, nodename, role, ...certificates }, cause);
  if (granted.leftOut.length > 0)
    deps.sink.info('a machine is certified without addresses that are not its alone', {
      hostId,
      nodename,
      leftOut: granted.leftOut.join(', '),
    });
  const admitted = outcomes.flatMap(({ facts }) => facts).find((fact) => fact.type === 'host.admitted');
  if (admitted !== undefined && replacesKey(admitted.data))
    deps.sink.warn('a token gave the id of a machine that is gone to another key', { ...use, tokenId });
  else deps.sink.info('a machine was certified for a token', { ...use, tokenId });
  return certificates;
}

/**
 * A token that anyone may use any number of times could create machines for ever. It gets a number of uses
 * per hour from one address, and ten times as many from all. Machines that are refused try again
 * automatically.
 */
function takeJoin(deps: AuthDeps, tokenId: string, address: string): void {
  // In this order: a machine that is refused for its own address takes nothing from the others.
  deps.quotas.take({ name: `token ${tokenId} at ${sourceOf(address)}`, factor: 1 }, { joins: 1 });
  deps.quotas.take({ name: `token ${tokenId}`, factor: 10 }, { joins: 1 });
}

interface TokenTerms {
  readonly tokenRoles: readonly TokenRole[];
  readonly patterns: readonly string[];
  /** Whether the use is a fact of the token. */
  readonly counted: boolean;
  /** Its part of the append: the use or a guard; of a token in the file none, as nothing becomes of it. */
  readonly ofToken: readonly Step<TokenState, TokenFact>[];
}

/** What the token admits to, once it is known that it admits this machine now. */
async function termsOfToken(
  deps: AuthDeps,
  {
    hash,
    fromFile,
    use,
    asOf,
  }: {
    readonly hash: string;
    readonly fromFile: KnownStaticToken | undefined;
    readonly use: TokenUse;
    readonly asOf: Position;
  },
): Promise<TokenTerms> {
  const type = 'use-token';
  if (fromFile !== undefined) {
    const { roles: staticRoles } = fromFile;
    joinToken.decide(joinToken.initial, { type, now: deps.world.now(), use, staticRoles });
    return { tokenRoles: staticRoles, patterns: [], counted: false, ofToken: [] };
  }
  const stream = tokenStream(hash);
  if ((await deps.log.state.revision(stream, asOf)) === 0) throw unknownToken(use);
  const { state } = await load(deps.log.state, joinToken, stream, asOf);
  const command: UseToken = { type, ...timeForToken(deps, hash, state), use, staticRoles: undefined };
  joinToken.decide(state, command);
  const { roles = [], names = [] } = state.status === 'active' ? state : {};
  const counted = countsUses(state, command);
  const ofToken = [(counted ? step : guard)(joinToken, stream, command)];
  return { tokenRoles: roles, patterns: names, counted, ofToken };
}

/** Only for a caller that has a token: others do not need to know the clock of the auth server. */
function checkClock(joiner: Joiner, sentAt: Instant, now: Instant): void {
  const fault = clockFault(sentAt, now);
  if (fault !== undefined) throw new CodedError('access_denied', `${joinRefusal(joiner)}, ${fault}`);
}

async function tellRefusal(
  deps: AuthDeps,
  call: Call,
  { input, hash, reason }: Attempt & { readonly reason: string },
): Promise<void> {
  const { address } = call.caller;
  if (!deps.joins.mayTell(address)) return;
  const { hostId, nodename, role } = input;
  const tokenId =
    findStatic(deps.staticTokens, hash)?.tokenId ??
    ((await deps.log.state.revision(tokenStream(hash))) > 0 ? tokenIdOf(hash) : undefined);
  const error = unprovedReason(reason);
  const event = catalogue.joinTokenRefused({
    success: false,
    error,
    ...(tokenId === undefined ? {} : { token_id: tokenId }),
    ...toldOfJoiner({ hostId, nodename: unprovedName(nodename), role, address, key: '' }),
  });
  deps.sink.warn('a machine was refused', { reason: error, address });
  try {
    await deps.ownAudit.record(event, causeOf(deps, call));
  } catch (e) {
    // The machine learns why it was refused, not that the audit failed.
    if (!isCoded(e)) throw e;
    deps.joins.untold(address);
    deps.sink.warn('a refused machine is only counted: the audit does not take it', {
      because: e.message,
      ...event,
    });
  }
}
