import { isCleanText } from '../../base/clean-text.ts';
import { CodedError } from '../../base/errors.ts';
import { isApiName } from '../../domain/held-names.ts';
import { hostName, isHostPart, isIpAddress } from '../../domain/host-text.ts';

const beginsWithUuid = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.|$)/i;

/**
 * A machine may choose its names, but not the id of another machine, the names of the API, or a wildcard.
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
  for (const [i, name] of [nodename, ...additionalPrincipals].entries()) {
    const why = whyNot(name, hostId) ?? (i === 0 && isIpAddress(name) ? 'that is an address' : undefined);
    if (why !== undefined)
      throw new CodedError(
        'bad_request',
        `a machine cannot be called ${JSON.stringify(name.slice(0, 300))}: ${why}`,
      );
  }
}

/**
 * The same for names that an operator has certified, for a machine without an id here.
 * @throws CodedError `bad_request` naming what no machine may be called.
 */
export function checkNamesToCertify(names: readonly string[]): void {
  for (const name of names) {
    const why = whyNot(name, '');
    if (why !== undefined)
      throw new CodedError(
        'bad_request',
        `no machine can be called ${JSON.stringify(name.slice(0, 300))}: ${why}`,
      );
  }
}

function whyNot(name: string, hostId: string): string | undefined {
  if (isApiName(name)) return 'the name is that of the API of a cluster';
  if (name.includes('*')) return 'that means many names';
  if (!isCleanText(name) || /\s/.test(name)) return 'it has blanks or invisible characters';
  if (!isHostPart(name) && !hostName.safeParse(name).success)
    return 'it is neither a DNS name nor an IP address';
  const id = beginsWithUuid.exec(name)?.[1];
  if (id !== undefined && id.toLowerCase() !== hostId) return 'it is the host id of another machine';
  return undefined;
}
