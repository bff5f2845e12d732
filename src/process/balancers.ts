import { balancersOf } from '../proxy/client-address.ts';
import type { ConfigFile } from './configuration/config-schema.ts';

type IsBalancer = (ip: string) => boolean;

/** What the configuration tells of the balancers before this process. */
export interface ProcessBalancers {
  /** Listed for any role: each of its connections is from a different client. */
  readonly isBalancer: IsBalancer;
  /** From whom a PROXY header is due at that listener; undefined: from nobody. */
  readonly headersDueFrom: (listener: string) => IsBalancer | undefined;
}

type Service = 'proxy_service' | 'auth_service';

/** Listeners of each value of `proxy_protocol`. */
const listenersOf = {
  proxy_service: {
    on: ['proxy:ssh', 'proxy:tunnel', 'proxy:web'],
    ssh: ['proxy:ssh', 'proxy:tunnel'],
    off: [],
  },
  auth_service: { on: ['auth'], off: [] },
} as const;

/** @throws CodedError `misconfigured` for a list that the schema would not accept either. */
export function balancersIn(file: Pick<ConfigFile, Service>): ProcessBalancers {
  const { proxy_service: proxy, auth_service: auth } = file;
  const [ofProxy, ofAuth] = [proxy, auth].map(({ trusted_balancers: list }) => {
    const balancers = balancersOf(list);
    return (ip: string): boolean => balancers.includes(ip);
  }) as [IsBalancer, IsBalancer];
  const due = new Map<string, IsBalancer>([
    ...listenersOf.proxy_service[proxy.proxy_protocol].map((name) => [name, ofProxy] as const),
    ...listenersOf.auth_service[auth.proxy_protocol].map((name) => [name, ofAuth] as const),
  ]);
  return {
    isBalancer: (ip) => ofProxy(ip) || ofAuth(ip),
    headersDueFrom: (listener) => due.get(listener),
  };
}
