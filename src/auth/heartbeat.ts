import { isIPv6 } from 'node:net';
import type { z } from 'zod';
import type { heartbeat as operation } from '../api/operations.ts';
import type { Call } from '../api/server-deps.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import { host as hostRules, sameHost } from '../domain/host.ts';
import { withCertifiedNames } from '../domain/held-names.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { checkSize } from '../domain/label-limits.ts';
import { canonicalHostPart, isIpAddress, parseHostAddress } from '../domain/host-text.ts';
import { hostStream } from '../domain/streams.ts';
import { step, transact } from '../log/execute.ts';
import { findHost } from '../views/hosts.ts';
import { presenceOf } from '../views/presence.ts';
import { checkClaimedNames } from './claimed-names.ts';
import { grantNames } from './names-of-others.ts';
import { type AuthDeps, causeOf } from './deps.ts';
import { whoseTelling } from './quota-rules.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/**
 * A host says that it is alive, and what it is now. A host that was not known to be alive is told of at once, so that it
 * can be used as soon as its first heartbeat was answered; the others with the next coalesced fact.
 * @throws CodedError `access_denied` for another host than the caller, and for a new name or an address that is not its own;
 * `bad_request` for a name that none may have, `too_large` for more labels than a host may have,
 * `unavailable` while the clock of this server is not to be trusted.
 */
export async function heartbeat(
  deps: AuthDeps,
  call: Call,
  { host, ttlSeconds, sentAt }: Input,
): Promise<Output> {
  const { caller } = call;
  if (caller.kind !== 'host' || caller.hostId !== host.hostId || caller.role !== host.role)
    throw new CodedError('access_denied', 'a host may only announce itself, in the role of its certificate');
  checkSize(host);
  if (sentAt !== undefined) deps.clocks.hear(host.hostId, sentAt, caller.address);
  deps.clocks.require();
  const address = withRealHost(host.address, caller.address);
  const seen = withCertifiedNames({ ...host, address }, caller.certifiedNames ?? []);
  // The fold is good enough to tell that nothing changed, and spares a look at the store. Should another auth server have
  // written something else a moment ago, the next heartbeat sees it.
  const known = findHost(deps.views.hosts.state(), host.hostId, host.role);
  if (known?.nodename !== host.nodename) await checkNewName(deps, call, host);
  checkPlaces(seen, known, caller.certifiedNames);
  const putOff = known === undefined || !sameHost(known, seen) ? await announceWithin(deps, seen, call) : {};
  const { presence, clock } = deps.views;
  const wasAlive = presenceOf(presence.state(), host, clock.monotonic()).status === 'alive';
  deps.presence.renew({ hostId: host.hostId, role: host.role }, ttlSeconds);
  if (wasAlive) return putOff;
  const position = await deps.presence.soon();
  if (position !== undefined) await deps.views.presence.reached(position);
  return putOff;
}

/**
 * A change is stored for ever. A host that changes too often is as alive as others: it is told when to say again what it
 * is then, so that the newest of all changes wins.
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

/** A name that a host had before stays its own, however many have it: they are shown, and a client is told of all. */
async function checkNewName(
  deps: AuthDeps,
  call: Call,
  { hostId, nodename, role }: Input['host'],
): Promise<void> {
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
    throw refuse(`its certificate is for other names (${caller.certifiedNames.join(', ')}); ${joinAnew}`);
  await deps.views.fresh();
  // Another auth server may have heard it a moment ago.
  if (findHost(deps.views.hosts.state(), hostId, role)?.nodename === nodename) return;
  grantNames(
    deps,
    { hostId, nodename, role, others: [], peer: '', patterns: [], when: 'announcing' },
    refuse,
  );
}

const joinAnew =
  'to have it, join again with a token: move host_uuid and proc/*.identity.json out of data_dir';

/**
 * An address may be any; a name leads people there only where the certificate says that it is this host's. What stands already
 * stays: releases before did not ask, and a host must not be gone because its auth server is newer.
 */
function checkPlaces(
  host: HostInfo,
  known: HostInfo | undefined,
  certified: readonly string[] | undefined,
): void {
  if (certified === undefined) return;
  for (const place of ['address', 'publicAddress', 'sshPublicAddress'] as const) {
    const text = host[place];
    const name = text === known?.[place] ? undefined : parseHostAddress(text)?.host;
    if (name === undefined || isIpAddress(name) || isAmong([...certified, host.nodename, host.hostId], name))
      continue;
    throw new CodedError(
      'access_denied',
      `${JSON.stringify(host.nodename)} [${host.hostId}] cannot announce the address ${JSON.stringify(text)}: its certificate ` +
        `does not name ${JSON.stringify(name)} (it names ${certified.join(', ')}); announce an IP address, or: ${joinAnew}`,
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

const wildcards = new Set(['', '0.0.0.0', '::', '*']);

/** A host that listens everywhere is reached where it came from. Source: behaviour of 4.4. */
export function withRealHost(address: string, peer: string): string {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  if (port === '' || !wildcards.has(host)) return address;
  const bare = (/^\[?(.*?)\]?:\d+$/.exec(peer)?.[1] ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
  return isIPv6(bare) ? `[${bare}]:${port}` : `${bare}:${port}`;
}
