import { unreachable } from '../base/errors.ts';

/** On how many proxies nodes hang that are reached through tunnels. */
export type TunnelStrategy =
  /** On some: proxies forward to the one that holds a node. */
  | { readonly type: 'proxy_peering'; readonly connections: number }
  /** On every one. */
  | { readonly type: 'agent_mesh' };

export const usualStrategy = { type: 'proxy_peering', connections: 2 } as const satisfies TunnelStrategy;
export const mostConnections = 64;

/** By this name auth servers declare it to the cluster. */
export const strategyKey = 'auth_service.tunnel_strategy';

export function strategyText(strategy: TunnelStrategy): string {
  switch (strategy.type) {
    case 'proxy_peering':
      return `${strategy.type}/${strategy.connections}`;
    case 'agent_mesh':
      return strategy.type;
    default:
      return unreachable(strategy);
  }
}

/** Of the text that an auth server of any release declared. Total: what is not known is the usual one. */
export function strategyOf(text: string | undefined): TunnelStrategy {
  if (text === 'agent_mesh') return { type: 'agent_mesh' };
  const connections = Number(/^proxy_peering\/([1-9]\d?)$/.exec(text ?? '')?.[1]);
  return connections >= 1 && connections <= mostConnections
    ? { type: 'proxy_peering', connections }
    : usualStrategy;
}
