import { z } from 'zod';
import { describedMetadata, documentSchema } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/** Each of these is there once. */
const names = {
  preference: 'cluster-auth-preference',
  configuration: 'cluster-config',
  name: 'cluster-name',
} as const;

export const preferenceDocument = documentSchema({
  kind: 'cluster_auth_preference',
  version: 'v2',
  metadata: describedMetadata,
  spec: z.strictObject({
    type: z.literal('local'),
    /** `off`, `otp`, or what a newer release knows. */
    second_factor: z.string(),
  }),
});
export type PreferenceDocument = z.infer<typeof preferenceDocument>;

export const configurationDocument = documentSchema({
  kind: 'cluster_config',
  version: 'v3',
  spec: z.strictObject({
    cluster_id: z.string(),
    /** Settings of the configuration files that hold in the whole cluster, by their place in the file. */
    settings: z.record(z.string(), z.string()),
  }),
});
export type ConfigurationDocument = z.infer<typeof configurationDocument>;

export const nameDocument = documentSchema({
  kind: 'cluster_name',
  version: 'v2',
  spec: z.strictObject({ cluster_name: z.string() }),
});
export type NameDocument = z.infer<typeof nameDocument>;

const byFile = (where: string): string =>
  `the configuration files of the auth servers decide it: change ${where} in all of them, and reload`;

export const preferenceKind = kindOfResource<PreferenceDocument>({
  kind: 'cluster_auth_preference',
  aliases: ['cap'],
  version: 'v2',
  rules: 'cluster_auth_preference',
  schema: preferenceDocument,
  columns: [
    ['Type', ({ spec }) => spec.type],
    ['Second Factor', ({ spec }) => spec.second_factor],
  ],
  single: names.preference,
  notWritten: byFile('auth_service.authentication'),
  notDeleted: 'there always is one',
});

export const configurationKind = kindOfResource<ConfigurationDocument>({
  kind: 'cluster_config',
  aliases: [],
  version: 'v3',
  rules: 'cluster_config',
  schema: configurationDocument,
  columns: [
    ['Cluster Id', ({ spec }) => spec.cluster_id],
    [
      'Settings',
      ({ spec }) =>
        Object.entries(spec.settings)
          .map(([key, value]) => `${key}=${value}`)
          .join(', '),
    ],
  ],
  single: names.configuration,
  notWritten: byFile('the setting'),
  notDeleted: 'there always is one',
});

export const nameKind = kindOfResource<NameDocument>({
  kind: 'cluster_name',
  aliases: [],
  version: 'v2',
  rules: 'cluster_name',
  schema: nameDocument,
  columns: [['Cluster Name', ({ spec }) => spec.cluster_name]],
  single: names.name,
  notWritten: 'a cluster cannot be renamed',
  notDeleted: 'there always is one',
});

export const clusterKinds: readonly KindOfResource[] = [preferenceKind, configurationKind, nameKind];
