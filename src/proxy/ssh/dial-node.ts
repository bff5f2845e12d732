import type { Duplex } from 'node:stream';
import { CodedError } from '../../base/errors.ts';
import type { Asking } from '../../base/name-lookup.ts';
import { version } from '../../base/version.ts';
import { whereabouts } from '../../domain/reachability.ts';
import type { DialDirect } from './dial-direct.ts';
import { directPlace, type KnownNode } from './node-index.ts';

/**
 * Opens a stream to the one node that it was made for. @throws CodedError `unavailable`, for the operator.
 */
export type DialNode = (asking: Asking) => Promise<Duplex>;

/**
 * The dialler for a node, by how it is reached.
 * @throws CodedError `unavailable`, for the caller: a proxy of this release cannot reach it, wherever it is.
 */
export type DiallerOf = (node: KnownNode) => DialNode;

/** Opens a stream to a node that hangs on these proxies, by their host ids. */
export type DialTunnel = (
  node: { readonly hostId: string; readonly proxies: readonly string[] },
  asking: Asking,
) => Promise<Duplex>;

/** The kinds of reachability that this proxy supports: each has its dialler here. */
export interface Diallers {
  readonly direct: DialDirect;
  readonly tunnel: DialTunnel;
}

export const diallerBy =
  ({ direct, tunnel }: Diallers): DiallerOf =>
  ({ hostId, nodename, reachability }) => {
    if (reachability.status === 'tunnel') {
      const { proxies } = reachability;
      return (asking) => tunnel({ hostId, proxies }, asking);
    }
    if (reachability.status !== 'direct')
      throw new CodedError(
        'unavailable',
        `node ${nodename} is reached ${whereabouts(reachability)}, which a proxy of version ${version} does not support: ` +
          'it reaches nodes that announce an address, or that hang on proxies',
      );
    const address = directPlace(reachability);
    if (address === undefined)
      throw new CodedError('unavailable', `node ${nodename} announces an address that cannot be read`);
    return (asking) => direct({ hostId, address }, asking);
  };
