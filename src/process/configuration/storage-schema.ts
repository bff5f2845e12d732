import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { hour } from '../../base/duration.ts';
import { CodedError } from '../../base/errors.ts';
import { durationUpTo, flag } from './config-scalars.ts';
import { etcdPlace, missesType } from '../store/storage-place.ts';

/** Where the log is: all that is needed to open it, except for the keys of its secrets. */
export type StorageLocation =
  | { readonly type: 'dir'; readonly path: string }
  | ({ readonly type: 'etcd' } & EtcdLocation)
  | ({ readonly type: 'dynamodb' } & DynamodbLocation);

interface EtcdLocation {
  readonly peers: readonly string[];
  readonly prefix: string;
  readonly tlsKeyFile: string | undefined;
  readonly tlsCertFile: string | undefined;
  readonly tlsCaFile: string | undefined;
  readonly insecure: boolean;
  readonly dialTimeoutMs: number;
  readonly username: string | undefined;
  readonly passwordFile: string | undefined;
  readonly maxClientMessageBytes: number | undefined;
}

interface DynamodbLocation {
  readonly tableName: string;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly accessKey: string | undefined;
  readonly secretKey: string | undefined;
  readonly readCapacityUnits: number;
  readonly writeCapacityUnits: number;
  readonly billingMode: 'pay_per_request' | 'provisioned';
  readonly continuousBackups: boolean;
  readonly autoScaling: AutoScaling | undefined;
  readonly pollStreamPeriodMs: number;
  readonly retryPeriodMs: number;
}

interface AutoScaling {
  readonly readMinCapacity: number;
  readonly readMaxCapacity: number;
  /** Percent of the provisioned capacity. */
  readonly readTargetValue: number;
  readonly writeMinCapacity: number;
  readonly writeMaxCapacity: number;
  readonly writeTargetValue: number;
}

/** Who holds the key-encryption keys of the log's secrets. */
export type KeySource =
  | { readonly status: 'data-dir' }
  | { readonly status: 'file'; readonly path: string }
  | {
      readonly status: 'kms';
      readonly keyId: string;
      readonly region: string | undefined;
      readonly endpoint: string | undefined;
    };

/** A key that 4.4 had and that has no meaning for one log: refused, so that nobody relies on it. */
const gone = (why: string) =>
  z
    .unknown()
    .superRefine((value, context) => {
      if (value !== undefined) context.addIssue({ code: 'custom', message: `${why}; remove the key` });
    })
    .optional();

const oneLog = gone('audit events are on the same log as all other state');

const common = {
  /** A keyring file that all auth servers of the cluster share. */
  key_file: z.string().min(1).optional(),
  /** A key of AWS KMS in place of a file: id, ARN or alias. */
  kms_key_id: z.string().min(1).optional(),
  kms_region: z.string().min(1).optional(),
  kms_endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /**
   * Opens secrets that were sealed before the keys moved elsewhere, until `tctl log rekey` is done; seals
   * nothing.
   */
  previous_key_file: z.string().min(1).optional(),
  previous_kms_key_id: z.string().min(1).optional(),
  /** Where signed heads are sent: `file:///path`, `https://host/path`. */
  witness: z
    .union([z.array(z.string()), z.string().transform((one) => [one])])
    .pipe(
      z.array(
        z
          .string()
          .regex(/^(file:\/\/\/.+|https?:\/\/.+)/, 'a witness is a file:///path or an http(s):// address'),
      ),
    )
    .default([]),
  audit_events_uri: oneLog,
  audit_sessions_uri: oneLog,
  audit_table_name: oneLog,
  buffer_size: gone('readers of the log need no buffer'),
};

const dir = z.strictObject({
  type: z.literal('dir'),
  path: z.string().min(1).optional(),
  ...common,
});

const etcd = z
  .strictObject({
    type: z.literal('etcd'),
    ...etcdPlace,
    tls_key_file: z.string().optional(),
    tls_cert_file: z.string().optional(),
    tls_ca_file: z.string().optional(),
    insecure: flag.default(false),
    dial_timeout: durationUpTo(hour).default(30_000),
    username: z.string().optional(),
    password_file: z.string().optional(),
    etcd_max_client_msg_size_bytes: z
      .number()
      .int()
      .min(2 * 1024 * 1024, 'at least 2097152: a batch of the log must fit')
      .max(1024 ** 3, 'at most 1073741824')
      .optional(),
    ...common,
  })
  .superRefine((value, context) => {
    const together = (a: keyof typeof value, b: keyof typeof value): void => {
      if ((value[a] === undefined) !== (value[b] === undefined))
        context.addIssue({ code: 'custom', path: [a], message: `set both ${a} and ${b}, or neither` });
    };
    together('tls_key_file', 'tls_cert_file');
    together('username', 'password_file');
  });

