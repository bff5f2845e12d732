import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { Asking } from '../../base/name-lookup.ts';
import type { HostPort } from '../../base/service.ts';
import type { Balancers as Networks } from '../client-address.ts';
import type { DialAddress } from './dial.ts';
import type { AddressesOf } from './look-up-name.ts';
import { doubtAboutAddress } from './node-address.ts';

/** Dials a node at the address that it announces. */
export type DialDirect = (
  node: { readonly hostId: string; readonly address: HostPort },
  asking: Asking,
) => Promise<Duplex>;

export interface DirectDiallerDeps {
  readonly ownHostId: string;
  readonly allowed: Networks;
  readonly lookUpName: AddressesOf;
  /** Whether what listens at an address of this machine is ours. */
  readonly isOwnListener: (at: HostPort) => Promise<boolean>;
  readonly dialAddress: DialAddress;
}

/**
 * Dials a node at the address that it announces, unless no node can be there (`doubtAboutAddress`). A name is
 * looked up once, and the address that was checked is the one that is dialled.
 * @throws CodedError `unavailable`, for the operator: why each address was not dialled, or did not reply.
 */
export const directDialler =
  ({ ownHostId, allowed, lookUpName, isOwnListener, dialAddress }: DirectDiallerDeps): DialDirect =>
  async (node, asking) => {
    const { host, port } = node.address;
    const addresses = isIP(host) === 0 ? await lookUpName(host, asking) : [host];
    const failures: string[] = [];
    for (const ip of addresses) {
      const at = { host: ip, port };
      const isHere = async (): Promise<boolean> => node.hostId === ownHostId || (await isOwnListener(at));
      const doubt = await doubtAboutAddress(ip, { allowed, isHere });
      if (doubt !== undefined) {
        failures.push(
          `which is ${doubt}: list ${ip} in proxy_service.node_addresses if the proxy may dial it`,
        );
        continue;
      }
      try {
        return await dialAddress(at, asking);
      } catch (e) {
        if (!isCoded(e, 'unavailable')) throw e;
        failures.push(e.message);
      }
    }
    throw new CodedError(
      'unavailable',
      failures.join('; ') || `DNS does not know ${host}, which it announces`,
    );
  };
