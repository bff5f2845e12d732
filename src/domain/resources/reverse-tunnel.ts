import { z } from 'zod';
import { documentSchema } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/** Source: reference 4.4, resources §1. */
export const reverseTunnelDocument = documentSchema({
  kind: 'reverse_tunnel',
  version: 'v2',
  spec: z.strictObject({ cluster_name: z.string(), dial_addrs: z.array(z.string()) }),
});
export type ReverseTunnelDocument = z.infer<typeof reverseTunnelDocument>;

const derived = 'it follows from the trusted cluster: change spec.tunnel_addr or spec.enabled of that';

export const reverseTunnelKind: KindOfResource = kindOfResource<ReverseTunnelDocument>({
  kind: 'reverse_tunnel',
  aliases: ['reverse_tunnels', 'tunnel', 'rts'],
  version: 'v2',
  rules: 'trusted_cluster',
  schema: reverseTunnelDocument,
  columns: [
    ['Cluster Name', ({ spec }) => spec.cluster_name],
    ['Dial Addresses', ({ spec }) => spec.dial_addrs.join(',')],
  ],
  notWritten: derived,
  notDeleted: derived,
  notProlonged: derived,
  notBootstrapped: derived,
});