const capacity = z.number().int().min(1).max(1_000_000);
const percent = z.number().min(20).max(90);

const dynamodb = z
  .strictObject({
    type: z.literal('dynamodb'),
    table_name: z
      .string({ error: 'DynamoDB: table_name is not specified' })
      .regex(
        /^[A-Za-z0-9_.-]{3,255}$/,
        'a table name has 3 to 255 letters, digits, dots, dashes and underscores',
      ),
    region: z.string().min(1).optional(),
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
    access_key: z.string().min(1).optional(),
    secret_key: z.string().min(1).optional(),
    billing_mode: z.enum(['pay_per_request', 'provisioned']).optional(),
    read_capacity_units: capacity.optional(),
    write_capacity_units: capacity.optional(),
    continuous_backups: flag.default(false),
    auto_scaling: flag.default(false),
    read_min_capacity: capacity.optional(),
    read_max_capacity: capacity.optional(),
    read_target_value: percent.optional(),
    write_min_capacity: capacity.optional(),
    write_max_capacity: capacity.optional(),
    write_target_value: percent.optional(),
    poll_stream_period: durationUpTo(hour).default(1_000),
    retry_period: durationUpTo(hour).default(10_000),
    ...common,
  })
  .superRefine((value, context) => {
    const refuse = (path: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [path], message });
    };
    if ((value.access_key === undefined) !== (value.secret_key === undefined))
      refuse('access_key', 'set both access_key and secret_key, or neither');
    const provisioned = ['read_capacity_units', 'write_capacity_units'] as const;
    for (const key of provisioned)
      if (value[key] !== undefined && value.billing_mode === 'pay_per_request')
        refuse(key, 'has no meaning with billing_mode: pay_per_request');
    const scaling = (
      [
        'read_min_capacity',
        'read_max_capacity',
        'read_target_value',
        'write_min_capacity',
        'write_max_capacity',
        'write_target_value',
      ] as const
    ).filter((key) => (value[key] === undefined) === value.auto_scaling);
    const first = scaling[0];
    if (first !== undefined)
      refuse(
        first,
        value.auto_scaling ? 'auto_scaling needs this key' : 'has no meaning without auto_scaling: true',
      );
    if (value.auto_scaling && value.billing_mode === 'pay_per_request')
      refuse(
        'auto_scaling',
        'a table paid per request scales by itself; set billing_mode: provisioned or remove the key',
      );
  });

/** `teleport.storage`. */
export const storageSection = z
  .unknown()
  .superRefine(missesType)
  .transform((value) =>
    typeof value === 'object' && value !== null && !('type' in value)
      ? { type: 'dir', ...value }
      : (value ?? { type: 'dir' }),
  )
  .pipe(
    z.discriminatedUnion('type', [dir, etcd, dynamodb], {
      error: (issue) => {
        const { type } = issue.input as { type?: unknown };
        return ['firestore', 'sqlite'].includes(String(type))
          ? `storage type "${String(type)}" is not in this release, supported are "dir", "etcd" and "dynamodb"`
          : `unsupported secrets storage type: "${String(type)}", supported are "dir", "etcd" and "dynamodb"`;
      },
    }),
  );
export type StorageSection = z.output<typeof storageSection>;

const file = (path: string | undefined): string | undefined =>
  path === undefined ? undefined : resolve(path);

/** @param defaultPath of a local directory, when the section names none. */
export function storageLocationOf(section: StorageSection, defaultPath: string): StorageLocation {
  switch (section.type) {
    case 'dir':
      return { type: 'dir', path: resolve(section.path ?? defaultPath) };
    case 'etcd':
      return {
        type: 'etcd',
        peers: section.peers,
        prefix: section.prefix,
        tlsKeyFile: file(section.tls_key_file),
        tlsCertFile: file(section.tls_cert_file),
        tlsCaFile: file(section.tls_ca_file),
        insecure: section.insecure,
        dialTimeoutMs: section.dial_timeout,
        username: section.username,
        passwordFile: file(section.password_file),
        maxClientMessageBytes: section.etcd_max_client_msg_size_bytes,
      };
    case 'dynamodb':
      return dynamodbLocationOf(section);
  }
}

