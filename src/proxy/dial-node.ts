import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { CodedError, isCoded } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import type { Balancers as Networks } from './client-address.ts';
import type { DialAddress, DialNode } from './dial.ts';
import type { LookUpName } from './look-up-name.ts';
import { doubtAboutAddress } from './node-address.ts';

export interface NodeDiallerDeps {
  readonly ownHostId: string;
  readonly allowed: Networks;
  readonly lookUpName: LookUpName;
  /** Whether what listens at an address of this machine is ours. */
  readonly isOwnListener: (at: HostPort) => Promise<boolean>;
  readonly dialAddress: DialAddress;
}

/**
 * Dials a node where it says that it is, unless no node can be there (`doubtAboutAddress`). A name is looked up once, and
 * what was looked at is what is dialled.
 * @throws CodedError `unavailable`, for the operator: why each address was not dialled, or did not answer.
 */
export const nodeDialler =
  ({ ownHostId, allowed, lookUpName, isOwnListener, dialAddress }: NodeDiallerDeps): DialNode =>
  async (node, signal): Promise<Duplex> => {
    const { host, port } = node.address;
    const addresses = isIP(host) === 0 ? await lookUpName(host) : [host];
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
        return await dialAddress(at, signal);
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
