import { z } from 'zod';

/** What a machine certificate says its holder is. Capitalised on the wire and in certificates, as users of 4.4 know it. */
export const systemRole = z.enum(['Admin', 'Auth', 'Proxy', 'Node']);
export type SystemRole = z.infer<typeof systemRole>;

/** What a host tells the cluster about itself: membership. Changes rarely; each change is an event of `state`. */
export const hostInfo = z.object({
  /** UUID, from `<data_dir>/host_uuid`. */
  hostId: z.uuid(),
  role: systemRole,
  nodename: z.string().min(1).max(255),
  /** `host:port` where it listens; the host part is never a wildcard. */
  address: z.string().max(300),
  /** What users should call it, `host:port`; empty when none is configured. Proxies: the web address. */
  publicAddress: z.string().max(300),
  /** Proxies: `host:port` for SSH clients; empty when none is configured. */
  sshPublicAddress: z.string().max(300).default(''),
  labels: z.record(z.string(), z.string()),
  version: z.string().max(64),
});
export type HostInfo = z.infer<typeof hostInfo>;

/** The name that resolves to a host in certificates: `<uuid>.<cluster>`. */
export const hostFqdn = (hostId: string, clusterName: string): string => `${hostId}.${clusterName}`;
