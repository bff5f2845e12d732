import type { Origin } from '../client-address.ts';

/** From where a request came, as auth is told it. */
export const cameFrom = ({
  address,
  balancer,
}: Origin): { readonly clientAddress: string; readonly balancerAddress?: string } => ({
  clientAddress: address,
  ...(balancer === undefined ? {} : { balancerAddress: balancer }),
});
