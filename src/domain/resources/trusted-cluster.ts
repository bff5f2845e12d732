import { z } from 'zod';
import { mapTexts } from '../audit-from-clusters.ts';
import type { TrustedClusterSettings } from '../trusted-cluster.ts';
import { documentFlag, documentSchema, isOn, oneOrMore } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

const pin = z
  .string()
  .transform((text) => text.trim().toLowerCase())
  .pipe(z.string().regex(/^sha256:[0-9a-f]{64}$/, 'expected a pin, sha256:<64 hexadecimal digits>'));

/** Source: reference 4.4, resources §1; `ca_pin` is ours. */
export const trustedClusterDocument = documentSchema({
  kind: 'trusted_cluster',
  version: 'v2',
  spec: z.strictObject({
    enabled: documentFlag,
    role_map: z
      .array(z.strictObject({ remote: z.string().min(1).max(256), local: oneOrMore }))
      .min(1)
      .max(128),
    /** With which that cluster agrees. It is not kept, and never shown. */
    token: z.string().min(1).max(1024).optional(),
    web_proxy_addr: z.string().min(1).max(300),
    /** Left out: as `web_proxy_addr`. */
    tunnel_addr: z.string().min(1).max(300).optional(),
    ca_pin: z.union([pin, z.array(pin).max(16)]).optional(),
  }),
});
export type TrustedClusterDocument = z.infer<typeof trustedClusterDocument>;

const listed = (one: string | readonly string[]): string[] => (typeof one === 'string' ? [one] : [...one]);

/** What a document sets; addresses are as they were written. */
export const settingsOfDocument = ({ spec }: TrustedClusterDocument): TrustedClusterSettings => ({
  enabled: isOn(spec.enabled),
  roleMap: spec.role_map.map(({ remote, local }) => ({ remote, local: listed(local) })),
  webProxyAddress: spec.web_proxy_addr,
  tunnelAddress: spec.tunnel_addr ?? spec.web_proxy_addr,
  caPins: listed(spec.ca_pin ?? []),
});

/** Without its token, which nobody keeps. */
export const documentOfTrusted = (
  name: string,
  settings: TrustedClusterSettings,
): TrustedClusterDocument => ({
  kind: 'trusted_cluster',
  version: 'v2',
  metadata: { name },
  spec: {
    enabled: settings.enabled,
    role_map: settings.roleMap.map(({ remote, local }) => ({ remote, local: [...local] })),
    web_proxy_addr: settings.webProxyAddress,
    tunnel_addr: settings.tunnelAddress,
    ...(settings.caPins.length > 0 && { ca_pin: [...settings.caPins] }),
  },
});

const byExchange =
  'its keys are known by an exchange with that cluster: make it again, by a token of that one';

export const trustedClusterKind: KindOfResource = kindOfResource<TrustedClusterDocument>({
  kind: 'trusted_cluster',
  aliases: ['trusted_clusters', 'tc', 'cluster', 'clusters'],
  version: 'v2',
  rules: 'trusted_cluster',
  schema: trustedClusterDocument,
  columns: [
    ['Name', ({ metadata }) => metadata.name],
    ['Enabled', ({ spec }) => String(isOn(spec.enabled))],
    ['Token', () => ''],
    ['Proxy Address', ({ spec }) => spec.web_proxy_addr],
    ['Reverse Tunnel Address', ({ spec }) => spec.tunnel_addr ?? spec.web_proxy_addr],
    ['Role Map', (document) => mapTexts(settingsOfDocument(document).roleMap).join('; ')],
  ],
  notBootstrapped: byExchange,
  notRestored: byExchange,
});
