import type { Call } from '../../api/server-deps.ts';
import type { Addresses } from '../../domain/user-fact.ts';

/** The addresses of somebody who came to a proxy: the proxy tells them, and is the caller. */
export const addressesOf = (
  came: { readonly clientAddress: string; readonly balancerAddress?: string | undefined },
  { caller }: Pick<Call, 'caller'>,
): Addresses => ({
  ...{ remote: came.clientAddress, local: caller.address },
  ...(came.balancerAddress === undefined ? {} : { balancer: came.balancerAddress }),
});
