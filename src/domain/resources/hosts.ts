import { z } from 'zod';
import { anyKey, foreignRecord } from '../../base/foreign-record.ts';
import { kindOfHost } from '../rule-subjects.ts';
import { describedMetadata, documentSchema, moment } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

const commandLabel = z.strictObject({
  period: z.string(),
  command: z.array(z.string()),
  result: z.string(),
});

const hostSpec = z.strictObject({
  hostname: z.string(),
  addr: z.string(),
  use_tunnel: z.boolean().optional(),
  /** Host ids of the proxies that it hangs on. */
  proxies: z.array(z.string()).optional(),
  cmd_labels: foreignRecord(anyKey, commandLabel).optional(),
  version: z.string(),
  last_seen: moment.optional(),
});

const documentOfHosts = <K extends 'node' | 'proxy' | 'auth_server'>(kind: K) =>
  documentSchema({ kind, version: 'v2', metadata: describedMetadata, spec: hostSpec });

export const nodeDocument = documentOfHosts('node');
export type HostDocument = z.infer<typeof nodeDocument>;

const notWritten = 'hosts announce themselves: change the configuration of the machine';

const kindOf = (kind: 'node' | 'proxy' | 'auth_server', aliases: readonly string[]): KindOfResource =>
  kindOfResource({
    kind,
    aliases,
    version: 'v2',
    rules: kind,
    schema: documentOfHosts(kind) as unknown as z.ZodType<HostDocument>,
    columns: [
      ['Nodename', ({ spec }) => spec.hostname],
      ['UUID', ({ metadata }) => metadata.name],
      ['Address', ({ spec }) => (spec.use_tunnel === true ? '⟵ Tunnel' : spec.addr)],
      [
        'Labels',
        ({ metadata }) =>
          Object.entries(metadata.labels ?? {})
            .map(([key, value]) => `${key}=${value}`)
            .join(','),
      ],
    ],
    notWritten,
    notProlonged: 'a host is listed while it is alive',
    notBootstrapped: notWritten,
  });

export const hostKinds: readonly KindOfResource[] = [
  kindOf(kindOfHost.Node, ['nodes']),
  kindOf(kindOfHost.Proxy, ['proxies']),
  kindOf(kindOfHost.Auth, ['auth_servers', 'auth']),
];
