import { CodedError } from '../base/errors.ts';

/** Names by which clients know auth servers and proxies of any cluster; certificates have them by role alone. */
const reserved = /(^|\.)teleport\.cluster\.local\.?$/i;
const beginsWithUuid = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.|$)/i;

/** Clients and proxies take no such name: it would only be shown, and taken for another one. */
const unreachable = /[\s\p{C}]/u;

/**
 * A machine may call itself what it likes, but not by the id of another one, not by the names of the API, and not by all
 * names at once.
 * @throws CodedError `bad_request` naming what it may not claim.
 */
export function checkClaimedNames({
  hostId,
  nodename,
  additionalPrincipals,
}: {
  readonly hostId: string;
  readonly nodename: string;
  readonly additionalPrincipals: readonly string[];
}): void {
  for (const name of [nodename, ...additionalPrincipals]) {
    const why = whyNot(name, hostId);
    if (why !== undefined)
      throw new CodedError('bad_request', `a machine cannot be called ${JSON.stringify(name)}: ${why}`);
  }
}

function whyNot(name: string, hostId: string): string | undefined {
  if (reserved.test(name)) return 'the name is that of the API of a cluster';
  if (name.includes('*')) return 'that means many names';
  if (unreachable.test(name)) return 'it has blanks or invisible characters';
  const id = beginsWithUuid.exec(name)?.[1];
  if (id !== undefined && id.toLowerCase() !== hostId) return 'it is the host id of another machine';
  return undefined;
}
