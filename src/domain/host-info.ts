import { z } from 'zod';
import { emptyRecord, foreignRecord } from '../base/foreign-record.ts';
import * as text from './host-text.ts';

/** What a machine certificate says its holder is. Capitalised on the wire and in certificates, as users of 4.4 know it. */
export const systemRole = z.enum(['Admin', 'Auth', 'Proxy', 'Node']);
export type SystemRole = z.infer<typeof systemRole>;

/**
 * What a host told the cluster about itself: membership. Changes rarely; each change is an event of `state`. So wide is what
 * the log may hold: releases before took any text. What comes in now is an `announcedHost`, what is shown `readable`.
 */
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
  /** What its certificate names it beside all that; told by the auth server that saw the certificate, never by the host. */
  otherNames: z.array(z.string()).optional(),
});
export type HostInfo = z.infer<typeof hostInfo>;

/** What a host may say of itself from now on: each text has the form of its kind. */
export const announcedHost = hostInfo.omit({ otherNames: true }).extend({
  hostId: text.hostId,
  nodename: text.hostName,
  address: text.hostAddress,
  publicAddress: text.optionalHostAddress,
  sshPublicAddress: text.optionalHostAddress.default(''),
  labels: foreignRecord(text.labelKey, text.toldLabelValue),
  version: text.programVersion,
});

/** A field of a host, as people call it. */
export type HostField =
  'nodename' | 'address' | 'public address' | 'ssh public address' | 'version' | 'labels';

export interface Readable {
  readonly host: HostInfo;
  /** What was stored and cannot be shown or used: it would break lines, or hide what it is. */
  readonly leftOut: readonly HostField[];
}

/**
 * The host as others may see it. A name that cannot be one is replaced by the id; every other field that does not have its
 * form is empty, and a label that does not is not there.
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
    address: kept('address', text.hostAddress, stored.address),
    publicAddress: kept('public address', text.hostAddress, stored.publicAddress),
    sshPublicAddress: kept('ssh public address', text.hostAddress, stored.sshPublicAddress),
    version: kept('version', text.programVersion, stored.version),
    labels: readableLabels(stored.labels),
    ...(stored.otherNames === undefined ? {} : { otherNames: stored.otherNames.filter(text.isHostPart) }),
  };
  if (Object.keys(host.labels).length < Object.keys(stored.labels).length) leftOut.push('labels');
  return leftOut.length === 0 ? { host: stored, leftOut } : { host, leftOut };
}

function readableLabels(stored: HostInfo['labels']): HostInfo['labels'] {
  const labels = emptyRecord<string>();
  for (const [key, value] of Object.entries(stored))
    if (text.isLabelKey(key) && text.isLabelValue(value)) labels[key] = value;
  return labels;
}

/** The name that resolves to a host in certificates: `<uuid>.<cluster>`. */
export const hostFqdn = (hostId: string, clusterName: string): string => `${hostId}.${clusterName}`;
