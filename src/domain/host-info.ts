import { z } from 'zod';
import { emptyRecord, foreignRecord } from '../base/foreign-record.ts';
import * as text from './host-text.ts';
import {
  isAnnounced,
  type Reachability,
  type ReachabilityRecord,
  reachabilityOf,
  reachabilityRecord,
} from './reachability.ts';

/**
 * The role of its holder in a machine certificate. Capitalised on the wire and in certificates, as users of
 * 4.4 know it.
 */
export const systemRole = z.enum(['Admin', 'Auth', 'Proxy', 'Node']);
export type SystemRole = z.infer<typeof systemRole>;

/**
 * What a host announced about itself, as facts, snapshots and calls contain it. The form is wide because the
 * log holds what older releases accepted, which was any text. What comes in now is an `announcedHost`, what
 * is shown is `readable`.
 */
export const hostRecord = z.object({
  /** UUID, from `<data_dir>/host_uuid`. */
  hostId: z.uuid(),
  role: systemRole,
  nodename: z.string().min(1).max(255),
  /**
   * `host:port` where it listens; the host part is never a wildcard. Empty for a host that is not reached
   * directly.
   */
  address: z.string().max(300),
  /**
   * Absent for a host that is reached at its address. Read by `reachabilityOf`: a newer release may know
   * other kinds.
   */
  reachability: z.unknown().optional(),
  /** What users should call it, `host:port`; empty when none is configured. Proxies: the web address. */
  publicAddress: z.string().max(300),
  /** Proxies: `host:port` for SSH clients; empty when none is configured. */
  sshPublicAddress: z.string().max(300).default(''),
  /** Proxies: `host:port` where other proxies reach it. */
  peerAddress: z.string().max(300).optional(),
  labels: z.record(z.string(), z.string()),
  /**
   * Names of the labels whose values programs print. The current values are in presence
   * (`measured-labels.ts`).
   */
  measured: z.array(z.string()).optional(),
  version: z.string().max(64),
  /**
   * How much of the facts its release reads (`factsLevel`). Hosts of releases before the first level announce
   * none.
   */
  understands: z.number().int().nonnegative().optional(),
  /**
   * Further names in its certificate. Reported by the auth server that saw the certificate, never by the
   * host.
   */
  otherNames: z.array(z.string()).optional(),
});
export type HostRecord = z.infer<typeof hostRecord>;

/** What a host announced about itself: membership. It rarely changes; each change is an event of `state`. */
export type HostInfo = Omit<HostRecord, keyof ReachabilityRecord> & { readonly reachability: Reachability };

type Without<R> = Omit<R, keyof ReachabilityRecord>;

/** From a record of any release. */
export function hostInfoOf<R extends Omit<HostRecord, 'role'>>(
  record: R,
): Without<R> & { readonly reachability: Reachability } {
  const { address, reachability, ...rest } = record;
  return { ...rest, reachability: reachabilityOf({ address, reachability }) };
}

export function hostRecordOf<H extends HostInfo>(info: H): Without<H> & ReachabilityRecord {
  const { reachability, ...rest } = info;
  return { ...(rest as unknown as Without<H>), ...reachabilityRecord(reachability) };
}

/** What a host may announce from now on: each text has the form of its kind. */
export const announcedHost = hostRecord
  .omit({ otherNames: true })
  .extend({
    hostId: text.hostId,
    nodename: text.hostName,
    address: text.optionalHostAddress,
    reachability: z
      .unknown()
      .optional()
      .refine(
        (said): boolean => isAnnounced(said),
        'auth servers of this release take only hosts that are reached at an address, or through tunnels',
      ),
    peerAddress: text.optionalHostAddress.optional(),
    publicAddress: text.optionalHostAddress,
    sshPublicAddress: text.optionalHostAddress.default(''),
    labels: foreignRecord(text.labelKey, text.toldLabelValue),
    /** No more than the number of labels a host may have. */
    measured: z.array(text.labelKey).max(64).optional(),
    version: text.programVersion,
  })
  .superRefine(({ address, reachability }, context) => {
    if (reachability !== undefined || address !== '') return;
    const [issue] = text.hostAddress.safeParse(address).error?.issues ?? [];
    context.addIssue({ code: 'custom', path: ['address'], message: issue?.message ?? 'an address' });
  });

/** A field of a host, as people call it. */
export type HostField =
  'nodename' | 'address' | 'public address' | 'ssh public address' | 'peer address' | 'version' | 'labels';

export interface Readable {
  readonly host: HostInfo;
  /** Fields that were stored but cannot be shown or used: they would break lines, or disguise themselves. */
  readonly leftOut: readonly HostField[];
}

/**
 * The host as others may see it. An invalid name is replaced by the id. Any other field that does not have
 * its form is empty, and such a label is left out.
 */
export function readableHost(stored: HostInfo): Readable {
  const leftOut: HostField[] = [];
  const kept = (field: HostField, fits: z.ZodType<string>, value: string, instead = ''): string => {
    if (value === '' || fits.safeParse(value).success) return value;
    leftOut.push(field);
    return instead;
  };
  const host = {
    ...stored,
    nodename: kept('nodename', text.hostName, stored.nodename, stored.hostId),
    reachability: readableReachability(stored.reachability, (address) =>
      kept('address', text.hostAddress, address),
    ),
    publicAddress: kept('public address', text.hostAddress, stored.publicAddress),
    sshPublicAddress: kept('ssh public address', text.hostAddress, stored.sshPublicAddress),
    ...(stored.peerAddress === undefined
      ? {}
      : { peerAddress: kept('peer address', text.hostAddress, stored.peerAddress) }),
    version: kept('version', text.programVersion, stored.version),
    labels: readableLabels(stored.labels),
    ...(stored.otherNames === undefined ? {} : { otherNames: stored.otherNames.filter(text.isHostPart) }),
  };
  if (Object.keys(host.labels).length < Object.keys(stored.labels).length) leftOut.push('labels');
  return leftOut.length === 0 ? { host: stored, leftOut } : { host, leftOut };
}

const readableReachability = (stored: Reachability, kept: (address: string) => string): Reachability =>
  stored.status === 'direct' ? { status: 'direct', address: kept(stored.address) } : stored;

function readableLabels(stored: HostInfo['labels']): HostInfo['labels'] {
  const labels = emptyRecord<string>();
  for (const [key, value] of Object.entries(stored))
    if (text.isLabelKey(key) && text.isLabelValue(value)) labels[key] = value;
  return labels;
}

/** The name that resolves to a host in certificates: `<uuid>.<cluster>`. */
export const hostFqdn = (hostId: string, clusterName: string): string => `${hostId}.${clusterName}`;