type DynamodbSection = Extract<StorageSection, { type: 'dynamodb' }>;

/** The schema ensures that all of them are present. */
function autoScalingOf(section: DynamodbSection): AutoScaling | undefined {
  if (!section.auto_scaling) return undefined;
  const given = (value: number | undefined): number => value ?? Number.NaN;
  return {
    readMinCapacity: given(section.read_min_capacity),
    readMaxCapacity: given(section.read_max_capacity),
    readTargetValue: given(section.read_target_value),
    writeMinCapacity: given(section.write_min_capacity),
    writeMaxCapacity: given(section.write_max_capacity),
    writeTargetValue: given(section.write_target_value),
  };
}

function dynamodbLocationOf(section: DynamodbSection): StorageLocation {
  // Given capacities mean that the table gets them, as in 4.4.
  const provisioned =
    section.auto_scaling ||
    section.read_capacity_units !== undefined ||
    section.write_capacity_units !== undefined;
  return {
    type: 'dynamodb',
    tableName: section.table_name,
    region: section.region,
    endpoint: section.endpoint,
    accessKey: section.access_key,
    secretKey: section.secret_key,
    readCapacityUnits: section.read_capacity_units ?? section.read_min_capacity ?? 10,
    writeCapacityUnits: section.write_capacity_units ?? section.write_min_capacity ?? 10,
    billingMode: section.billing_mode ?? (provisioned ? 'provisioned' : 'pay_per_request'),
    continuousBackups: section.continuous_backups,
    autoScaling: autoScalingOf(section),
    pollStreamPeriodMs: section.poll_stream_period,
    retryPeriodMs: section.retry_period,
  };
}

/** Keys that only open secrets: those sealed before the keys moved. */
export function previousKeySourcesOf(section: StorageSection): readonly KeySource[] {
  const { previous_key_file: path, previous_kms_key_id: keyId } = section;
  return [
    ...(path === undefined ? [] : [{ status: 'file', path: resolve(path) } as const]),
    ...(keyId === undefined ? [] : [kmsKeyOf(section, keyId)]),
  ];
}

/** The configured region, or that in the key's ARN, or that of the table; otherwise the SDK finds one. */
function kmsKeyOf(section: StorageSection, keyId: string): Extract<KeySource, { status: 'kms' }> {
  const ofArn = /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1];
  const ofTable = section.type === 'dynamodb' ? section.region : undefined;
  const region = section.kms_region ?? ofArn ?? ofTable;
  return { status: 'kms', keyId, region, endpoint: section.kms_endpoint };
}

/**
 * @throws CodedError `misconfigured` when both a file and a KMS key are named, or settings of KMS without a
 *   key.
 */
export function keySourceOf(section: StorageSection): KeySource {
  const { key_file: path, kms_key_id: keyId, kms_region: region, kms_endpoint: endpoint } = section;
  if (path !== undefined && keyId !== undefined)
    throw new CodedError('misconfigured', 'storage: set key_file or kms_key_id, not both');
  const anyKey = keyId ?? section.previous_kms_key_id;
  if (anyKey === undefined && (region !== undefined || endpoint !== undefined))
    throw new CodedError('misconfigured', 'storage: kms_region and kms_endpoint need kms_key_id');
  if (keyId !== undefined) return kmsKeyOf(section, keyId);
  return path === undefined ? { status: 'data-dir' } : { status: 'file', path: resolve(path) };
}

/** The name of a place for operators and in messages; it never contains a secret. */
export function placeOf(location: StorageLocation): string {
  switch (location.type) {
    case 'dir':
      return location.path;
    case 'etcd':
      return `etcd ${location.peers.join(', ')} prefix ${location.prefix}`;
    case 'dynamodb':
      return `DynamoDB table ${location.tableName}${location.endpoint === undefined ? '' : ` at ${location.endpoint}`}`;
  }
}

/**
 * A place named on a command line: `dir:/path`.
 * Anything else is a file with a `storage:` mapping, which the caller reads.
 */
export function directoryLocation(text: string): StorageLocation | undefined {
  const [, path = ''] = /^dir:(.+)$/.exec(text) ?? [];
  return isAbsolute(path) ? { type: 'dir', path } : undefined;
}
