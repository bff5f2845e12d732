import type { Duplex } from 'node:stream';
import { CodedError } from '../../base/errors.ts';
import type { Asking } from '../../base/name-lookup.ts';
import { version } from '../../base/version.ts';
import { whereabouts } from '../../domain/reachability.ts';
import type { DialDirect } from './dial-direct.ts';
import { directPlace, type KnownNode } from './node-index.ts';

/**
 * Makes a stream to the one node that it was chosen for. @throws CodedError `unavailable`, for the operator.
 */
export type DialNode = (asking: Asking) => Promise<Duplex>;

/**
 * How a node is dialled, by how it is reached.
 * @throws CodedError `unavailable`, for whoever asked: a proxy of this release cannot reach it, wherever it
 *   is.
 */
export type DiallerOf = (node: KnownNode) => DialNode;

/** What this proxy can use: a kind of reachability gets its dialler here. */
export interface Diallers {
  readonly direct: DialDirect;
}

export const diallerBy =
  ({ direct }: Diallers): DiallerOf =>
  ({ hostId, nodename, reachability }) => {
    if (reachability.status !== 'direct')
      throw new CodedError(
        'unavailable',
        `node ${nodename} is reached ${whereabouts(reachability)}, which a proxy of version ${version} does not support: ` +
          'it reaches only nodes that announce an address',
      );
    const address = directPlace(reachability);
    if (address === undefined)
      throw new CodedError('unavailable', `node ${nodename} announces an address that cannot be read`);
    return (asking) => direct({ hostId, address }, asking);
  };
