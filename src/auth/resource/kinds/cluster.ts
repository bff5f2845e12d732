import type { ResourceDocument } from '../../../domain/resources/document.ts';
import {
  type ConfigurationDocument,
  configurationKind,
  type NameDocument,
  nameKind,
  type PreferenceDocument,
  preferenceKind,
} from '../../../domain/resources/cluster.ts';
import type { KindOfResource } from '../../../domain/resources/kind.ts';
import type { AuthViews } from '../../auth-views.ts';
import { clusterOf } from '../../lookups.ts';
import type { ServedKind } from '../served-kind.ts';

const single = (
  kind: KindOfResource,
  documentOf: (views: AuthViews, metadata: { name: string }) => ResourceDocument,
): ServedKind => ({
  kind,
  list: ({ views }) => Promise.resolve([documentOf(views, { name: kind.single ?? kind.kind })]),
});

/** What is there once, and what the configuration files of the auth servers decide. */
export const servedClusterKinds: readonly ServedKind[] = [
  single(preferenceKind, (views, metadata): PreferenceDocument => ({
    kind: 'cluster_auth_preference',
    version: 'v2',
    metadata,
    spec: { type: 'local', second_factor: clusterOf(views).secondFactor },
  })),
  single(configurationKind, (views, metadata): ConfigurationDocument => ({
    kind: 'cluster_config',
    version: 'v3',
    metadata,
    spec: {
      cluster_id: clusterOf(views).clusterId,
      settings: { ...views.configuration.state().standing },
    },
  })),
  single(nameKind, (views, metadata): NameDocument => ({
    kind: 'cluster_name',
    version: 'v2',
    metadata,
    spec: { cluster_name: clusterOf(views).clusterName },
  })),
];
