import { isIPv6 } from 'node:net';
import type { z } from 'zod';
import { heartbeat as row } from '../../api/operations/host.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { minute, second } from '../../base/time.ts';
import { host as hostRules, sameHost } from '../../domain/host.ts';
import { placesOf, withCertifiedNames } from '../../domain/held-names.ts';
import { type HostInfo, hostInfoOf } from '../../domain/host-info.ts';
import { checkSize } from '../../domain/label-limits.ts';
import { canonicalHostPart, isIpAddress, parseHostAddress } from '../../domain/host-text.ts';
import { measuredLabels } from '../../domain/measured-labels.ts';
import type { Reachability } from '../../domain/reachability.ts';
import { sameAdopted } from '../../domain/rotation-mark.ts';
import { hostStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { findHost } from '../../views/hosts.ts';
import { presenceOf, seenOf } from '../../views/presence.ts';
import { checkClaimedNames } from './claimed-names.ts';
import { requireUnlockedHost } from '../lock/in-force.ts';
import { removeRoles } from './remove-roles.ts';
import { grantNames } from './names-of-others.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import type { Reported } from './presence-writer.ts';
import { whoseTelling } from '../limits/quota-rules.ts';

type Output = z.input<typeof row.output>;

/**
 * A host reports that it is alive, and what it is now. A host that was not known to be alive is stored at
 * once, so that it can be used as soon as its first heartbeat was answered. So is one that has adopted
 * another phase of a rotation, because somebody waits for that. The others are stored with the next coalesced
 * fact.
 * @throws CodedError `access_denied` for another host than the caller, for one that is locked, and for a new
 *   name or an address that is not its own; `bad_request` for an invalid name, `too_large` for more labels
 *   than a host may have, `unavailable` while the clock of this server cannot be trusted.
 */
export const heartbeat = implementing(row, async (deps, call, { host: record, ttlSeconds, ...said }) => {
  const { sentAt, adopted, leaving, trouble, proxies, leaves, sessions } = said;
  const host = hostInfoOf(record);
  const { caller } = call;
  if (caller.kind !== 'host' || caller.hostId !== host.hostId || caller.role !== host.role)
    throw new CodedError('access_denied', 'a host may only announce itself, in the role of its certificate');
  requireUnlockedHost(deps, caller, host.nodename);
  checkSize(host);
  if (sentAt !== undefined) deps.clocks.hear(host.hostId, sentAt, caller.address);
  deps.clocks.require();
  const reachability = whereItIs(host.reachability, caller.address);
  const seen = withCertifiedNames({ ...host, reachability }, caller.certifiedNames ?? []);
  // The fold is enough to see that nothing changed, and spares a read of the store. If another auth server
  // has written something else a moment ago, the next heartbeat sees it.
  const known = findHost(deps.views.hosts.state(), host.hostId, host.role);
  if (isForGood(said)) return leaveForGood(deps, call, host);
  if (known?.nodename !== host.nodename) await checkNewName(deps, call, host);
  checkPlaces(seen, known, caller.certifiedNames);
  const putOff = isChanged(known, seen) ? await announceWithin(deps, seen, call) : {};
  const answer = { ...putOff, ...spreadFor(deps) };
  const isAwaited = somebodyWaitsFor(deps, host, { adopted, leaving, proxies, leaves });
  deps.presence.renew(host, ttlSeconds, {
    ...{ labels: measuredLabels(host), adopted, leaving, trouble, proxies, leaves, sessions },
  });
  if (!isAwaited) return answer;
  const position = await deps.presence.soon();
  if (position !== undefined) await deps.views.presence.reached(position);
  return answer;
});

/** So many machines may report within a second; longer than this nobody is to wait for them. */
const reportsPerSecond = 500;
const longestSpreadMs = minute;
/** Fewer than so many machines need not spread what all of them do at once. */
const few = 25;

function spreadFor({ views }: AuthDeps): { readonly spreadMs?: number } {
  const count = views.hosts.state().known.size;
  if (count < few) return {};
  return { spreadMs: Math.min(longestSpreadMs, Math.round((count / reportsPerSecond) * second)) };
}

/**
 * Nobody waits for the report of a host that was alive before, stays, hangs on the same proxies, has the
 * same clusters hanging on it, and has adopted nothing new.
 */
function somebodyWaitsFor(
  { views }: AuthDeps,
  host: HostInfo,
  { adopted, leaving, proxies, leaves }: Pick<Reported, 'adopted' | 'leaving' | 'proxies' | 'leaves'>,
): boolean {
  const known = views.presence.state();
  const { status } = presenceOf(known, host, views.clock.monotonic());
  const before = seenOf(known, host);
  const isMoved = !sameNames(before?.proxies, proxies) || !sameNames(before?.leaves, leaves);
  return status !== 'alive' || leaving === true || isMoved || !sameAdopted(before?.adopted, adopted);
}

const sameNames = (a: readonly string[] = [], b: readonly string[] = []): boolean =>
  [...a].sort().join() === [...b].sort().join();

/**
 * A change is stored for ever. A host that changes too often stays alive as others do, but is told when to
 * announce itself again, so that its newest data wins.
 */
async function announceWithin(deps: AuthDeps, host: HostInfo, call: Call): Promise<Output> {
  let giveBack;
  try {
    giveBack = deps.quotas.take(whoseTelling(host), { changes: 1 });
  } catch (e) {
    if (!isCoded(e, 'quota')) throw e;
    return { changeAfterMs: e.retryAfterMs ?? 0, notice: e.message };
  }
  try {
    await announce(deps, host, call);
    return {};
  } catch (e) {
    giveBack();
    throw e;
  }
}

/**
 * A host keeps a name that it had before, even if others have it too: all are listed, and a client is told of
 * all.
 */
async function checkNewName(deps: AuthDeps, call: Call, { hostId, nodename, role }: HostInfo): Promise<void> {
  checkClaimedNames({ hostId, nodename, additionalPrincipals: [] });
  const { caller } = call;
  const refuse = (why: string): CodedError =>
    new CodedError(
      'access_denied',
      `${JSON.stringify(nodename)} [${hostId}] cannot be announced as ${role}: ${why}`,
    );
  if (
    caller.kind === 'host' &&
    caller.certifiedNames !== undefined &&
    !isAmong(caller.certifiedNames, nodename)
  )
    throw refuse(`its certificate is for other names (${caller.certifiedNames.join(', ')}); ${joinAgain}`);
  await deps.views.fresh();
  // Another auth server may have heard from it a moment ago.
  if (findHost(deps.views.hosts.state(), hostId, role)?.nodename === nodename) return;
  grantNames(
    deps,
    { hostId, nodename, role, others: [], peer: '', patterns: [], when: 'announcing' },
    refuse,
  );
}

const joinAgain =
  'a host of this release asks for it when it starts or is reloaded; one of an older release joins again with a token: move ' +
  'host_uuid and proc/*.identity.json out of data_dir';

/**
 * An IP address may be anything, but a name sends people there only where the certificate contains it for
 * this host. Existing values stay: earlier releases did not check them, and a host must not vanish because
 * its auth server is newer.
 */
function checkPlaces(
  host: HostInfo,
  known: HostInfo | undefined,
  certified: readonly string[] | undefined,
): void {
  if (certified === undefined) return;
  const stands = known && placesOf(known);
  for (const [i, text] of placesOf(host).entries()) {
    const name = text === stands?.[i] ? undefined : parseHostAddress(text)?.host;
    if (name === undefined || isIpAddress(name) || isAmong([...certified, host.nodename, host.hostId], name))
      continue;
    throw new CodedError(
      'access_denied',
      `${JSON.stringify(host.nodename)} [${host.hostId}] cannot announce the address ${JSON.stringify(text)}: its certificate ` +
        `does not name ${JSON.stringify(name)} (it names ${certified.join(', ')}); announce an IP address; ${joinAgain}`,
    );
  }
}

const isAmong = (names: readonly string[], name: string): boolean =>
  names.some((one) => canonicalHostPart(one) === canonicalHostPart(name));

/** Membership: a fact only when something changed. */
export async function announce(deps: AuthDeps, host: HostInfo, call: Call): Promise<void> {
  const { position } = await transact(
    deps.log.state,
    [step(hostRules, hostStream(host.hostId), { type: 'record-host', host })],
    causeOf(deps, call),
    { deadline: call.deadline },
  );
  if (position !== undefined) await deps.views.reached(position);
}

const isForGood = ({ leaving, forGood }: Pick<z.output<typeof row.input>, 'leaving' | 'forGood'>): boolean =>
  leaving === true && forGood === true;

const isChanged = (known: HostInfo | undefined, seen: HostInfo): boolean =>
  known === undefined || !sameHost(known, seen);

/** Once it has stopped nobody waits for it, and its names are free. */
async function leaveForGood(deps: AuthDeps, call: Call, { hostId, role }: HostInfo): Promise<Output> {
  await removeRoles(deps, call, { hostId, roles: [role], reason: 'it was stopped for good' });
  return {};
}

const wildcards = new Set(['', '0.0.0.0', '::', '*']);

const whereItIs = (said: Reachability, peer: string): Reachability =>
  said.status === 'direct' ? { ...said, address: withRealHost(said.address, peer) } : said;

/**
 * A host that listens on all addresses is reached at the address it came from.
 * Source: behaviour of 4.4.
 */
export function withRealHost(address: string, peer: string): string {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  if (port === '' || !wildcards.has(host)) return address;
  const bare = (/^\[?(.*?)\]?:\d+$/.exec(peer)?.[1] ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
  return isIPv6(bare) ? `[${bare}]:${port}` : `${bare}:${port}`;
}
